"""What ends an episode, and whether the ego is where it may be.

- `Terminations`: judges W worlds.
- `Verdict`: what it found.
- `CAUSES`: names of the causes, the more serious first.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from rewardloom.envs.carla.scoring.collisions import NOTHING, CollisionRule
from rewardloom.envs.carla.scoring.deviation import DeviationRule
from rewardloom.envs.carla.scoring.lanes import OutsideLanes
from rewardloom.envs.carla.scoring.memory import Memory
from rewardloom.envs.carla.scoring.route_progress import Progress
from rewardloom.envs.carla.scoring.routes import RouteBank
from rewardloom.envs.carla.scoring.signs import RedLightRule, StopSignRule
from rewardloom.envs.carla.scoring.state import F64, I64, Bool, WorldState

__all__ = ["CAUSES", "Terminations", "Verdict"]

CAUSES = (
    "collision",
    "red_light",
    "stop_sign",
    "off_road",
    "route_deviation",
    "blocked",
    "timeout",
    "finished",
)
"""Names of the causes; where several hold, the first is the one that is named."""

OFF_ROAD_SHARE = 0.95
"""Share of the ego's footprint off the road above which it is off road."""

BLOCKED_SPEED = 0.1
BLOCKED_TIME = 90.0
"""m/s below which, and s for longer than which, an ego is blocked."""

TIME_LIMIT = 1200.0
"""s after which an episode ends."""

FEWEST_POINTS = 2
"""Route points left below which the route is finished."""


class Verdict(NamedTuple):
    """What W worlds came to in a step.

    Attributes:
        causes: (W, 8) bool, in the order of `CAUSES`.
        collision_kind: (W,) int, kind of the actor hit, or -1.
        outside: (W,) bool, outside the route's lanes or in a wrong one; ends nothing.
        stop_ahead: (W,) int, id of the stop sign ahead that is not cleared yet, or -1.
    """

    causes: Bool
    collision_kind: I64
    outside: Bool
    stop_ahead: I64

    def of(self, cause: str) -> Bool:
        """Return (W,) whether `cause` holds."""
        return self.causes[:, CAUSES.index(cause)]


@dataclass
class StandingMemory(Memory):
    """Time in s at which the ego was last moving."""

    moved: F64


class Terminations:
    """Judges W worlds by CaRL's rules.

    Every cause is a termination. CaRL flags a finished route as a truncation and then treats both
    alike, without bootstrapping; an episode that ends here is over for good, which is the same
    learning signal where truncations bootstrap.

    Args:
        routes: The routes that are driven.
    """

    def __init__(self, routes: RouteBank) -> None:
        worlds = len(routes.length)
        self.collisions = CollisionRule(worlds)
        self.lights = RedLightRule(worlds)
        self.stops = StopSignRule(worlds)
        self.deviation = DeviationRule(routes)
        self.lanes = OutsideLanes(worlds)
        self.standing = StandingMemory(moved=np.zeros(worlds))

    def begin(self, mask: Bool, state: WorldState) -> None:
        """Start episodes in the worlds of `mask` (W,), whose first state is in `state`."""
        parts = (self.collisions, self.lights, self.stops, self.deviation)
        for part in parts:
            part.memory.reset(mask)
        self.lanes.begin(mask, state.lane)
        self.standing.reset(mask)
        self.standing.moved[mask] = state.time[mask]

    def step(self, state: WorldState, progress: Progress) -> Verdict:
        """Judge the step that led to `state`."""
        ego = state.ego
        moving = ego.speed >= BLOCKED_SPEED
        self.standing.moved = np.where(moving, state.time, self.standing.moved)
        kind = self.collisions.update(state.collisions, ego.position, state.time)

        causes = np.empty((len(kind), len(CAUSES)), np.bool_)
        causes[:, 0] = kind != NOTHING
        causes[:, 1] = self.lights.update(ego, state.lights)
        causes[:, 2] = self.stops.update(ego, state.stops)
        causes[:, 3] = state.lane.off_road > OFF_ROAD_SHARE
        causes[:, 4] = self.deviation.update(ego.position)
        causes[:, 5] = state.time - self.standing.moved > BLOCKED_TIME
        causes[:, 6] = state.time > TIME_LIMIT
        causes[:, 7] = progress.points_left < FEWEST_POINTS
        stop = self.stops.memory
        return Verdict(
            causes,
            kind,
            self.lanes.update(state.lane, ego.yaw),
            np.where(stop.cleared, -1, stop.target),
        )
