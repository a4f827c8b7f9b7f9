"""Multiple knapsacks: pack the most profit into several knapsacks."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np

from rewardloom.envs.branching.instances.checks import require_int
from rewardloom.envs.branching.instances.instance import MilpInstance
from rewardloom.errors import ConfigError, unknown_name

__all__ = ["Profits", "multiple_knapsack"]

Profits = Literal["subset_sum", "uncorrelated", "weakly_correlated", "strongly_correlated"]


def multiple_knapsack(
    rng: np.random.Generator,
    *,
    num_items: int,
    num_knapsacks: int,
    min_weight: int = 10,
    max_weight: int = 19,
    profits: Profits = "subset_sum",
) -> MilpInstance:
    """Draw a multiple knapsack program after Fukunaga (2011).

    Maximize `sum_k profit @ x_k` with `weight @ x_k <= capacity_k` for every knapsack `k`, every
    item in at most one knapsack, `x` binary. Variable `k * num_items + i` puts item `i` into
    knapsack `k`; the capacity rows come first.

    All capacities but the last are uniform between 0.4 and 0.6 times the total weight over the
    number of knapsacks, rounded down; the last one makes them half of the total weight together.
    They are drawn again while the last knapsack cannot hold the heaviest item.

    Args:
        rng: Where every random number comes from.
        num_items: Items, at least 2.
        num_knapsacks: Knapsacks, at least 1.
        min_weight: Smallest weight; weights are integers.
        max_weight: Largest weight.
        profits: How an item's profit follows from its weight `w`, with `r = max_weight -
            min_weight`: `subset_sum` is `w`, the published benchmark; `uncorrelated` is uniform
            in min_weight..max_weight; `weakly_correlated` is uniform in `w - r`..`w + r`, at least
            1; `strongly_correlated` is `w + r / 10`.

    Raises:
        ConfigError: A size out of range, an unknown kind of profits, or knapsacks that would be
            too small for the items.
    """
    require_int("num_items", num_items, 2)
    require_int("num_knapsacks", num_knapsacks, 1)
    require_int("min_weight", min_weight, 1)
    require_int("max_weight", max_weight, min_weight)
    weights = rng.integers(min_weight, max_weight + 1, num_items)
    profit = _profits(rng, weights, (min_weight, max_weight), profits)
    capacities = _capacities(rng, weights, num_knapsacks)
    cells = np.arange(num_items * num_knapsacks).reshape(num_knapsacks, num_items)
    return MilpInstance(
        objective=np.tile(profit, num_knapsacks),
        data=np.concatenate((np.tile(weights, num_knapsacks).astype(float), np.ones(cells.size))),
        indices=np.concatenate((cells.ravel(), cells.T.ravel())),
        indptr=np.concatenate(
            (
                np.arange(num_knapsacks) * num_items,
                cells.size + np.arange(num_items + 1) * num_knapsacks,
            )
        ),
        lhs=np.full(num_knapsacks + num_items, -np.inf),
        rhs=np.concatenate((capacities, np.ones(num_items))),
        lower=np.zeros(cells.size),
        upper=np.ones(cells.size),
        is_integer=np.ones(cells.size, dtype=bool),
        sense="maximize",
        name=f"multiple_knapsack_{num_items}x{num_knapsacks}",
    )


def _profits(
    rng: np.random.Generator, weights: np.ndarray, bounds: tuple[int, int], kind: Profits
) -> np.ndarray:
    spread = bounds[1] - bounds[0]
    if kind == "subset_sum":
        return weights
    if kind == "uncorrelated":
        return rng.integers(bounds[0], bounds[1] + 1, len(weights))
    if kind == "weakly_correlated":
        return np.maximum(rng.integers(weights - spread, weights + spread + 1), 1)
    if kind == "strongly_correlated":
        return weights + spread / 10
    raise ConfigError(unknown_name("kind of profits", kind, get_args(Profits)))


def _capacities(rng: np.random.Generator, weights: np.ndarray, num_knapsacks: int) -> np.ndarray:
    total, heaviest = int(weights.sum()), int(weights.max())
    share = total / num_knapsacks
    if share / 2 < heaviest:
        raise ConfigError(
            f"{num_knapsacks} knapsacks with half of the weight of {len(weights)} items hold "
            f"{share / 2:g} each, less than the heaviest item ({heaviest}). "
            "Use fewer knapsacks or more items."
        )
    while True:  # the last one is at least share / 2 in every second draw or more
        first = np.floor(rng.uniform(0.4, 0.6, num_knapsacks - 1) * share).astype(np.int64)
        last = total // 2 - int(first.sum())
        if last >= heaviest:
            return np.append(first, last)
