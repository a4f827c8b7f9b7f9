"""Small mixed-integer programs for the tests of SCIP's search, and a rule to branch by."""

from __future__ import annotations

import numpy as np
from pyscipopt import Model, quicksum

from rewardloom.envs.branching.records import Decision


def knapsack(seed: int, columns: int = 24, rows: int = 4) -> Model:
    """Maximize profits under a few weight limits: dozens of nodes, milliseconds."""
    rng = np.random.default_rng(seed)
    weights = rng.integers(5, 100, (rows, columns)).tolist()
    profits = rng.integers(5, 100, columns).tolist()
    model = Model()
    x = [model.addVar(f"x{i}", vtype="B") for i in range(columns)]
    for row in weights:
        model.addCons(quicksum(w * v for w, v in zip(row, x, strict=True)) <= sum(row) // 2)
    model.setObjective(quicksum(p * v for p, v in zip(profits, x, strict=True)), "maximize")
    return model


def set_cover(
    seed: int,
    rows: int = 80,
    columns: int = 80,
    density: float = 0.08,
    costs: tuple[int, int] = (10, 30),
) -> Model:
    """Minimize the cost of columns that cover every row; costs that differ little are hard."""
    rng = np.random.default_rng(seed)
    covers = rng.random((rows, columns)) < density
    covers[np.arange(rows), rng.integers(columns, size=rows)] = True
    prices = rng.integers(*costs, columns).tolist()
    model = Model()
    x = [model.addVar(f"x{i}", vtype="B") for i in range(columns)]
    for row in covers:
        model.addCons(quicksum(x[i] for i in np.flatnonzero(row)) >= 1)
    model.setObjective(quicksum(c * v for c, v in zip(prices, x, strict=True)))
    return model


def mixed(seed: int, columns: int = 12, rows: int = 8) -> Model:
    """Minimize over general integers and continuous variables, with two-sided rows."""
    rng = np.random.default_rng(seed)
    coefficients = rng.integers(1, 30, (rows, columns)).tolist()
    costs = rng.integers(5, 40, columns).tolist()
    model = Model()
    kinds = ["I" if i % 3 else "C" for i in range(columns)]
    x = [model.addVar(f"x{i}", vtype=k, lb=0, ub=9) for i, k in enumerate(kinds)]
    for row in coefficients:
        activity = quicksum(c * v for c, v in zip(row, x, strict=True))
        model.addCons((sum(row) <= activity) <= 3 * sum(row))
    model.setObjective(quicksum(c * v for c, v in zip(costs, x, strict=True)) + 17)
    return model


def most_infeasible(decision: Decision) -> int:
    """Return SCIP's `mostinf` choice: nearest to one half, then the largest cost, then the first.

    Closeness is compared within SCIP's epsilon of 1e-9.
    """
    best, best_closeness, best_cost = 0, -1.0, -1.0
    for index, variable in enumerate(decision.variables):
        fraction = float(decision.fractions[index])
        closeness, cost = min(fraction, 1 - fraction), abs(variable.getObj())
        ties = closeness >= best_closeness - 1e-9
        if closeness > best_closeness + 1e-9 or (ties and cost > best_cost):
            best, best_closeness, best_cost = index, closeness, cost
    return best
