"""Features of LP branching candidates after Khalil et al. (2016).

"Learning to Branch in Mixed Integer Programming", AAAI 2016, Table 1. Of its 72 atomic features
the four of infeasibility statistics are left out: PySCIPOpt does not reach SCIP's counts of
infeasible children. docs/worlds/branching_features.md defines each feature, and says where the
paper leaves a choice to us.

- `RowNumbers`: what is read of the rows at each node.
- `static_features`, `node_features`: the two halves of `KHALIL_FEATURES`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from pyscipopt import Model
from pyscipopt.scip import Row

from rewardloom.envs.branching.features.candidates import predicted_gains
from rewardloom.envs.branching.features.coefficients import CoefficientTable, Entries
from rewardloom.envs.branching.features.columns import Chosen
from rewardloom.envs.branching.features.numbers import gather, take_segments, total
from rewardloom.envs.branching.features.rows import Sides

__all__ = ["KHALIL_FEATURES", "RowNumbers", "node_features", "static_features"]

_SPREAD = ("mean", "std", "min", "max")
_SIGNS = ("positive", "negative")
_WEIGHTS = ("unit", "all", "candidates", "dual")

_STATIC = (
    "objective",
    "objective_positive",
    "objective_negative",
    "rows",
    *(f"degree_{part}" for part in _SPREAD),
    *(f"{sign}_{part}" for sign in _SIGNS for part in ("count", *_SPREAD)),
)
KHALIL_FEATURES = (
    *_STATIC,
    "slack",
    "ceil_distance",
    *(f"pseudocost_{part}" for part in ("up", "down", "ratio", "sum", "product")),
    *(f"node_degree_{part}" for part in (*_SPREAD, "mean_ratio", "min_ratio", "max_ratio")),
    *(f"{sign}_side_{part}" for sign in _SIGNS for part in ("min", "max")),
    *(f"{a}_to_{b}_{part}" for a in _SIGNS for b in _SIGNS for part in ("min", "max")),
    *(f"active_{weight}_{part}" for weight in _WEIGHTS for part in ("count", "sum", *_SPREAD)),
)
"""Names of the 68 features, in their order; docs/worlds/branching_features.md defines each."""


class RowNumbers(NamedTuple):
    """What is read of the rows at each node, all (m,) but the sides.

    Attributes:
        sides: Both sides less the row's constant, (m, 2).
        active: Whether the LP solution lies on a side.
        dual: Absolute dual values.
    """

    sides: NDArray[np.float64]
    active: NDArray[np.bool_]
    dual: NDArray[np.float64]

    @classmethod
    def read(cls, model: Model, rows: Sequence[Row], sides: Sides) -> RowNumbers:
        """Read the numbers of the LP's rows."""
        both = np.stack([sides.left, sides.right], axis=1)
        activity = gather(model.getRowLPActivity, rows)[:, None]
        tight = (np.abs(activity - both) <= model.epsilon()) & sides.finite
        both -= gather(Row.getConstant, rows)[:, None]
        both[~sides.finite] = 0
        return cls(both, np.asarray(tight.any(axis=1)), np.abs(gather(Row.getDualsol, rows)))


def static_features(table: CoefficientTable, objective: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the (18, n) features of all columns that stay the same during a search.

    Args:
        table: The LP's coefficients.
        objective: (n,) objective coefficients.
    """
    count = len(objective)
    entries = table.entries(np.arange(count))
    degrees = _spread(entries.owner, table.degree[entries.row].astype(np.float64), count)
    parts = [objective, np.maximum(objective, 0), np.minimum(objective, 0), table.lengths, *degrees]
    for sign in (1, -1):
        part = entries.where(sign * entries.value > 0)
        parts += [_count(part.owner, count), *_spread(part.owner, part.value, count)]
    return np.stack(parts)


def node_features(
    model: Model,
    chosen: Chosen,
    fraction: NDArray[np.float64],
    table: CoefficientTable,
    rows: RowNumbers,
    free: NDArray[np.bool_],
    static: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return the (50, k) features of the candidates that belong to the current node.

    Args:
        model: A model in the middle of solving, its LP solved.
        chosen: The candidates.
        fraction: (k,) how far their LP values are above the next lower integer.
        table: The LP's coefficients.
        rows: The rows at this node.
        free: (n,) whether a column's bounds differ at this node.
        static: (18, k) the candidates' `static_features`.
    """
    entries = table.entries(chosen.positions)
    parts = [np.minimum(fraction, 1 - fraction), 1 - fraction]
    parts += _pseudocosts(model, chosen, fraction)
    parts += _degrees(table, entries, free, static)
    parts += _side_ratios(table, entries, rows, len(fraction))
    parts += _shares(table, entries, len(fraction))
    parts += _active(table, entries, rows, len(fraction))
    return np.stack(parts)


def _count(owner: NDArray[np.intp], count: int) -> NDArray[np.float64]:
    return np.bincount(owner, minlength=count).astype(np.float64)


def _spread(
    owner: NDArray[np.intp], values: NDArray[np.float64], count: int
) -> list[NDArray[np.float64]]:
    """Return mean, standard deviation, least and largest value of each owner; 0 without values."""
    amount = _count(owner, count)
    share = np.maximum(amount, 1)
    mean = total(owner, values, count) / share
    spread = np.sqrt(total(owner, (values - mean[owner]) ** 2, count) / share)
    return [mean, spread, *_extremes(owner, values, count)]


def _extremes(
    owner: NDArray[np.intp], values: NDArray[np.float64], count: int
) -> list[NDArray[np.float64]]:
    """Return the least and the largest value of each owner, whose indices ascend."""
    amount = np.bincount(owner, minlength=count)
    some = amount > 0
    starts = (np.cumsum(amount) - amount)[some]
    extremes = np.zeros((2, count))
    if len(starts):
        extremes[0, some] = np.minimum.reduceat(values, starts)
        extremes[1, some] = np.maximum.reduceat(values, starts)
    return list(extremes)


def _ratio(top: NDArray[np.float64], bottom: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return `top / bottom`, 0 where that is a division by 0."""
    return np.divide(top, bottom, out=np.zeros(len(top)), where=bottom != 0)


def _pseudocosts(
    model: Model, chosen: Chosen, fraction: NDArray[np.float64]
) -> list[NDArray[np.float64]]:
    down, up = predicted_gains(model, chosen.variables, fraction)
    return [up, down, _ratio(up, down), up + down, up * down]


def _degrees(
    table: CoefficientTable,
    entries: Entries,
    free: NDArray[np.bool_],
    static: NDArray[np.float64],
) -> list[NDArray[np.float64]]:
    """Return statistics of the rows' degrees in free columns, and static ones over these."""
    _, taken = take_segments(table.lengths, np.flatnonzero(free))
    degree = np.bincount(table.row[taken], minlength=len(table.degree)).astype(np.float64)
    mean, spread, least, most = _spread(entries.owner, degree[entries.row], static.shape[1])
    first = _STATIC.index("degree_mean")
    ratios = [
        _ratio(static[first], mean),
        _ratio(static[first + 2], least),
        _ratio(static[first + 3], most),
    ]
    return [mean, spread, least, most, *ratios]


def _side_ratios(
    table: CoefficientTable, entries: Entries, rows: RowNumbers, count: int
) -> list[NDArray[np.float64]]:
    """Return the extremes of `a / (|a| + |b|)` over sides `a x <= b` with b > 0, then b < 0."""
    owner = np.repeat(entries.owner, 2)
    sign = np.tile([-1.0, 1.0], len(entries.row))
    # the table's signs are turned for rows with a left side alone: undo it, then turn left sides
    value = np.repeat(entries.value * table.turn[entries.row], 2) * sign
    side = rows.sides[entries.row].ravel() * sign
    ratio = value / (np.abs(value) + np.abs(side))
    return [
        extreme
        for kind in (side > 0, side < 0)
        for extreme in _extremes(owner[kind], ratio[kind], count)
    ]


def _shares(table: CoefficientTable, entries: Entries, count: int) -> list[NDArray[np.float64]]:
    """Return the extremes of `|a| / (|a| + s)`, s the sum of the others' positive or negative."""
    parts: list[NDArray[np.float64]] = []
    for own in (1, -1):
        part = entries.where(own * entries.value > 0)
        size = np.abs(part.value)
        for other, sums in zip((1, -1), table.sums[:, part.row], strict=True):
            others = np.maximum(sums - size, 0) if own == other else sums
            parts += _extremes(part.owner, size / (size + others), count)
    return parts


def _active(
    table: CoefficientTable, entries: Entries, rows: RowNumbers, count: int
) -> list[NDArray[np.float64]]:
    """Return six statistics for each way to weigh the active rows."""
    candidates = total(entries.row, np.abs(entries.value), len(rows.dual))
    weights = [
        np.ones(len(rows.dual)),
        _ratio(np.ones(len(rows.dual)), table.sums.sum(axis=0)),
        _ratio(np.ones(len(rows.dual)), candidates),
        rows.dual,
    ]
    active = entries.where(rows.active[entries.row])
    parts: list[NDArray[np.float64]] = []
    for weight in weights:
        mine = weight[active.row]
        values = mine * np.abs(active.value)
        parts += [total(active.owner, by, count) for by in (mine, values)]
        parts += _spread(active.owner, values, count)
    return parts
