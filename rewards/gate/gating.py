"""Gated accumulation of whole episodes, laid end to end: the reference of every emission.

- `gate_episodes`: what each step counts for, and what each level did in each episode.
- `GatedEpisodes`: its result.
- `earn_episodes`: the part that is known step by step, and the gates that are known at the end.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rewardloom.errors import ComponentError, ConfigError
from rewardloom.rewards.gate.levels import Level, as_levels
from rewardloom.rewards.gate.plan import GatePlan, compile_levels
from rewardloom.typing import F64T, F64TK, I64E1

__all__ = ["EarnedEpisodes", "GatedEpisodes", "earn_episodes", "gate_episodes"]

F64LT = NDArray[np.float64]
F64LE = NDArray[np.float64]


class EarnedEpisodes(NamedTuple):
    """What L levels did in E episodes of T steps in all, before gates known only at the end.

    Attributes:
        earned: (L, T) weighted values after the gates of each step and the caps.
        aggregate: (L, E) values (before weights, gates and caps) over the episode: by the level's
            aggregation, by their mean for scope "step". 0 for an empty episode.
        open: (L, E) 1.0 or 0.0, whether the level lets lower ones count; for gates known at once
            the share of open steps.
        counts: (L, E) bool, whether all gates above that are known at the end are open.
        raw: (L, E) sums of the weighted values.
    """

    earned: F64LT
    aggregate: F64LE
    open: F64LE
    counts: NDArray[np.bool_]
    raw: F64LE


class GatedEpisodes(NamedTuple):
    """The result of `gate_episodes` for E episodes, T steps in all, and L levels.

    Attributes:
        reward: (T,) what each step counts for; its sum over an episode is the gated return.
        aggregate, open, raw: (E, L), see `EarnedEpisodes`.
        counted: (E, L) what each level adds to the gated return, after gates and caps.
    """

    reward: F64T
    aggregate: NDArray[np.float64]
    open: NDArray[np.float64]
    raw: NDArray[np.float64]
    counted: NDArray[np.float64]


def gate_episodes(
    components: F64TK,
    offsets: I64E1,
    levels: Sequence[Level | Mapping[str, Any]],
    names: Sequence[str],
) -> GatedEpisodes:
    r"""Return the gated rewards of episodes: sum_i g_i r_i(t) with g_i = prod_{j above i} open_j.

    r_i(t) is the weighted sum of the components of level i, and j runs over the levels of higher
    priority; see `Level`. Gates of scope "step" act within the step, those of scope "episode" on
    all steps. Gates read values before weights, gates and caps. Caps bound what gates of scope
    "step" let through. The rule is that of G-RA (arXiv 2508.10548); step scope, caps and more than
    two levels are our formulation.

    Args:
        components: (T, K) finite numbers.
        offsets: (E + 1,); episode e owns the rows offsets[e]:offsets[e + 1].
        levels: `Level` objects or mappings.
        names: The K component names.

    Raises:
        ConfigError: levels, names and components do not fit each other.
        ComponentError: a component is not finite.

    >>> import numpy as np
    >>> levels = [Level("solved", priority=1, threshold=0.0), Level("tool", weight=0.5)]
    >>> rows = np.array([[0, 1], [1, 1], [0, 1], [-1, 1]], float)
    >>> gate_episodes(rows, np.array([0, 2, 4]), levels, ("solved", "tool")).reward.tolist()
    [0.5, 1.5, 0.0, -1.0]
    """
    plan = compile_levels(as_levels(levels), names)
    components = np.asarray(components, np.float64)
    if components.ndim != 2 or components.shape[1] != len(names):
        raise ConfigError(
            f"components must have the shape (T, {len(names)}) of its names, got "
            f"{components.shape}."
        )
    offsets = np.asarray(offsets, np.int64)
    if not len(offsets) or offsets[0] != 0 or offsets[-1] != len(components):
        raise ConfigError(f"offsets must begin at 0 and end at T = {len(components)}.")
    _check_finite(components, names)
    found = earn_episodes(components, offsets, plan)
    counted = np.where(found.counts, _sums(found.earned, offsets), 0.0)
    kept = found.earned * np.repeat(found.counts, np.diff(offsets), axis=1)
    return GatedEpisodes(kept.sum(axis=0), found.aggregate.T, found.open.T, found.raw.T, counted.T)


def earn_episodes(components: F64TK, offsets: I64E1, plan: GatePlan) -> EarnedEpisodes:
    """Return what the levels earn step by step and which gates the episodes' ends open."""
    values = plan.select.T @ components.T
    earned = values * plan.weight[:, None]
    raw = _sums(earned, offsets)
    step_open = values > plan.step_bound[:, None]
    step_gate = None
    if plan.gates_steps:
        step_gate = np.ones(values.shape, bool)
        for j in np.flatnonzero(plan.step_bound > -np.inf).tolist():
            step_gate[plan.above[j] > 0] &= step_open[j]
        earned *= step_gate
    if len(plan.kind_cap):
        kinds = components.T[plan.kind_component] * plan.weight[plan.kind_level, None]
        if step_gate is not None:
            kinds *= step_gate[plan.kind_level]
        earned[plan.kind_levels] = plan.kind_sum.T @ _bounded(kinds, offsets, plan.kind_cap)
    if len(plan.cap):
        earned[plan.capped] = _bounded(earned[plan.capped], offsets, plan.cap)
    aggregate = _aggregate(values, offsets, plan)
    passed = aggregate > plan.end_bound[:, None]
    opened = passed.astype(np.float64)
    if plan.gates_steps:
        share = _sums(step_open, offsets) / np.maximum(np.diff(offsets), 1)
        at_once = plan.step_bound > -np.inf
        opened[at_once] = share[at_once]
    return EarnedEpisodes(earned, aggregate, opened, (plan.above.T @ ~passed) == 0, raw)


def _bounded(payments: F64LT, offsets: I64E1, cap: NDArray[np.float64]) -> F64LT:
    """Pay positive payments of each row, from the first on, until they add up to its cap."""
    room = np.empty(payments.shape)
    starts = offsets[:-1][offsets[1:] > offsets[:-1]]
    if not len(starts):
        return room
    # running sums of what is wanted before each step: at every start, take away what came before;
    # wanting at most the cap keeps a huge payment from swamping the sums of other episodes
    np.clip(payments[:, :-1], 0.0, cap[:, None], out=room[:, 1:])
    room[:, starts] = 0.0
    room[:, starts[1:]] = -np.add.reduceat(room, starts, axis=1)[:, :-1]
    np.cumsum(room, axis=1, out=room)
    np.subtract(cap[:, None], room, out=room)
    np.maximum(room, 0.0, out=room)
    return np.minimum(payments, room, out=room)


def _aggregate(values: F64LT, offsets: I64E1, plan: GatePlan) -> F64LE:
    lengths = np.diff(offsets)
    filled = lengths > 0
    aggregate = np.zeros((len(values), len(lengths)))
    if not filled.any():
        return aggregate
    starts = offsets[:-1][filled]
    for i, level in enumerate(plan.levels):
        row, how = values[i], "mean" if level.scope == "step" else level.aggregation
        if how == "last":
            aggregate[i, filled] = row[offsets[1:][filled] - 1]
        elif how in ("max", "min"):
            reduce = np.maximum if how == "max" else np.minimum
            aggregate[i, filled] = reduce.reduceat(row, starts)
        else:
            aggregate[i, filled] = np.add.reduceat(row, starts)
            if how == "mean":
                aggregate[i] /= np.maximum(lengths, 1)
    return aggregate


def _sums(rows: np.ndarray, offsets: I64E1) -> F64LE:
    """Return the sum of every row over each episode."""
    filled = offsets[1:] > offsets[:-1]
    totals = np.zeros((len(rows), len(filled)))
    if filled.any():
        for row, total in zip(rows, totals, strict=True):
            total[filled] = np.add.reduceat(row, offsets[:-1][filled], dtype=np.float64)
    return totals


def _check_finite(components: F64TK, names: Sequence[str]) -> None:
    wrong = np.argwhere(~np.isfinite(components))
    if len(wrong):
        row, k = wrong[0].tolist()
        raise ComponentError(
            f"Reward component {names[k]!r} is {components[row, k]} in row {row}. Components must "
            "be finite numbers; mend the data or map the value."
        )
