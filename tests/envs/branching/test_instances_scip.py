"""Programs inside SCIP: models, optima and round trips through files."""

from __future__ import annotations

import gzip
import itertools
import sys
from pathlib import Path

import numpy as np
import pytest
from pyscipopt import Model

from rewardloom.envs.branching.instances import FAMILIES, MilpInstance, generate, read_model
from rewardloom.envs.branching.settings import SearchSettings
from rewardloom.errors import ConfigError, MissingDependency

SMALL = {
    "set_cover": {"num_rows": 6, "num_columns": 10, "density": 0.5},
    "combinatorial_auction": {"num_items": 6, "num_bids": 11},
    "facility_location": {"num_customers": 3, "num_facilities": 3, "unsplittable": True},
    "independent_set": {"num_nodes": 11, "affinity": 3},
    "multiple_knapsack": {"num_items": 6, "num_knapsacks": 2, "min_weight": 3},
    "micro": {"num_variables": 11, "num_rows": 3},
}


def small(family: str, seed: int = 4) -> MilpInstance:
    return generate(family, np.random.default_rng(seed), size="tiny", **SMALL[family])


def optimum(model: Model) -> float:
    try:
        model.hideOutput()
        model.optimize()
        assert model.getStatus() == "optimal"
        return model.getObjVal()
    finally:
        model.free()


def costs(model: Model) -> dict[str, float]:
    return {variable.name: variable.getObj() for variable in model.getVars()}


def brute_force(program: MilpInstance) -> float:
    points = np.array(list(itertools.product((0.0, 1.0), repeat=program.num_variables)))
    dense = np.array([program.row_activity(unit) for unit in np.eye(program.num_variables)])
    activity = points @ dense
    feasible = ((activity >= program.lhs - 1e-9) & (activity <= program.rhs + 1e-9)).all(axis=1)
    values = points[feasible] @ program.objective
    return float(values.min() if program.sense == "minimize" else values.max())


def hand_made(**changes: object) -> MilpInstance:
    """Maximize 3 x0 + 2 x1 - x2 under -1 <= x0 - x1 <= 2, x0 + x1 + x2 = 4.5, rows in that order.

    x0 is an integer in 0..3, x1 an integer of at least 0, x2 at least -5 and continuous. Best is
    x0 = 3, and each unit of x1 gains 2 and another 1 by lowering x2: x1 = 4 (row 0), x2 = -2.5.
    """
    parts: dict[str, object] = {
        "objective": [3, 2, -1],
        "data": [1, -1, 1, 1, 1],
        "indices": [0, 1, 0, 1, 2],
        "indptr": [0, 2, 5],
        "lhs": [-1, 4.5],
        "rhs": [2, 4.5],
        "lower": [0, 0, -5],
        "upper": [3, np.inf, np.inf],
        "is_integer": [True, True, False],
        "sense": "maximize",
        "name": "hand_made",
    }
    return MilpInstance(**{**parts, **changes})  # pyright: ignore[reportArgumentType]  # wrong ones too


def test_a_model_by_hand():
    model = hand_made().to_model()
    x = model.getVars()
    assert [v.name for v in x] == ["x0", "x1", "x2"]
    assert [v.vtype() for v in x] == ["INTEGER", "INTEGER", "CONTINUOUS"]
    assert [v.getUbOriginal() for v in x] == [3, model.infinity(), model.infinity()]
    assert [v.getLbOriginal() for v in x] == [0, 0, -5]
    rows = model.getConss()
    assert [(model.getLhs(c), model.getRhs(c)) for c in rows] == [(-1, 2), (4.5, 4.5)]
    assert model.getValsLinear(rows[1]) == {"x0": 1, "x1": 1, "x2": 1}
    assert model.getObjectiveSense() == "maximize"
    assert model.getProbName() == "hand_made"
    assert optimum(model) == pytest.approx(9 + 8 + 2.5)


def test_a_row_without_sides_and_an_empty_row_change_nothing():
    wide = {"lhs": [-1, 4.5, -np.inf, 0], "rhs": [2, 4.5, np.inf, 1]}
    rows = {"data": [1, -1, 1, 1, 1, 1], "indices": [0, 1, 0, 1, 2, 2], "indptr": [0, 2, 5, 6, 6]}
    assert optimum(hand_made(**wide, **rows).to_model()) == pytest.approx(19.5)


def test_integers_of_a_unit_box_are_binary_in_scip():
    model = hand_made(upper=[1, 0, 9], lower=[0, 0, -5]).to_model()
    assert [v.vtype() for v in model.getVars()] == ["BINARY", "BINARY", "CONTINUOUS"]
    model.free()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"lower": [0, 0]}, r"lower has shape \(2,\), not \(3,\)"),
        ({"indptr": [0, 5]}, r"indptr has shape \(2,\), not \(3,\)"),
        ({"indptr": [0, 6, 5]}, "indptr must rise from 0 to 5"),
        ({"indices": [0, 1, 0, 1, 3]}, r"indices must lie in 0\.\.2"),
        ({"indices": [0, 1, 0, 1, 1]}, "same column twice"),
        ({"lower": [4, 0, 0]}, "lower must be at most upper"),
        ({"lhs": [np.nan, 0]}, "lhs must be at most rhs"),
        ({"objective": [np.inf, 0, 0]}, "objective holds a value that is not finite"),
        ({"sense": "max"}, "'minimize' or 'maximize'"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(changes, message):
    with pytest.raises(ConfigError, match=message):
        hand_made(**changes)


def test_the_arrays_are_copies_and_read_only():
    mine = np.array([3.0, 2.0, -1.0])
    program = hand_made(objective=mine)
    mine[0] = 9.0
    assert program.objective[0] == 3.0
    with pytest.raises(ValueError, match="read-only"):
        program.objective[0] = 1.0


def test_without_pyscipopt_the_message_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyscipopt", None)
    program = small("micro")  # drawing needs numpy alone
    with pytest.raises(MissingDependency, match=r'pip install "rewardloom\[milp\]"'):
        program.to_model()


@pytest.mark.parametrize("seed", [4, 5])
@pytest.mark.parametrize("family", FAMILIES)
def test_the_optimum_of_a_tiny_program_is_that_of_brute_force(family, seed):
    program = small(family, seed)
    assert optimum(program.to_model()) == pytest.approx(brute_force(program))


def test_splitting_a_customers_demand_never_costs_more():
    def cost(unsplittable: bool) -> float:
        rng = np.random.default_rng(1)
        size = {"num_customers": 8, "num_facilities": 5, "ratio": 1.3}
        return optimum(
            generate("facility_location", rng, unsplittable=unsplittable, **size).to_model()
        )

    assert cost(False) < cost(True) - 1e-6


@pytest.mark.parametrize("suffix", [".mps", ".lp", ".cip", ".mps.gz", ".lp.gz", ".cip.gz"])
@pytest.mark.parametrize("family", ["micro", "facility_location"])
def test_a_program_survives_the_way_through_a_file(family, suffix, tmp_path: Path):
    program = small(family)
    model = program.to_model()
    plain = tmp_path / f"program{suffix.removesuffix('.gz')}"
    model.writeProblem(str(plain), verbose=False)
    file = tmp_path / f"program{suffix}"
    if suffix.endswith(".gz"):  # SCIP itself writes none
        file.write_bytes(gzip.compress(plain.read_bytes()))
    back = read_model(file)
    assert costs(back) == pytest.approx(costs(model))  # a reader may order columns otherwise
    assert back.getNConss() == program.num_rows
    model.free()
    assert optimum(back) == pytest.approx(brute_force(program))


@pytest.mark.parametrize("family", FAMILIES)
def test_the_tiny_size_has_a_tree_to_search(family):
    """At most one of four programs ends at the root in the `light` search."""
    nodes = []
    for seed in range(4):
        model = generate(family, np.random.default_rng(seed), size="tiny").to_model()
        SearchSettings(preset="light", seed=seed, node_limit=20).apply(model)
        model.setParam("branching/random/priority", 536870911)
        model.optimize()
        nodes.append(model.getNNodes())
        model.free()
    assert sum(count > 3 for count in nodes) >= 3, nodes
