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
    world, actor = _within_reach(ego, speed, actors, tested)
    if not len(world):
        return found
    yaw, other_yaw = ego.yaw[world], actors.yaw[world, actor]
    speed = speed[world]
    velocity = actors.velocity[world, actor]
    other_speed = np.hypot(velocity[:, 0], velocity[:, 1])
    offset = actors.position[world, actor] - ego.position[world]
    approach_x = other_speed * np.cos(other_yaw) - speed * np.cos(yaw)
    approach_y = other_speed * np.sin(other_yaw) - speed * np.sin(yaw)
    ahead = np.empty((len(world), len(HORIZON), 2))
    ahead[..., 0] = offset[:, :1] + approach_x[:, None] * HORIZON
    ahead[..., 1] = offset[:, 1:] + approach_y[:, None] * HORIZON
    overlap = boxes_overlap(
        ahead,
        yaw[:, None],
        ego.extent[world, None],
        other_yaw[:, None],
        actors.extent[world, actor, None],
    )
    found[world[overlap.any(axis=1)]] = True
    return found


def _within_reach(ego: Ego, speed: F64, actors: Actors, tested: Bool) -> tuple[I64, I64]:
    """Return world and actor of the pairs whose circles could touch within the horizon."""
    away_x = actors.position[..., 0] - ego.position[:, :1]
    away_y = actors.position[..., 1] - ego.position[:, 1:]
    speeds = np.hypot(actors.velocity[..., 0], actors.velocity[..., 1])
    reach = np.hypot(actors.extent[..., 0], actors.extent[..., 1]) + HORIZON[-1] * speeds
    reach += (np.hypot(ego.extent[:, 0], ego.extent[:, 1]) + HORIZON[-1] * speed)[:, None]
    near = away_x * away_x + away_y * away_y < reach * reach
    world, actor = np.nonzero(near & actors.mask & tested[:, None])
    return world, actor


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
