"""Whether the ego is about to hit something: the factor `ttc` of CaRL.

- `TimeToCollision`: the test and its timer.
- `about_to_collide`: the test alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rewardloom.envs.carla.scoring.geometry import boxes_overlap
from rewardloom.envs.carla.scoring.memory import Memory
from rewardloom.envs.carla.scoring.state import F64, I64, STATIC, Actors, Bool, Ego

__all__ = ["HORIZON", "SLOWEST", "TIMER", "TimeToCollision", "about_to_collide"]

HORIZON = np.arange(1, 10, 2) * 0.1
"""Times ahead at which boxes are compared, in s."""

SLOWEST = 0.1
"""m/s below which the ego is not tested."""

TIMER = 500
"""Ticks for which a finding lasts, its own tick included."""


def about_to_collide(ego: Ego, actors: Actors) -> Bool:
    """Return (W,) whether the ego's box overlaps another's when all go straight on.

    Every box moves along its own heading with its present speed, and boxes are compared at the
    times of `HORIZON`. An ego slower than 0.1 m/s is not tested, nor one in a world without a
    vehicle and a walker; where there is one, static obstacles are tested as well.
    """
    found = np.zeros(len(ego.yaw), np.bool_)
    speed = ego.speed
    tested = (speed >= SLOWEST) & (actors.mask & (actors.kind != STATIC)).any(axis=1)
    if not tested.any():
        return found
    offset, approach = _relative(ego, speed, actors)
    reach = np.hypot(ego.extent[:, :1], ego.extent[:, 1:]) + np.hypot(
        actors.extent[..., 0], actors.extent[..., 1]
    )
    x = offset[..., 0, None] + approach[..., 0, None] * HORIZON
    y = offset[..., 1, None] + approach[..., 1, None] * HORIZON
    near = x * x + y * y < (reach * reach)[..., None]
    world, actor, time = np.nonzero(near & (actors.mask & tested[:, None])[..., None])
    if len(world):
        overlap = boxes_overlap(
            np.stack([x[world, actor, time], y[world, actor, time]], axis=-1),
            ego.yaw[world],
            ego.extent[world],
            actors.yaw[world, actor],
            actors.extent[world, actor],
        )
        found[world[overlap]] = True
    return found


def _relative(ego: Ego, speed: F64, actors: Actors) -> tuple[F64, F64]:
    """Return (W, A, 2) each: offsets from the ego, and how fast they change straight ahead."""
    heading = np.stack([np.cos(ego.yaw), np.sin(ego.yaw)], axis=-1)
    speeds = np.hypot(actors.velocity[..., 0], actors.velocity[..., 1])
    headings = np.stack([np.cos(actors.yaw), np.sin(actors.yaw)], axis=-1)
    approach = headings * speeds[..., None] - (heading * speed[:, None])[:, None]
    return actors.position - ego.position[:, None], approach


@dataclass
class TimerMemory(Memory):
    """Ticks for which the last finding still lasts."""

    timer: I64


class TimeToCollision:
    """Keeps a finding of `about_to_collide` for 500 ticks.

    Args:
        worlds: W.
    """

    def __init__(self, worlds: int) -> None:
        self.memory = TimerMemory(timer=np.zeros(worlds, np.int64))

    def update(self, ego: Ego, actors: Actors) -> Bool:
        """Take in one step and return (W,) whether a finding lasts."""
        found = about_to_collide(ego, actors)
        self.memory.timer = np.where(found, TIMER, np.maximum(self.memory.timer - 1, 0))
        return self.memory.timer > 0
