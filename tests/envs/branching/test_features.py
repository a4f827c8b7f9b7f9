"""Features equal values worked by hand on a small LP, and SCIP's own on larger ones."""

import numpy as np
import pytest
from branching_probe import plain_model, solve

from rewardloom.envs.branching.features import (
    CANDIDATE_FEATURES,
    COLUMN_FEATURES,
    ROW_FEATURES,
    Extractor,
)
from rewardloom.envs.branching.features.candidates import pseudocost_features
from rewardloom.envs.branching.features.numbers import LIMIT, finite_float32
from rewardloom.errors import ConfigError

NORM = 41**0.5  # of the objective 5x + 4y


def hand_model(sense="maximize"):
    """max 5x + 4y, 2 <= 6x + 4y <= 24, x + 2y + w <= 8, x + z = 4; w fixed to 2, z continuous.

    Root LP: x = 3, y = 1.5, z = 1, with duals 3/4 and 1/2 for the first two rows.
    """
    model = plain_model()
    x = model.addVar("x", "I", 0, 10)
    y = model.addVar("y", "I", 0, 10)
    z = model.addVar("z", "C", 0, None)
    w = model.addVar("w", "I", 2, 2)
    model.addCons((6 * x + 4 * y <= 24) >= 2, "range")
    model.addCons(x + 2 * y + w <= 8, "upper")
    model.addCons(x + z == 4, "equal")
    model.setObjective(5 * x + 4 * y if sense == "maximize" else -5 * x - 4 * y, sense)
    return model


def observe(model, nodes=1):
    """Return what one extractor sees at the first `nodes` branching nodes, names included."""
    extractor, seen = Extractor(model), []

    def visit(model):
        columns = model.getLPColsData()
        names = [column.getVar().name.removeprefix("t_") for column in columns]
        positions = [variable.getCol().getLPPos() for variable in model.getLPBranchCands()[0]]
        graph = extractor.bipartite()
        seen.append(graph | {"candidates": extractor.candidates()})
        seen[-1] |= {"names": names, "positions": positions, "lps": model.getNLPs()}
        seen[-1] |= {"lp_rows": [row.name for row in model.getLPRowsData()]}
        return len(seen) == nodes

    solve(model, visit)
    return seen


def columns_of(seen):
    return {
        name: dict(zip(COLUMN_FEATURES, map(float, row), strict=True))
        for name, row in zip(seen["names"], seen["columns"], strict=True)
    }


def expected_column(**values):
    return pytest.approx(dict.fromkeys(COLUMN_FEATURES, 0.0) | values, abs=1e-6)


INTEGER = {"is_integer": 1, "has_lower": 1, "has_upper": 1}


def test_columns_at_the_root_are_those_worked_by_hand():
    columns = columns_of(observe(hand_model())[0])
    assert columns["x"] == expected_column(
        **INTEGER, objective=-5 / NORM, lp_value=3, basis_basic=1
    )
    assert columns["y"] == expected_column(
        **INTEGER, objective=-4 / NORM, lp_value=1.5, fractionality=0.5, basis_basic=1
    )
    assert columns["z"] == expected_column(is_continuous=1, has_lower=1, lp_value=1, basis_basic=1)
    # w is fixed: reduced cost 0 - (-1/2) * 1
    assert columns["w"] == expected_column(
        **INTEGER, reduced_cost=0.5 / NORM, lp_value=2, at_lower=1, at_upper=1, basis_lower=1
    )


def test_rows_at_the_root_are_those_worked_by_hand():
    seen = observe(hand_model())[0]
    assert seen["lps"] == 1
    first, second, third = 52**0.5, 6**0.5, 2**0.5
    # the minimized objective is (-5, -4): duals of <= rows are negative
    range_right = [24 / first, -46 / first / NORM, 1, -0.75 / first / NORM, 0]
    range_left = [-2 / first, 46 / first / NORM, 0, 0.75 / first / NORM, 0]
    upper = [8 / second, -13 / second / NORM, 1, -0.5 / second / NORM, 0]
    # the equality's dual is 0 in the one LP solved so far: age 1 / (1 + 5)
    equal_left = [-4 / third, 5 / third / NORM, 1, 0, 1 / 6]
    equal_right = [4 / third, -5 / third / NORM, 1, 0, 1 / 6]
    rows = [range_left, range_right, upper, equal_left, equal_right]
    np.testing.assert_allclose(seen["rows"], rows, atol=1e-6)
    assert len(ROW_FEATURES) == seen["rows"].shape[1]


def test_edges_at_the_root_are_those_worked_by_hand():
    seen = observe(hand_model())[0]
    first, second, third = 52**0.5, 6**0.5, 2**0.5
    found = {
        (int(row), seen["names"][column]): float(value)
        for (row, column), value in zip(seen["edges"].T, seen["edge_values"], strict=True)
    }
    assert found == pytest.approx(
        {
            (0, "x"): -6 / first,
            (0, "y"): -4 / first,
            (1, "x"): 6 / first,
            (1, "y"): 4 / first,
            (2, "x"): 1 / second,
            (2, "y"): 2 / second,
            (2, "w"): 1 / second,
            (3, "x"): -1 / third,
            (3, "z"): -1 / third,
            (4, "x"): 1 / third,
            (4, "z"): 1 / third,
        }
    )
    assert len(seen["edge_values"]) == len(found)


def test_a_maximized_problem_looks_like_its_minimized_negative():
    maximized, minimized = observe(hand_model("maximize"))[0], observe(hand_model("minimize"))[0]
    for part in ("columns", "rows", "edges", "edge_values", "candidates"):
        np.testing.assert_array_equal(maximized[part], minimized[part])


def test_a_child_with_an_incumbent_is_the_one_worked_by_hand():
    # y >= 2 has the integer optimum x = y = 2; y <= 1 has x = 10/3, dual 5/6 of the first row
    child = next(
        seen
        for seen in observe(hand_model(), nodes=3)
        if columns_of(seen)["x"]["lp_value"] == pytest.approx(10 / 3)
    )
    columns = columns_of(child)
    common = INTEGER | {"has_incumbent": 1, "incumbent_value": 2}
    assert columns["x"] == expected_column(
        **common,
        objective=-5 / NORM,
        lp_value=10 / 3,
        fractionality=1 / 3,
        mean_incumbent_value=2,
        basis_basic=1,
    )
    # the mean is clipped to y's bounds, which are global once the other child is done
    assert columns["y"] == expected_column(
        **common,
        objective=-4 / NORM,
        reduced_cost=(-4 + 4 * 5 / 6) / NORM,
        lp_value=1,
        at_upper=1,
        mean_incumbent_value=1,
        basis_upper=1,
    )
    # y's branching moved the bound of 21 by 1/3 down and by 3 up, each for half a unit; SCIP adds
    # its pseudocost epsilon to a move
    epsilon = 1e-4
    down, up = 1 / 3 * (1 / 3 + epsilon) / 0.5, 2 / 3 * (3 + epsilon) / 0.5
    gains = np.array([down, up, (down * up) ** 0.5]) / NORM
    np.testing.assert_allclose(child["candidates"][:, -3:], [gains], rtol=1e-5)


def test_candidates_start_with_the_features_of_their_columns():
    for seen in observe(hand_model(), nodes=3):
        assert seen["candidates"].shape == (len(seen["positions"]), len(CANDIDATE_FEATURES))
        columns = seen["columns"][seen["positions"]]
        np.testing.assert_array_equal(seen["candidates"][:, : len(COLUMN_FEATURES)], columns)


def test_only_candidates_of_the_highest_branching_priority_count():
    model = plain_model()
    low, high = model.addVar("low", "I", 0, 10), model.addVar("high", "I", 0, 10)
    other = model.addVar("other", "I", 0, 10)
    model.chgVarBranchPriority(high, 5)
    for variable, most in ((low, 0.9), (high, 1.6), (other, 2.7)):
        slack = model.addVar(vtype="C", ub=1)
        model.addCons(2 * variable + slack <= 2 * most)
    model.setObjective(3 * low + 2 * high + other, "maximize")
    (seen,) = observe(model)
    assert len(seen["positions"]) == 3
    value = COLUMN_FEATURES.index("lp_value")
    np.testing.assert_allclose(seen["candidates"][:, value], [1.6], atol=1e-6)


def test_types_and_missing_bounds_are_told_apart():
    model = hand_model()
    binary = model.addVar("binary", "B")
    implied = model.addVar("implied", "M", -50, 50)
    free = model.addVar("free", "C", None, None)
    model.addCons(free - binary == 0.3)
    model.addCons(implied + 2 * binary - free == 1.7)
    columns = columns_of(observe(model)[0])
    types = COLUMN_FEATURES[1:5]
    assert [columns["binary"][name] for name in types] == [1, 0, 0, 0]
    assert [columns["implied"][name] for name in types] == [0, 0, 1, 0]
    assert [columns["free"][name] for name in types] == [0, 0, 0, 1]
    assert (columns["free"]["has_lower"], columns["free"]["has_upper"]) == (0, 0)
    assert (columns["implied"]["has_lower"], columns["implied"]["has_upper"]) == (1, 1)
    assert columns["free"]["lp_value"] % 1 == pytest.approx(0.3)
    assert columns["free"]["fractionality"] == 0


NEGATED = """STATISTICS
  Problem name     : negated
OBJECTIVE
  Sense            : maximize
VARIABLES
  [integer] <x>: obj=5, original bounds=[0,10]
  [integer] <y>: obj=4, original bounds=[0,10]
  [binary] <p>: obj=-1, original bounds=[0,1]
  [binary] <q>: obj=1, original bounds=[0,1]
CONSTRAINTS
  [linear] <first>: 6<x> +4<y> <= 24;
  [linear] <second>: <x> +2<y> <= 6;
  [logicor] <either>: logicor(<p>,<~q>);
END
"""


def test_a_rows_constant_moves_to_its_side(tmp_path):
    # SCIP's row for "p or not q" is p - q + 1 >= 1, hence -p + q <= 0
    path = tmp_path / "negated.cip"
    path.write_text(NEGATED)
    model = plain_model()
    model.readProblem(str(path))
    seen = observe(model)[0]
    assert seen["lp_rows"][-1] == "either"
    assert seen["rows"][-1, ROW_FEATURES.index("bias")] == pytest.approx(0)
    assert seen["rows"][-1, ROW_FEATURES.index("is_tight")] == 1


class NoGains:
    """A model whose pseudocosts are all 0."""

    def getVarPseudocost(self, variable, direction):
        return 0.0


def test_gains_of_zero_count_as_a_millionth_in_the_score():
    gains = pseudocost_features(NoGains(), [None, None], np.array([0.5, 0.25]), norm=2.0)
    np.testing.assert_allclose(gains, [[0, 0], [0, 0], [5e-7, 5e-7]])


def test_a_problem_without_an_objective_is_finite():
    model = plain_model()
    x, y = model.addVar("x", "I", 0, 10), model.addVar("y", "I", 0, 10)
    model.addCons(6 * x + 4 * y == 23)
    seen = observe(model)[0]
    for part in ("columns", "rows", "edge_values", "candidates"):
        assert np.isfinite(seen[part]).all()
    assert not seen["columns"][:, COLUMN_FEATURES.index("objective")].any()
    assert not seen["rows"][:, ROW_FEATURES.index("objective_cosine")].any()


def test_arrays_have_the_types_that_learners_expect():
    seen = observe(hand_model())[0]
    for part in ("columns", "rows", "edge_values", "candidates"):
        assert seen[part].dtype == np.float32
        assert seen[part].flags.c_contiguous
    assert seen["edges"].dtype == np.int32
    assert not seen["edges"].flags.writeable
    assert not seen["edge_values"].flags.writeable


def test_numbers_beyond_scips_infinity_become_finite():
    features = np.array([[1.5, np.nan], [np.inf, -np.inf], [1e99, -1e99]])
    expected = np.array([[1.5, LIMIT, LIMIT], [0, -LIMIT, -LIMIT]], np.float32)
    np.testing.assert_array_equal(finite_float32(features), expected)


@pytest.mark.parametrize("part", ["candidates", "bipartite"])
def test_features_outside_of_solving_are_refused(part):
    model = hand_model()
    with pytest.raises(ConfigError, match="stage PROBLEM"):
        getattr(Extractor(model), part)()
