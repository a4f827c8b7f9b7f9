"""Interquartile means, bootstrap intervals and learning curves over training runs.

- `iqm`: interquartile mean.
- `Estimate`, `estimate`: a number with its interval, over runs.
- `Curve`, `bin_episodes`, `learning_curve`: a quantity over training steps.
- `interpolated_curve`: the same of a few values per run.
- `verdict`: what two intervals allow to say.

The run is the unit that is resampled: episodes of one agent are not independent evidence about a
design. Intervals are percentile intervals of the stratified bootstrap of Agarwal et al. 2021
("Deep reinforcement learning at the edge of the statistical precipice", section 4.1), the same
that the package rliable computes, here with a fixed seed, so that a report is the same each time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "CONFIDENCE",
    "SEEDS_TO_CLAIM",
    "Curve",
    "Estimate",
    "bin_episodes",
    "estimate",
    "interpolated_curve",
    "iqm",
    "learning_curve",
    "mean",
    "overlap",
    "verdict",
]

Array = NDArray[np.float64]

CONFIDENCE = 0.95
SEEDS_TO_CLAIM = 5
"""Fewer runs of an arm than this never support the word "better"."""

_REPLICATES = 20_000
_CURVE_REPLICATES = 2_000
_BOOTSTRAP_SEED = 0
_GRID = 200  # points of an interpolated curve, at most


class Estimate(NamedTuple):
    """A statistic over runs with its interval.

    Attributes:
        point: The statistic.
        low, high: The ends of the 95 % interval; NaN with a single run.
        runs: How many runs it rests on.
    """

    point: float
    low: float
    high: float
    runs: int


class Curve(NamedTuple):
    """A mean over runs along training; NaN where not every run has a value.

    Attributes:
        step: (B,) middles of the bins, in environment steps.
        point: (B,) means over runs.
        low, high: (B,) ends of the 95 % intervals; NaN with a single run.
        runs: How many runs it rests on.
    """

    step: Array
    point: Array
    low: Array
    high: Array
    runs: int


def iqm(values: Array) -> Any:
    """Return the mean of the middle half along the last axis.

    Of n values the floor(n / 4) smallest and largest are left out, so up to three values give
    their mean.
    """
    count = values.shape[-1]
    cut = count // 4
    return np.sort(values, axis=-1)[..., cut : count - cut].mean(axis=-1)


def mean(values: Array) -> Any:
    """Return the mean along the last axis."""
    return values.mean(axis=-1)


def estimate(
    scores: Any,
    statistic: Callable[[Array], Any] = iqm,
    *,
    replicates: int = _REPLICATES,
    seed: int = _BOOTSTRAP_SEED,
) -> Estimate:
    """Return a statistic of scores with its stratified bootstrap interval.

    Args:
        scores: (runs,) or (runs, tasks); runs are resampled within each task.
        statistic: Maps (..., n) to (...); `iqm` or `mean`.
        replicates: Bootstrap samples.
        seed: Of the resampling.
    """
    table = np.asarray(scores, np.float64)
    table = table.reshape(len(table), -1)
    runs, tasks = table.shape
    point = float(statistic(table.ravel()))
    if runs < 2:
        return Estimate(point, np.nan, np.nan, runs)
    rows = np.random.default_rng(seed).integers(0, runs, (replicates, runs, tasks))
    samples = table[rows, np.arange(tasks)].reshape(replicates, -1)
    low, high = np.percentile(statistic(samples), _tails())
    return Estimate(point, float(low), float(high), runs)


def bin_episodes(steps: Any, values: Any, edges: Array) -> Array:
    """Return the mean of the episodes that ended in each bin; NaN outside a run's episodes.

    A bin between others in which no episode ended is filled by a straight line.

    Args:
        steps: (E,) training steps at which the episodes ended.
        values: (E,) one number per episode; NaN for none.
        edges: (B + 1,) ends of the bins; a step on an edge belongs to the bin before it.
    """
    steps, values = np.asarray(steps, np.float64), np.asarray(values, np.float64)
    inside = np.isfinite(values) & (steps > edges[0]) & (steps <= edges[-1])
    bins = np.searchsorted(edges, steps[inside], side="left") - 1
    count = np.bincount(bins, minlength=len(edges) - 1)
    total = np.bincount(bins, weights=values[inside], minlength=len(edges) - 1)
    means = np.divide(total, count, out=np.full(len(count), np.nan), where=count > 0)
    known = np.flatnonzero(count)
    if len(known):
        between = np.arange(known[0], known[-1] + 1)
        means[between] = np.interp(between, known, means[known])
    return means


def learning_curve(runs: Sequence[Array], edges: Array) -> Curve:
    """Return the mean of binned runs with its bootstrap interval in each bin.

    Args:
        runs: R arrays (B,) from `bin_episodes`.
        edges: (B + 1,) the bins they were made with.
    """
    return _curve((edges[:-1] + edges[1:]) / 2, np.stack(runs))


def interpolated_curve(runs: Sequence[tuple[Array, Array]]) -> Curve:
    """Return the mean of runs that have values at a few steps of their own.

    The curve has the steps of all runs (at most 200 of them) from the latest first step to the
    earliest last one; a run's value between two of its steps lies on a straight line.

    Args:
        runs: (steps, values) per run, each (M,) with M >= 1, steps ascending, values finite.
    """
    first = max(steps[0] for steps, _ in runs)
    last = min(steps[-1] for steps, _ in runs)
    grid = np.unique(np.concatenate([steps for steps, _ in runs]).astype(np.float64))
    grid = grid[(grid >= first) & (grid <= last)]
    if len(grid) > _GRID:
        grid = np.linspace(first, last, _GRID)
    table = [np.interp(grid, steps, values) for steps, values in runs]
    return _curve(grid, np.stack(table))


def _curve(step: Array, table: Array) -> Curve:
    """Return the mean over the rows of a (runs, B) table with its interval at each step."""
    point = table.mean(axis=0)
    low = high = np.full_like(point, np.nan)
    if len(table) > 1:
        rng = np.random.default_rng(_BOOTSTRAP_SEED)
        rows = rng.integers(0, len(table), (_CURVE_REPLICATES, len(table)))
        low, high = np.percentile(table[rows].mean(axis=1), _tails(), axis=0)
    return Curve(step, point, low, high, len(table))


def overlap(a: Estimate, b: Estimate) -> bool:
    """Return whether two intervals share a point; one that is not known may."""
    return not (a.low > b.high or b.low > a.high)


def verdict(arms: tuple[str, str], a: Estimate, b: Estimate, quantity: str) -> str:
    """Return the sentence that two arms' intervals allow; higher is better.

    Args:
        arms: Their names.
        a: The first arm's estimate. Likewise `b`.
        quantity: What was measured, for example "raw return".
    """
    pair, runs = f"{arms[0]} and {arms[1]}", min(a.runs, b.runs)
    seeds = "1 seed" if runs == 1 else f"{runs} seeds"
    if runs < 2:
        return f"{pair}: with {seeds} there is no interval; too few seeds to say better."
    if not np.isfinite([a.low, a.high, b.low, b.high]).all():
        return f"{pair}: a score is not a number, so there is no interval to compare."
    if overlap(a, b):
        return f"The intervals of {pair} overlap: no difference in {quantity} is shown ({seeds})."
    if runs < SEEDS_TO_CLAIM:
        return (
            f"The intervals of {pair} do not overlap, but {seeds} are too few seeds to say better."
        )
    higher, lower = arms if a.point > b.point else arms[::-1]
    return (
        f"{higher} reaches a better {quantity} than {lower}: the intervals do not overlap "
        f"({seeds})."
    )


def _tails() -> list[float]:
    return [100 * (1 - CONFIDENCE) / 2, 100 * (1 + CONFIDENCE) / 2]
