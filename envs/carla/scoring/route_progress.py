"""How far along its route the ego is: the leaderboard's rule.

- `Progress`: what one step gave.
- `RouteProgress`: keeps the index of W worlds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from rewardloom.envs.carla.scoring.memory import Memory
from rewardloom.envs.carla.scoring.routes import RouteBank
from rewardloom.envs.carla.scoring.state import F64, I64, Bool

__all__ = ["ARRIVAL_DISTANCE", "ARRIVAL_PERCENT", "WINDOW", "Progress", "RouteProgress"]

WINDOW = 2
"""Points ahead of the current one that a step may pass."""

ARRIVAL_PERCENT = 99.0
ARRIVAL_DISTANCE = 10.0
"""Above the one and within the other (m to the last point), a route counts as 100 percent."""


class Progress(NamedTuple):
    """How far W egos are.

    Attributes:
        percent: (W,) route completion RC, 0 .. 100.
        gained: (W,) RC minus RC of the step before, 0 or more.
        point: (W,) index of the last point passed; 0 before any.
        points_left: (W,) points from that one to the end, itself included.
        meters: (W,) way along the route to that point.
        meters_gained: (W,) the same minus that of the step before.
    """

    percent: F64
    gained: F64
    point: I64
    points_left: I64
    meters: F64
    meters_gained: F64


@dataclass
class ProgressMemory(Memory):
    """Index of the last point passed, RC in percent, meters, and whether RC was set to 100."""

    index: I64
    percent: F64
    meters: F64
    arrived: Bool


class RouteProgress:
    """Follows W egos along their routes.

    From the current index look at the points index .. index + 2 that exist; the index moves to
    every one whose forward vector has a positive product with (ego - point), so to the last such.
    RC is the way to that point in percent of the whole, rounded to two digits. When RC is above 99
    and the last point is nearer than 10 m, RC becomes 100 and stays there. The index never falls,
    and so neither does RC. Source: RouteCompletionTest of CARLA's scenario_runner.

    Args:
        routes: The routes that are driven.
    """

    def __init__(self, routes: RouteBank) -> None:
        worlds = len(routes.length)
        self._routes = routes
        self._rows = np.arange(worlds)
        self.memory = ProgressMemory(
            index=np.zeros(worlds, np.int64),
            percent=np.zeros(worlds),
            meters=np.zeros(worlds),
            arrived=np.zeros(worlds, np.bool_),
        )

    def update(self, position: F64) -> Progress:
        """Move on to where the egos are now, `position` (W, 2)."""
        routes, memory, rows = self._routes, self.memory, self._rows
        last = routes.length - 1
        window = memory.index[:, None] + np.arange(WINDOW + 1)
        exists = window <= last[:, None]
        window = np.minimum(window, last[:, None])
        forward = routes.forward[rows[:, None], window]
        way = (position[:, None] - routes.points[rows[:, None], window]) * forward
        passed = (way[..., 0] + way[..., 1] > 0) & exists
        index = memory.index + np.where(passed, np.arange(WINDOW + 1), 0).max(axis=1)

        percent = routes.percent[rows, index]
        to_end = position - routes.points[rows, last]
        near = np.hypot(to_end[:, 0], to_end[:, 1]) < ARRIVAL_DISTANCE
        memory.arrived |= (percent > ARRIVAL_PERCENT) & near
        percent = np.where(memory.arrived, 100.0, percent)
        meters = routes.meters[rows, index]
        progress = Progress(
            percent,
            percent - memory.percent,
            index,
            routes.length - index,
            meters,
            meters - memory.meters,
        )
        memory.index, memory.percent, memory.meters = index, percent, meters
        return progress
