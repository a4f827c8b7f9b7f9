"""Whether the ego has left its route: the leaderboard's InRouteTest.

- `DeviationRule`: follows W worlds.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rewardloom.envs.carla.scoring.memory import Memory
from rewardloom.envs.carla.scoring.routes import RouteBank
from rewardloom.envs.carla.scoring.state import F64, I64, Bool

__all__ = ["DeviationRule"]

WINDOW = 5
"""Points ahead of the current one among which the nearest is sought."""

FARTHEST = 30.0
"""m to the nearest point of the window from which on the route is left."""

SAFE = 15.0
"""m within which driving counts as on the route."""

SHARE = 30.0
"""Percent of the route that may be driven beyond `SAFE`."""


@dataclass
class DeviationMemory(Memory):
    """Index of the nearest point, m driven beyond `SAFE`, and whether the ego is within it."""

    index: I64
    beyond: F64
    safe: Bool


class DeviationRule:
    """The route is left 30 m from it, or when more than 30 percent of it was driven 15 m from it.

    The nearest of the points index .. index + 5 (the later of two equally near) becomes the
    index; what the index advances while that point is 15 m away or more is added up. Source:
    InRouteTest of CARLA's scenario_runner with its defaults.

    Args:
        routes: The routes that are driven.
    """

    def __init__(self, routes: RouteBank) -> None:
        worlds = len(routes.length)
        self._routes = routes
        self._rows = np.arange(worlds)
        self.memory = DeviationMemory(
            index=np.zeros(worlds, np.int64),
            beyond=np.zeros(worlds),
            safe=np.ones(worlds, np.bool_),
        )

    def update(self, position: F64) -> Bool:
        """Return (W,) whether the egos at `position` (W, 2) have left their routes."""
        routes, memory, rows = self._routes, self.memory, self._rows
        last = routes.length[:, None] - 1
        window = memory.index[:, None] + np.arange(WINDOW + 1)
        exists = window <= last
        away = position[:, None] - routes.points[rows[:, None], np.minimum(window, last)]
        distance = np.where(exists, np.hypot(away[..., 0], away[..., 1]), np.inf)
        ahead = WINDOW - distance[:, ::-1].argmin(axis=1)
        shortest = distance[rows, ahead]
        left = shortest >= FARTHEST
        memory.safe = np.where(left, memory.safe, shortest < SAFE)
        index = memory.index + ahead
        advanced = routes.meters[rows, index] - routes.meters[rows, memory.index]
        unsafe = (ahead > 0) & ~memory.safe
        memory.beyond = memory.beyond + np.where(unsafe, advanced, 0.0)
        memory.index = index
        return left | (unsafe & (100.0 * memory.beyond / routes.total > SHARE))
