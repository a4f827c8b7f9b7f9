"""Scores of whole routes: route completion, infraction score and driving score.

- `RouteScores`: scores of routes; `mean` over them.
- `score`: from counts.
- `Infractions`: what is counted on a route.
- `InfractionCounter`: counts it for W worlds.
- `VERSIONS`: the leaderboard's rules that are known.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from rewardloom.envs.carla.scoring.memory import Memory
from rewardloom.envs.carla.scoring.route_progress import Progress
from rewardloom.envs.carla.scoring.routes import RouteBank
from rewardloom.envs.carla.scoring.state import (
    F64,
    I64,
    STATIC,
    VEHICLE,
    WALKER,
    Bool,
    WorldState,
)
from rewardloom.envs.carla.scoring.terminations import Verdict
from rewardloom.errors import ConfigError, unknown_name

__all__ = [
    "COUNTED",
    "VERSIONS",
    "InfractionCounter",
    "Infractions",
    "RouteScores",
    "check_version",
    "score",
]

COUNTED = (
    "walker",
    "vehicle",
    "static",
    "red_light",
    "stop_sign",
    "scenario_timeout",
    "yield_to_emergency",
)
"""Infractions that count once each: collisions by kind, then the others."""

_FACTORS = np.array([0.50, 0.60, 0.65, 0.70, 0.80, 0.70, 0.70])
_COEFFICIENTS = np.array([1.0, 0.7, 0.6, 0.4, 0.25, 0.4, 0.4])
_SLOWNESS_SHARE = 0.3
_SLOWNESS_COEFFICIENT = 0.4

VERSIONS = ("2.0", "2.1")
"""Leaderboard 2.0 multiplies factors; 2.1 divides by one plus a sum of coefficients."""

CHECKPOINTS = 4
"""Parts of a route in which the ego's mean speed is compared with that of the traffic."""

LAST_PART = 0.95
"""Share of the route beyond which the last part counts though it is not whole."""

FIRST_SECONDS = 300.0
"""s that the leaderboard allows before anything was driven."""

SLOWEST_SHARE = 0.1
"""Share of the speed limit at which the leaderboard allows the rest to be driven."""


class RouteScores(NamedTuple):
    """Scores of N routes.

    Attributes:
        completion: (N,) route completion in percent.
        infraction: (N,) infraction score, 1 without any.
        driving: (N,) driving score, their product.
    """

    completion: F64
    infraction: F64
    driving: F64

    def mean(self) -> tuple[float, float, float]:
        """Return the three means; the mean driving score is not the product of the others."""
        return (
            float(self.completion.mean()),
            float(self.infraction.mean()),
            float(self.driving.mean()),
        )


@dataclass
class Infractions(Memory):
    """What is counted on the routes of W worlds.

    Attributes:
        counts: (W, 7) int, in the order of `COUNTED`.
        driven: (W,) m of the route that were driven.
        outside: (W,) m of them outside the route's lanes.
        slowness: (W, 4) for each part of the route, the share that the ego's mean speed lacks to
            that of the traffic, 0 where it lacks nothing.
        allowed_time: (W,) s in which the leaderboard wants the route so far to be driven.
    """

    counts: I64
    driven: F64
    outside: F64
    slowness: F64
    allowed_time: F64

    @classmethod
    def none(cls, worlds: int) -> Infractions:
        """Return those of W spotless routes."""
        return cls(
            counts=np.zeros((worlds, len(COUNTED)), np.int64),
            driven=np.zeros(worlds),
            outside=np.zeros(worlds),
            slowness=np.zeros((worlds, CHECKPOINTS)),
            allowed_time=np.full(worlds, FIRST_SECONDS),
        )


def check_version(version: str) -> None:
    """Raise `ConfigError` unless `version` is one of `VERSIONS`."""
    if version not in VERSIONS:
        raise ConfigError(unknown_name("driving score", version, VERSIONS))


def score(completion: F64, infractions: Infractions, version: str = "2.0") -> RouteScores:
    """Return the leaderboard's scores.

    In 2.0 the infraction score is the product, over infractions, of 0.50 (walker), 0.60 (vehicle),
    0.65 (static), 0.70 (red light), 0.80 (stop sign), 0.70 (scenario time-out), 0.70 (emergency
    vehicle), and of 1 - 0.3 s for each part of the route in which the share s of the traffic's
    speed was lacking. In 2.1 it is 1 / (1 + sum) with 1.0, 0.7, 0.6, 0.4, 0.25, 0.4, 0.4 and 0.4 s.
    In both it is then multiplied by the share of the driven route that was not outside its lanes.
    Source: statistics_manager.py of CARLA's leaderboard.

    Args:
        completion: (W,) route completion in percent.
        infractions: What was counted.
        version: One of `VERSIONS`.

    Raises:
        ConfigError: The version is not known.
    """
    check_version(version)
    if version == "2.0":
        factor = (_FACTORS**infractions.counts).prod(axis=1)
        factor = factor * (1.0 - _SLOWNESS_SHARE * infractions.slowness).prod(axis=1)
    else:
        weight = (_COEFFICIENTS * infractions.counts).sum(axis=1)
        weight = weight + (_SLOWNESS_COEFFICIENT * infractions.slowness).sum(axis=1)
        factor = 1.0 / (1.0 + weight)
    driven = np.where(infractions.driven > 0, infractions.driven, 1.0)
    factor = factor * (1.0 - infractions.outside / driven)
    return RouteScores(completion, factor, completion * factor)


@dataclass
class SpeedMemory(Memory):
    """Sums of the ego's and the traffic's speeds, frames, where the part began, and its number."""

    ego: F64
    traffic: F64
    frames: I64
    begun: F64
    part: I64


class InfractionCounter:
    """Counts infractions for W worlds.

    The ego's speed is compared with the mean speed of the vehicles in the state, frame by frame. A
    part ends when more than a quarter of the route was driven since it began, and at the end of an
    episode if more than 95 percent were driven.

    Args:
        routes: The routes that are driven.
    """

    def __init__(self, routes: RouteBank) -> None:
        worlds = len(routes.length)
        self._routes = routes
        self._rows = np.arange(worlds)
        self.infractions = Infractions.none(worlds)
        self.speeds = SpeedMemory(
            ego=np.zeros(worlds),
            traffic=np.zeros(worlds),
            frames=np.zeros(worlds, np.int64),
            begun=np.zeros(worlds),
            part=np.zeros(worlds, np.int64),
        )

    def begin(self, mask: Bool) -> None:
        """Start episodes in the worlds of `mask` (W,)."""
        self.infractions.reset(mask)
        self.speeds.reset(mask)

    def update(self, state: WorldState, progress: Progress, verdict: Verdict, ended: Bool) -> None:
        """Count the step that led to `state`; `ended` (W,) says where it was the last."""
        counted = self.infractions
        kind = verdict.collision_kind
        struck = (kind == WALKER, kind == VEHICLE, kind == STATIC)
        for column, hit in enumerate((*struck, verdict.of("red_light"), verdict.of("stop_sign"))):
            counted.counts[:, column] += hit
        counted.driven = counted.driven + progress.meters_gained
        counted.outside = counted.outside + np.where(verdict.outside, progress.meters_gained, 0.0)
        limit = np.where(np.isnan(state.ego.speed_limit), np.inf, state.ego.speed_limit)
        slowest = SLOWEST_SHARE * limit
        counted.allowed_time = counted.allowed_time + progress.meters_gained / slowest
        self._compare_speeds(state, progress, ended)

    def _compare_speeds(self, state: WorldState, progress: Progress, ended: Bool) -> None:
        memory, total = self.speeds, self._routes.total
        due = progress.meters - memory.begun > total / CHECKPOINTS
        due |= ended & (progress.meters > LAST_PART * total)
        actors = state.actors
        traffic = actors.mask & (actors.kind == VEHICLE)
        number = np.count_nonzero(traffic, axis=1)
        speeds = np.hypot(actors.velocity[..., 0], actors.velocity[..., 1])
        mean = np.where(traffic, speeds, 0.0).sum(axis=1) / np.maximum(number, 1)
        if due.any():
            self._end_part(due, progress.meters)
        seen = number > 0
        memory.ego = memory.ego + np.where(seen, state.ego.speed, 0.0)
        memory.traffic = memory.traffic + mean
        memory.frames = memory.frames + seen

    def _end_part(self, due: Bool, meters: F64) -> None:
        memory = self.speeds
        compared = memory.traffic > 0
        share = memory.ego / np.where(compared, memory.traffic, 1.0)
        lacking = np.where(compared, np.maximum(1.0 - share, 0.0), 0.0)
        part = np.minimum(memory.part, CHECKPOINTS - 1)
        slowness = self.infractions.slowness
        slowness[self._rows, part] = np.where(due, lacking, slowness[self._rows, part])
        memory.part = memory.part + due
        memory.begun = np.where(due, meters, memory.begun)
        for sums in (memory.ego, memory.traffic, memory.frames):
            sums[due] = 0
