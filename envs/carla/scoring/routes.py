"""Routes as dense points, and the routes of W worlds in one set of arrays.

- `Route`: one route.
- `RouteBank`: the routes of W worlds, replaced by mask.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rewardloom.envs.carla.scoring.state import F64, I64, Bool
from rewardloom.errors import ConfigError

__all__ = ["Route", "RouteBank"]


@dataclass(frozen=True)
class Route:
    """A route as points about 1 m apart.

    Attributes:
        points: (P, 2) in m.
        yaws: (P,) directions of travel at the points, in rad.
        meters: (P,) way along the points from the first one.
        percent: (P,) the same in percent of the whole, rounded to two digits as the leaderboard
            does (the nearest decimal, not numpy's scaled rounding).
    """

    points: F64
    yaws: F64
    meters: F64
    percent: F64

    @classmethod
    def through(cls, points: F64, yaws: F64 | None = None) -> Route:
        """Return the route through `points`.

        Args:
            points: (P, 2) in m, at least two that are not all the same.
            yaws: (P,) directions of travel in rad; by default each point looks at the next, and the
                last one as the one before.

        Raises:
            ConfigError: The points make no route.
        """
        points = np.array(points, dtype=np.float64)
        if points.ndim != 2 or points.shape[1] != 2 or len(points) < 2:
            raise ConfigError(
                f"A route needs points of shape (P, 2) with P at least 2; got {points.shape}."
            )
        steps = np.diff(points, axis=0)
        meters = np.concatenate([[0.0], np.cumsum(np.hypot(steps[:, 0], steps[:, 1]))])
        if yaws is None:
            ahead = np.arctan2(steps[:, 1], steps[:, 0])
            yaws = np.concatenate([ahead, ahead[-1:]])
        yaws = np.array(yaws, dtype=np.float64)
        if yaws.shape != meters.shape:
            raise ConfigError(
                f"A route of {len(points)} points needs as many yaws, not {yaws.shape}."
            )
        if not (np.isfinite(points).all() and np.isfinite(yaws).all() and meters[-1] > 0):
            raise ConfigError("A route needs finite points and yaws, and a length above 0 m.")
        percent = np.array([round(float(m / meters[-1] * 100), 2) for m in meters])
        return cls(points, yaws, meters, percent)


class RouteBank:
    """The routes of W worlds, padded to the longest.

    Args:
        worlds: W.

    Attributes:
        points: (W, P, 2) in m.
        forward: (W, P, 2) unit vectors of travel.
        yaws: (W, P) in rad.
        meters: (W, P).
        percent: (W, P).
        length: (W,) points of each route, 0 where none was set.
    """

    def __init__(self, worlds: int) -> None:
        self.length: I64 = np.zeros(worlds, np.int64)
        self._allocate(worlds, 0)

    def _allocate(self, worlds: int, capacity: int) -> None:
        self.points: F64 = np.zeros((worlds, capacity, 2))
        self.forward: F64 = np.zeros((worlds, capacity, 2))
        self.yaws: F64 = np.zeros((worlds, capacity))
        self.meters: F64 = np.zeros((worlds, capacity))
        self.percent: F64 = np.zeros((worlds, capacity))

    @property
    def total(self) -> F64:
        """(W,) length of each route in m."""
        return self.meters[np.arange(len(self.length)), self.length - 1]

    @property
    def last_point(self) -> F64:
        """(W, 2) end of each route."""
        return self.points[np.arange(len(self.length)), self.length - 1]

    def replace(self, mask: Bool, routes: Sequence[Route]) -> None:
        """Give the worlds in `mask` (W,) new routes, in order.

        Raises:
            ConfigError: There are not as many routes as worlds in `mask`.
        """
        worlds = np.flatnonzero(mask)
        if len(worlds) != len(routes):
            raise ConfigError(f"{len(worlds)} worlds begin, but there are {len(routes)} routes.")
        longest = max((len(route.meters) for route in routes), default=0)
        if longest > self.points.shape[1]:
            self._grow(longest)
        for world, route in zip(worlds, routes, strict=True):
            size = len(route.meters)
            self.length[world] = size
            self.points[world, :size] = route.points
            self.forward[world, :size, 0] = np.cos(route.yaws)
            self.forward[world, :size, 1] = np.sin(route.yaws)
            self.yaws[world, :size] = route.yaws
            self.meters[world, :size] = route.meters
            self.percent[world, :size] = route.percent

    def _grow(self, capacity: int) -> None:
        kept = (self.points, self.forward, self.yaws, self.meters, self.percent)
        self._allocate(len(self.length), capacity)
        grown = (self.points, self.forward, self.yaws, self.meters, self.percent)
        for new, old in zip(grown, kept, strict=True):
            new[:, : old.shape[1]] = old
