"""A shaped reward after Roach, with which CaRL's is compared.

- `RoachReward`: the reward of W worlds.
- `COMPONENTS`, `TERMINAL`, `CAUSES`: names of its components and of its own endings.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rewardloom.envs.carla.scoring.geometry import boxes_overlap, wrap_angle
from rewardloom.envs.carla.scoring.memory import Memory
from rewardloom.envs.carla.scoring.payment import Payment
from rewardloom.envs.carla.scoring.route_progress import Progress
from rewardloom.envs.carla.scoring.routes import RouteBank
from rewardloom.envs.carla.scoring.state import (
    F64,
    I64,
    RED,
    VEHICLE,
    WALKER,
    YELLOW,
    Bool,
    Ego,
    WorldState,
)
from rewardloom.envs.carla.scoring.terminations import Verdict

__all__ = ["CAUSES", "COMPONENTS", "TERMINAL", "RoachReward"]

COMPONENTS = ("speed", "position", "rotation", "action", "terminal")
"""Their sum is the reward."""

TERMINAL = ("terminal",)

CAUSES = ("lateral_distance", "stuck", "walker_overlap")

MAX_SPEED = 6.0
"""m/s that are wanted on a free road."""

VEHICLE_OFFSET, WALKER_OFFSET, LIGHT_OFFSET = 8.0, 6.0, 5.0
"""m from a hazard at which the wanted speed is 0."""

RAMP = 5.0
"""m over which it rises to `MAX_SPEED`."""

HAZARD_RANGE = 9.5
"""m within which vehicles and walkers are hazards."""

VEHICLE_CONE = np.deg2rad(45.0)
ONCOMING = np.deg2rad(150.0)
"""Angle off the ego's heading within which a vehicle is ahead, and turn up to which it counts."""

LIGHT_RANGE = 18.0
LIGHT_SHIFT = 0.8
"""m to a light's line, measured from this share of a half length behind the ego's center."""

LATERAL_LIMIT, LATERAL_JUMP, LATERAL_MARGIN = 3.5, 0.8, 0.5
"""m aside that end an episode; a jump above the second sets the limit that much beyond it."""

SPEEDS, STUCK_SPEED, STUCK_STEPS = 10, 1.0, 100
"""Speeds in a mean, m/s below which it is stuck on a free road, and for how many steps."""

STEER_CHANGE, ACTION_COST = 0.01, 0.1


@dataclass
class RoachMemory(Memory):
    """Steering and m aside of the step before, last speeds and their number, steps stuck."""

    steer: F64
    lateral: F64
    speeds: F64
    count: I64
    stuck: I64


class RoachReward:
    """A shaped reward: keep a wanted speed, the route's line and direction, and a calm wheel.

    With v the planar speed, `speed` is 1 - |v - wanted| / 6, and the wanted speed is the least,
    over hazards, of 6 clip(d - d0, 0, 5) / 5 with d0 of 8 m for a vehicle, 6 m for a walker and 5 m
    for a red or yellow light; for a stop sign ahead, `stop_distance` is both d0 and the ramp.
    `position` is -0.5 per m aside of the route, `rotation` minus the angle to it in rad, `action`
    -0.1 where the wheel moved by more than 0.01. `terminal` is -1 at any end, less v at a run red
    light or stop sign and at a collision.

    Hazards within 9.5 m: vehicles up to 45 degrees off the ego's heading that are turned by at most
    150 degrees against it; walkers off the sidewalk up to 162 / (clip(d, 1.5, 10.5) + 0.3) degrees
    off it; the nearest of each counts (our formulation). Lights: of the ego's lane, up to 18 m from
    a point 0.8 half lengths behind its center.

    Endings of its own: more than max(3.5, last) m aside, a jump by more than 0.8 m excepted; a mean
    of ten speeds below 1 m/s on a free road for 100 steps; a box that overlaps a walker's.

    Formulas of Zhang et al. 2021, "End-to-End Urban Driving by Imitating a Reinforcement Learning
    Coach".

    Args:
        routes: The routes that are driven.
        stop_distance: m; 5 is Roach's, 4 that of CaRL's comparison.
    """

    components: tuple[str, ...] = COMPONENTS
    terminal_components: tuple[str, ...] = TERMINAL
    causes: tuple[str, ...] = CAUSES

    def __init__(self, routes: RouteBank, *, stop_distance: float = 5.0) -> None:
        worlds = len(routes.length)
        self._routes = routes
        self._rows = np.arange(worlds)
        self._stop_distance = stop_distance
        self.memory = RoachMemory(
            steer=np.zeros(worlds),
            lateral=np.zeros(worlds),
            speeds=np.zeros((worlds, SPEEDS)),
            count=np.zeros(worlds, np.int64),
            stuck=np.zeros(worlds, np.int64),
        )

    def begin(self, mask: Bool, state: WorldState) -> None:
        """Start episodes in the worlds of `mask` (W,), whose first state is in `state`."""
        self.memory.reset(mask)
        self.memory.steer[mask] = state.ego.steer[mask]

    def step(self, state: WorldState, progress: Progress, verdict: Verdict) -> Payment:
        """Pay the step that led to `state`."""
        ego, memory = state.ego, self.memory
        speed = ego.speed
        wanted = self.wanted_speed(state, verdict)
        point = self._routes.points[self._rows, progress.point]
        yaw = self._routes.yaws[self._rows, progress.point]
        away = ego.position - point
        lateral = np.abs(away[:, 1] * np.cos(yaw) - away[:, 0] * np.sin(yaw))
        causes = np.stack(
            [
                self._too_far_aside(lateral),
                self._stuck(speed, wanted >= MAX_SPEED),
                _touches_walker(state),
            ],
            axis=1,
        )
        ended = verdict.causes.any(axis=1) | causes.any(axis=1)
        grave = verdict.of("collision") | verdict.of("red_light") | verdict.of("stop_sign")

        parts = np.empty((len(speed), len(COMPONENTS)))
        parts[:, 0] = 1.0 - np.abs(speed - wanted) / MAX_SPEED
        parts[:, 1] = -0.5 * lateral
        parts[:, 2] = -np.abs(wrap_angle(ego.yaw - yaw))
        parts[:, 3] = np.where(np.abs(ego.steer - memory.steer) > STEER_CHANGE, -ACTION_COST, 0.0)
        parts[:, 4] = np.where(ended, -1.0, 0.0) - np.where(grave, speed, 0.0)
        memory.steer = ego.steer.copy()
        return Payment(parts.sum(axis=1), parts, causes)

    def wanted_speed(self, state: WorldState, verdict: Verdict) -> F64:
        """Return (W,) the speed in m/s that is wanted before the hazards of `state`."""
        vehicle, walker = _hazards(state)
        ego, lights, stops = state.ego, state.lights, state.stops
        behind = lights.distance + LIGHT_SHIFT * ego.extent[:, :1]
        halting = lights.mask & ((lights.state == RED) | (lights.state == YELLOW))
        halting &= (behind >= 0) & (behind <= LIGHT_RANGE)
        stopping = stops.mask & (stops.id == verdict.stop_ahead[:, None])
        return np.minimum.reduce(
            [
                _ramp(vehicle, VEHICLE_OFFSET, RAMP),
                _ramp(walker, WALKER_OFFSET, RAMP),
                _ramp(_nearest(ego, lights.position, halting), LIGHT_OFFSET, RAMP),
                _ramp(
                    _nearest(ego, stops.position, stopping),
                    self._stop_distance,
                    self._stop_distance,
                ),
            ]
        )

    def _too_far_aside(self, lateral: F64) -> Bool:
        last = self.memory.lateral
        jumped = lateral - last > LATERAL_JUMP
        limit = np.where(jumped, lateral + LATERAL_MARGIN, np.maximum(LATERAL_LIMIT, last))
        self.memory.lateral = lateral
        return lateral > limit

    def _stuck(self, speed: F64, free: Bool) -> Bool:
        memory = self.memory
        memory.speeds = np.concatenate([memory.speeds[:, 1:], speed[:, None]], axis=1)
        memory.count = np.minimum(memory.count + 1, SPEEDS)
        slow = memory.speeds.sum(axis=1) / SPEEDS < STUCK_SPEED
        memory.stuck = np.where(free & slow & (memory.count == SPEEDS), memory.stuck + 1, 0)
        return memory.stuck >= STUCK_STEPS


def _ramp(distance: F64, offset: float, ramp: float) -> F64:
    """Wanted speed at a distance from a hazard; the maximum where there is none (inf)."""
    return MAX_SPEED * np.clip(distance - offset, 0.0, ramp) / ramp


def _nearest(ego: Ego, position: F64, mask: Bool) -> F64:
    """(W,) distance to the nearest of `mask` (W, N), inf where there is none."""
    away = position - ego.position[:, None]
    distance = np.hypot(away[..., 0], away[..., 1])
    return np.where(mask, distance, np.inf).min(axis=1, initial=np.inf)


def _hazards(state: WorldState) -> tuple[F64, F64]:
    """(W,) each: distance to the nearest vehicle and walker that are hazards, else inf."""
    ego, actors = state.ego, state.actors
    away = actors.position - ego.position[:, None]
    distance = np.hypot(away[..., 0], away[..., 1])
    yaw = ego.yaw[:, None]
    angle = np.abs(wrap_angle(np.arctan2(away[..., 1], away[..., 0]) - yaw))
    near = actors.mask & (distance <= HAZARD_RANGE)
    vehicle = near & (actors.kind == VEHICLE) & (angle <= VEHICLE_CONE)
    vehicle &= np.abs(wrap_angle(actors.yaw - yaw)) <= ONCOMING
    walker = near & (actors.kind == WALKER) & ~actors.on_sidewalk
    walker &= angle <= np.deg2rad(162.0 / (np.clip(distance, 1.5, 10.5) + 0.3))
    return (
        np.where(vehicle, distance, np.inf).min(axis=1, initial=np.inf),
        np.where(walker, distance, np.inf).min(axis=1, initial=np.inf),
    )


def _touches_walker(state: WorldState) -> Bool:
    """(W,) whether the ego's box overlaps a walker's."""
    ego, actors = state.ego, state.actors
    overlap = boxes_overlap(
        actors.position - ego.position[:, None],
        ego.yaw[:, None],
        ego.extent[:, None],
        actors.yaw,
        actors.extent,
    )
    return (overlap & actors.mask & (actors.kind == WALKER)).any(axis=1)
