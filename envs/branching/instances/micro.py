"""A program of a few variables whose search takes milliseconds: for tests and tutorials."""

from __future__ import annotations

import numpy as np

from rewardloom.envs.branching.instances.checks import require_int
from rewardloom.envs.branching.instances.instance import MilpInstance

__all__ = ["micro"]


def micro(rng: np.random.Generator, *, num_variables: int = 20, num_rows: int = 3) -> MilpInstance:
    """Draw a small knapsack with several weight limits; our formulation.

    Maximize `profit @ x` with `weight @ x <= capacity` in every row, `x` binary. Weights are
    integers uniform in 10..99, a profit is the mean of its column's weights plus a uniform integer
    in 0..19, and every capacity is half of its row's weights, rounded down. Profits that follow
    the weights leave a search tree to explore even at this size.

    Args:
        rng: Where every random number comes from.
        num_variables: Items to choose from, at least 2.
        num_rows: Weight limits, at least 1.

    Raises:
        ConfigError: A size out of range.
    """
    require_int("num_variables", num_variables, 2)
    require_int("num_rows", num_rows, 1)
    weights = rng.integers(10, 100, (num_rows, num_variables))
    profits = np.floor(weights.mean(axis=0)) + rng.integers(0, 20, num_variables)
    return MilpInstance(
        objective=profits,
        data=weights.ravel().astype(np.float64),
        indices=np.tile(np.arange(num_variables), num_rows),
        indptr=np.arange(num_rows + 1) * num_variables,
        lhs=np.full(num_rows, -np.inf),
        rhs=(weights.sum(axis=1) // 2).astype(np.float64),
        lower=np.zeros(num_variables),
        upper=np.ones(num_variables),
        is_integer=np.ones(num_variables, dtype=bool),
        sense="maximize",
        name=f"micro_{num_variables}x{num_rows}",
    )
