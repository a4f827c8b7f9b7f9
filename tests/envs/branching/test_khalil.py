"""Khalil's features equal values worked by hand, and those of plain loops over SCIP's rows."""

from math import isclose
from statistics import fmean, pstdev

import numpy as np
import pytest
from branching_probe import plain_model, set_cover, solve
from pyscipopt import SCIP_PARAMSETTING, quicksum
from pyscipopt.scip import PY_SCIP_BRANCHDIR

from rewardloom.envs.branching.features import KHALIL_FEATURES, Extractor
from rewardloom.errors import ConfigError

SPREAD = ("mean", "std", "min", "max")


def named(prefix, parts, values):
    return {f"{prefix}_{part}": value for part, value in zip(parts, values, strict=True)}


def observe(model, nodes=1, look=None):
    """Return `look(model)` and the features at the first `nodes` branching nodes."""
    extractor, seen = Extractor(model), []

    def visit(model):
        seen.append((look(model) if look else None, extractor.khalil()))
        return len(seen) == nodes

    solve(model, visit)
    return seen


def hand_model(turned=False):
    """max 5x + 4y, 2 <= 6x + 4y <= 24, x + 2y + w <= 8, x + z = 4, w fixed to 2, z continuous.

    Root LP: x = 3, y = 1.5, z = 1, with duals 3/4, 1/2 and 0: y is the only candidate.
    """
    model = plain_model()
    x, y = model.addVar("x", "I", 0, 10), model.addVar("y", "I", 0, 10)
    z, w = model.addVar("z", "C", 0, None), model.addVar("w", "I", 2, 2)
    model.addCons((6 * x + 4 * y <= 24) >= 2)
    model.addCons(-x - 2 * y - w >= -8 if turned else x + 2 * y + w <= 8)
    model.addCons(x + z == 4)
    model.setObjective(5 * x + 4 * y, "maximize")
    return model


@pytest.mark.parametrize("turned", [False, True])
def test_a_candidate_at_the_root_is_the_one_worked_by_hand(turned):
    ((_, features),) = observe(hand_model(turned))
    expected = dict.fromkeys(KHALIL_FEATURES, 0.0)
    expected |= {"objective": -4, "objective_negative": -4, "rows": 2}
    expected |= named("degree", SPREAD, (2.5, 0.5, 2, 3))
    expected |= named("positive", ("count", *SPREAD), (2, 3, 1, 2, 4))
    expected |= {"slack": 0.5, "ceil_distance": 0.5}
    # without a history SCIP's pseudocosts are 1
    expected |= named(
        "pseudocost", ("up", "down", "ratio", "sum", "product"), (0.5, 0.5, 1, 1, 1 / 4)
    )
    # w is fixed and counts no more
    expected |= named("node_degree", SPREAD, (2, 0, 2, 2))
    expected |= named("node_degree", ("mean_ratio", "min_ratio", "max_ratio"), (1.25, 1, 1.5))
    # 4y of 24, 2y of 8, and -4y of -2
    expected |= named("positive_side", ("min", "max"), (4 / 28, 2 / 10))
    expected |= named("negative_side", ("min", "max"), (-4 / 6, -4 / 6))
    # 4 beside 6, and 2 beside 1 + 1; there are no negative coefficients
    expected |= named("positive_to_positive", ("min", "max"), (0.4, 0.5))
    expected |= named("positive_to_negative", ("min", "max"), (1, 1))
    # both rows are active, with 4 and 2 for y
    parts = ("count", "sum", *SPREAD)
    expected |= named("active_unit", parts, (2, 6, 3, 1, 2, 4))
    expected |= named("active_all", parts, (1 / 10 + 1 / 4, 0.9, 0.45, 0.05, 0.4, 0.5))
    expected |= named("active_candidates", parts, (1 / 4 + 1 / 2, 2, 1, 0, 1, 1))
    expected |= named("active_dual", parts, (3 / 4 + 1 / 2, 4, 2, 1, 1, 3))
    assert features.shape == (1, len(KHALIL_FEATURES)) == (1, 68)
    found = dict(zip(KHALIL_FEATURES, map(float, features[0]), strict=True))
    assert found == pytest.approx(expected, abs=1e-6)


def snapshot(model):
    """Return the node's LP as plain Python: rows as `<=` rows, candidates and what they have."""
    rows = []
    for row in model.getLPRowsData():
        left, right, constant = row.getLhs(), row.getRhs(), row.getConstant()
        activity = model.getRowLPActivity(row)
        turn = -1 if right >= 1e20 else 1
        sides = [(1, right - constant)] * (right < 1e20) + [(-1, constant - left)] * (left > -1e20)
        columns = [column.getVar() for column in row.getCols()]
        names = [variable.name for variable in columns]
        rows.append(
            {
                "coefs": {n: turn * a for n, a in zip(names, row.getVals(), strict=True)},
                "sides": [(turn * sign, side) for sign, side in sides],
                "active": any(isclose(activity, s, abs_tol=1e-9, rel_tol=0) for s in (left, right)),
                "dual": abs(row.getDualsol()),
                "free": sum(v.getLbLocal() < v.getUbLocal() for v in columns),
            }
        )
    variables, _, fractions, _, priority, _ = model.getLPBranchCands()
    candidates = []
    for variable, fraction in zip(variables[:priority], fractions, strict=False):
        up = model.getVarPseudocost(variable, PY_SCIP_BRANCHDIR.UPWARDS) * (1 - fraction)
        down = model.getVarPseudocost(variable, PY_SCIP_BRANCHDIR.DOWNWARDS) * fraction
        candidates.append((variable.name, variable.getObj(), fraction, up, down))
    return rows, candidates


def spread(values):
    return (fmean(values), pstdev(values), min(values), max(values)) if values else (0,) * 4


def ends(values):
    return spread(values)[2:]


def static_part(rows, name, objective):
    mine = [row["coefs"] for row in rows if name in row["coefs"]]
    features = [objective, max(objective, 0), min(objective, 0), len(mine)]
    features += spread([len(coefs) for coefs in mine])
    for sign in (1, -1):
        values = [coefs[name] for coefs in mine if sign * coefs[name] > 0]
        features += [len(values), *spread(values)]
    return features


def node_part(rows, candidates, candidate, static):
    name, _, fraction, up, down = candidate
    mine = [row for row in rows if name in row["coefs"]]
    features = [min(fraction, 1 - fraction), 1 - fraction]
    features += [up, down, up / down if down else 0, up + down, up * down]
    degrees = spread([row["free"] for row in mine])
    pairs = zip((static[4], static[6], static[7]), (degrees[0], *degrees[2:]), strict=True)
    features += [*degrees, *(top / bottom if bottom else 0 for top, bottom in pairs)]
    for kind in (1, -1):
        sides = [
            (row["coefs"][name] * sign, side)
            for row in mine
            for sign, side in row["sides"]
            if kind * side > 0
        ]
        features += ends([value / (abs(value) + abs(side)) for value, side in sides])
    for own in (1, -1):
        for other in (1, -1):
            shares = []
            for coefs in (row["coefs"] for row in mine):
                rest = [abs(a) for n, a in coefs.items() if n != name and other * a > 0]
                if own * coefs[name] > 0:
                    shares.append(abs(coefs[name]) / (abs(coefs[name]) + sum(rest)))
            features += ends(shares)
    return features + active_part([row for row in mine if row["active"]], candidates, name)


def active_part(rows, candidates, name):
    names = {candidate[0] for candidate in candidates}
    features = []
    for weigh in (
        lambda row: 1,
        lambda row: 1 / sum(map(abs, row["coefs"].values())),
        lambda row: 1 / sum(abs(a) for n, a in row["coefs"].items() if n in names),
        lambda row: row["dual"],
    ):
        weights = [weigh(row) for row in rows]
        values = [w * abs(row["coefs"][name]) for w, row in zip(weights, rows, strict=True)]
        features += [sum(weights), sum(values), *spread(values)]
    return features


def signed_model(seed=3, rows=20, columns=25):
    """Return a model with coefficients and sides of both signs, and rows of every kind."""
    rng = np.random.default_rng(seed)
    model = plain_model()
    x = [model.addVar(f"x{i}", "I" if i % 4 else "C", 0, 9) for i in range(columns)]
    for number in range(rows):
        chosen = rng.choice(columns, 6 + number % 4, replace=False)
        coefs = rng.integers(1, 12, len(chosen)) * rng.choice([-1, 1], len(chosen))
        middle = int(coefs.sum()) * 4
        activity = quicksum(int(c) * x[i] for c, i in zip(coefs, chosen, strict=True))
        kind = number % 3
        if kind == 0:
            model.addCons(activity <= middle + 3)
        elif kind == 1:
            model.addCons(activity >= middle - 3)
        else:
            model.addCons((activity <= middle + 5) >= middle - 5)
    model.setObjective(quicksum(int(rng.integers(-9, 10)) * v for v in x))
    return model


def cutting_model():
    """Return a set cover that separates at every node, so that rows come and go."""
    model = set_cover()
    model.setHeuristics(SCIP_PARAMSETTING.OFF)
    model.setParam("separating/maxrounds", 2)
    model.setParam("separating/poolfreq", 1)
    model.setParam("separating/gomory/freq", 1)
    return model


@pytest.mark.parametrize("build", [set_cover, signed_model, cutting_model])
def test_features_are_those_of_plain_loops_along_a_search(build):
    seen = observe(build(), 12, snapshot)
    assert len(seen) == 12
    root = seen[0][0][0]
    for (rows, candidates), features in seen:
        assert features.dtype == np.float32
        assert features.flags.c_contiguous
        assert np.isfinite(features).all()
        expected = []
        for candidate in candidates:
            static = static_part(root, *candidate[:2])
            expected.append(static + node_part(rows, candidates, candidate, static))
        np.testing.assert_allclose(features, np.array(expected), rtol=1e-5, atol=1e-5)


def test_the_signed_model_fills_every_feature():
    features = np.concatenate([found for _, found in observe(signed_model(), 12)])
    idle = {
        name for name, column in zip(KHALIL_FEATURES, features.T, strict=True) if not any(column)
    }
    assert not idle


def test_candidates_come_in_the_order_of_the_other_features():
    def look(model):
        return Extractor(model).candidates()[:, 9]  # fractionality

    for fractions, features in observe(set_cover(), 5, look):
        ceil = features[:, KHALIL_FEATURES.index("ceil_distance")]
        np.testing.assert_allclose(ceil, 1 - fractions, atol=1e-6)
        assert len(set(ceil.tolist())) > 1


def test_features_outside_of_solving_are_refused():
    with pytest.raises(ConfigError, match="stage PROBLEM"):
        Extractor(hand_model()).khalil()
