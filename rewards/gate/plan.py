"""`GatePlan`: levels compiled to arrays over the components of one world.

Axes: K components, L levels, J kinds (the components, each by itself, of levels with a cap per
kind).
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rewardloom.errors import ConfigError, unknown_name
from rewardloom.rewards.gate.levels import Level
from rewardloom.typing import ComponentNames

__all__ = ["GatePlan", "compile_levels"]

_TOLERANCE = 1e-9


class GatePlan(NamedTuple):
    """Arrays that say how levels read components and gate each other.

    Attributes:
        levels: The levels, in the order of every L axis.
        select: (K, L) float64, 1 where a component belongs to a level.
        weight: (L,) float64.
        step_bound: (L,) float64. A level is open at a step where its value is greater. Minus
            infinity for levels whose gate is not known at once.
        end_bound: (L,) float64, likewise for the aggregate over an episode.
        above: (L, L) float64, 1 where level j (row) has a higher priority than level i.
        capped: Indices of the levels with a cap; `cap` (C,) float64 holds it.
        kind_component, kind_level: (J,) int64, which component and level a kind belongs to.
        kind_cap: (J,) float64.
        kind_levels: Indices of the levels with a cap per kind; `kind_sum` (J, those) adds up.
    """

    levels: tuple[Level, ...]
    select: NDArray[np.float64]
    weight: NDArray[np.float64]
    step_bound: NDArray[np.float64]
    end_bound: NDArray[np.float64]
    above: NDArray[np.float64]
    capped: NDArray[np.int64]
    cap: NDArray[np.float64]
    kind_component: NDArray[np.int64]
    kind_level: NDArray[np.int64]
    kind_cap: NDArray[np.float64]
    kind_levels: NDArray[np.int64]
    kind_sum: NDArray[np.float64]

    @property
    def gates_steps(self) -> bool:
        """Whether a gate acts at once: scope "step", or a threshold at plus infinity."""
        return bool((self.step_bound > -math.inf).any())

    @property
    def gates_episodes(self) -> bool:
        """Whether a gate is known only when the episode has ended."""
        return bool((self.end_bound > -math.inf).any())


def compile_levels(levels: Sequence[Level], names: Sequence[str]) -> GatePlan:
    """Return the plan of levels on components in the order of `names`.

    Terminal components, as `ComponentNames` says, are read at their last step by every aggregation.

    Raises:
        ConfigError: a level names a component that does not exist (names the nearest), or takes the
            mean, max or min of terminal and other components together.
    """
    levels = tuple(_reading_terminals_last(level, names) for level in levels)
    select = np.zeros((len(names), len(levels)))
    for i, level in enumerate(levels):
        for name in level.components:
            if name not in names:
                where = f"in level {level.name!r}"
                raise ConfigError(unknown_name("component", name, names, where=where))
            select[list(names).index(name), i] = 1.0
    bounds = np.array([_bound(level) for level in levels])
    # an infinite threshold says at once what an aggregate of finite numbers would say at the end
    at_once = np.array([level.scope == "step" for level in levels]) | np.isinf(bounds)
    priority = np.array([level.priority for level in levels])
    caps = {i: level.cap for i, level in enumerate(levels) if level.cap is not None}
    kind_caps = {
        i: level.cap_per_kind for i, level in enumerate(levels) if level.cap_per_kind is not None
    }
    kinds = [(k, i) for i in kind_caps for k in np.flatnonzero(select[:, i]).tolist()]
    kind_level = np.array([i for _, i in kinds], np.int64)
    kind_levels = np.array(list(kind_caps), np.int64)
    return GatePlan(
        levels,
        select,
        weight=np.array([level.weight for level in levels], np.float64),
        step_bound=np.where(at_once, bounds, -np.inf),
        end_bound=np.where(at_once, -np.inf, bounds),
        above=(priority[:, None] > priority[None, :]).astype(np.float64),
        capped=np.array(list(caps), np.int64),
        cap=np.array(list(caps.values()), np.float64),
        kind_component=np.array([k for k, _ in kinds], np.int64),
        kind_level=kind_level,
        kind_cap=np.array([kind_caps[i] for _, i in kinds], np.float64),
        kind_levels=kind_levels,
        kind_sum=(kind_level[:, None] == kind_levels[None, :]).astype(np.float64),
    )


def _reading_terminals_last(level: Level, names: Sequence[str]) -> Level:
    terminal = names.terminal if isinstance(names, ComponentNames) else frozenset()
    found = terminal.intersection(level.components)
    if not found or level.scope == "step" or level.aggregation in ("last", "sum"):
        return level
    if len(found) < len(level.components):
        raise ConfigError(
            f"Level {level.name!r} takes the {level.aggregation} of {sorted(found)}, known only at "
            f"the last step, and of {sorted(set(level.components) - found)}. Put the former into "
            'a level of their own, or use aggregation="last" or "sum".'
        )
    return dataclasses.replace(level, aggregation="last")


def _bound(level: Level) -> float:
    """Return what a value must be greater than to be open."""
    threshold = float(level.threshold)
    if math.isinf(threshold):
        return threshold
    tolerance = _TOLERANCE * max(1.0, abs(threshold))
    return threshold + tolerance if level.operator == ">" else threshold - tolerance
