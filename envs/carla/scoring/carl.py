"""CaRL's reward: what was gained on the route, times five factors, and a hint at the end.

- `CarlReward`: the reward of W worlds.
- `CarlVariant`: what the variants differ in; `CARL` and `STRICT_COMFORT`.
- `COMPONENTS`, `TERMINAL`: names of the components.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from rewardloom.envs.carla.scoring.comfort import (
    CARLA_LIMITS,
    METRICS,
    NUPLAN_LIMITS,
    Comfort,
    ComfortLimits,
    PositionDifferences,
)
from rewardloom.envs.carla.scoring.lanes import LaneCounter, lane_share
from rewardloom.envs.carla.scoring.payment import Payment
from rewardloom.envs.carla.scoring.route_progress import Progress
from rewardloom.envs.carla.scoring.state import F64, Bool, WorldState
from rewardloom.envs.carla.scoring.terminations import Verdict
from rewardloom.envs.carla.scoring.time_to_collision import TimeToCollision

__all__ = ["CARL", "COMPONENTS", "STRICT_COMFORT", "TERMINAL", "CarlReward", "CarlVariant"]

COMPONENTS = ("progress", "out", "speed", "ttc", "comfort", "lane", "terminal")
"""Reward = progress * out * speed * ttc * comfort * lane + terminal."""

TERMINAL = ("terminal",)

OVERSPEED = 2.23
"""m/s above the limit at which the factor `speed` has fallen to 0."""

UNKNOWN_LIMIT = 6.0
"""m/s that count as the limit while none is known."""

TTC_FACTOR = 0.5
COMFORT_WEIGHT = 0.5
"""Share of the reward that all six comfort metrics together can take."""


class CarlVariant(NamedTuple):
    """What the variants of the reward differ in.

    Attributes:
        limits: Bounds of the comfort metrics.
        accelerations: "reported" by the simulator, or "positions": second differences of them.
        lane: "share" of the way from a lane's center to its edge, or "counter": half after more
            than 30 frames more than 0.5 m off the center.
    """

    limits: ComfortLimits
    accelerations: str
    lane: str


CARL = CarlVariant(CARLA_LIMITS, "reported", "share")
"""The reward of CaRL's first release."""

STRICT_COMFORT = CarlVariant(NUPLAN_LIMITS, "positions", "counter")
"""nuPlan's bounds, and a counter instead of the share, as in CaRL's later code. Our name."""


class CarlReward:
    """The reward of Jaeger et al. 2025, "CaRL" (arXiv 2504.17838), for W worlds.

    `progress` is the gain of route completion in percent, so that a perfect episode sums to 100.
    `out` is 0 outside the route's lanes or in a wrong lane. `speed` is 1 up to the limit and falls
    to 0 at 2.23 m/s above it. `ttc` is 0.5 for 500 ticks after a foreseen collision. `comfort` is
    1 - 0.5 k/6 with k of six metrics violated in the last 500 ticks. `lane` falls from 1 at the
    center of the nearest lane to 0 at its edge, off junctions. `terminal` is minus the hint at a
    collision or a run red light.

    Args:
        worlds: W.
        variant: `CARL`, `STRICT_COMFORT` or another.
        period: Seconds between steps.
        terminal_hint: What a collision or a red light costs; 1.0 in the published runs.
    """

    components: tuple[str, ...] = COMPONENTS
    terminal_components: tuple[str, ...] = TERMINAL
    causes: tuple[str, ...] = ()

    def __init__(
        self,
        worlds: int,
        variant: CarlVariant,
        *,
        period: float,
        terminal_hint: float,
    ) -> None:
        self._hint = terminal_hint
        self.time_to_collision = TimeToCollision(worlds)
        self.comfort = Comfort(worlds, variant.limits, period)
        positions = variant.accelerations == "positions"
        self._differences = PositionDifferences(worlds, period) if positions else None
        self._counter = LaneCounter(worlds) if variant.lane == "counter" else None

    def begin(self, mask: Bool, state: WorldState) -> None:
        """Start episodes in the worlds of `mask` (W,), whose first state is in `state`."""
        self.time_to_collision.memory.reset(mask)
        self.comfort.memory.reset(mask)
        if self._counter is not None:
            self._counter.memory.reset(mask)
        if self._differences is not None:
            self._differences.begin(mask, state.ego.position)

    def step(self, state: WorldState, progress: Progress, verdict: Verdict) -> Payment:
        """Pay the step that led to `state`."""
        ego, lane = state.ego, state.lane
        acceleration = ego.acceleration
        if self._differences is not None:
            acceleration = self._differences.update(ego.position)
        uncomfortable = self.comfort.update(acceleration, ego.yaw)
        conflict = self.time_to_collision.update(ego, state.actors)
        centered = lane_share(lane) if self._counter is None else self._counter.update(lane)
        hinted = verdict.of("collision") | verdict.of("red_light")

        parts = np.empty((len(ego.yaw), len(COMPONENTS)))
        parts[:, 0] = progress.gained
        parts[:, 1] = ~verdict.outside
        parts[:, 2] = speed_factor(ego.speed, ego.speed_limit)
        parts[:, 3] = np.where(conflict, TTC_FACTOR, 1.0)
        parts[:, 4] = 1.0 - COMFORT_WEIGHT * uncomfortable / len(METRICS)
        parts[:, 5] = centered
        parts[:, 6] = np.where(hinted, -self._hint, 0.0)
        reward = parts[:, :-1].prod(axis=1) + parts[:, -1]
        return Payment(reward, parts, np.zeros((len(reward), 0), np.bool_))


def speed_factor(speed: F64, limit: F64) -> F64:
    """Return (W,) 1 up to `limit`, then falling to 0 at 2.23 m/s above it; NaN limits are 6 m/s."""
    limit = np.where(np.isnan(limit), UNKNOWN_LIMIT, limit)
    return 1.0 - np.clip((speed - limit) / OVERSPEED, 0.0, 1.0)
