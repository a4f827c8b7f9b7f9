"""Nearest lanes of many points at once.

- `LaneIndex`: built once for a map; `nearest` projects points onto lane centre lines.
- `LaneHits`: where the points were projected to.

A grid holds for each cell every lane segment that can be the nearest one of any point in it, so
one look-up and one comparison of candidates give the exact answer. Points too far from any lane
for the fine grid are looked up in a coarser one, and beyond that compared with all segments.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from rewardloom.envs.carla.maps.graph import DRIVABLE, LaneGraph
from rewardloom.errors import ConfigError

__all__ = ["LaneHits", "LaneIndex", "wrap_angle"]

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]

_CELLS = (2.0, 16.0)  # cell sizes of the two grids, in metres
_REACH = 4  # a segment is entered in the cells up to this many cells away
_CHUNK = 64  # points compared with all segments at a time


class LaneHits(NamedTuple):
    """Nearest places on lane centre lines, (N,) each.

    Attributes:
        point: Row of the lane point at or before the place, as driven.
        fraction: How far it lies from there towards the next point, in [0, 1].
        lane: Row of the lane.
        x: Position; likewise `y`, `z`, in metres.
        yaw: Driving direction there, rad.
        width: Lane width there.
        distance: From the queried point to the place, in metres.
        lateral: The same with a sign: positive to the right of the centre line, as driven.
    """

    point: I64
    fraction: F64
    lane: npt.NDArray[np.int32]
    x: F64
    y: F64
    z: F64
    yaw: F64
    width: F64
    distance: F64
    lateral: F64


class LaneIndex:
    """Answers which lane is nearest, for many points at once.

    Args:
        graph: The map.
        types: Names of the lane types that count, from `LANE_TYPES`.

    Raises:
        ConfigError: A type is unknown, or the map has no lane of these types.
    """

    def __init__(self, graph: LaneGraph, types: Sequence[str] = DRIVABLE) -> None:
        self.graph = graph
        chosen = graph.lanes_of(tuple(types))
        start = chosen[graph.lane]
        start[graph.lane_first[1:] - 1] = False  # a lane's last point starts no segment
        self._start = np.flatnonzero(start)
        if not self._start.size:
            raise ConfigError(f"The map has no lane of the types {', '.join(types)}.")
        self._ends = _Segments.between(graph, self._start)
        self._grids = tuple(_Grid(self._ends, size) for size in _CELLS)

    def nearest(self, points: npt.ArrayLike) -> LaneHits:
        """Project points onto the nearest lane centre line.

        Args:
            points: x, y in CARLA's frame, (N, 2). Heights are not looked at.

        Raises:
            ConfigError: The shape is another, or a coordinate is not finite.
        """
        where = np.asarray(points, dtype=np.float64)
        if where.ndim != 2 or where.shape[1] != 2:
            raise ConfigError(f"points must have the shape (N, 2), not {where.shape}.")
        if not np.isfinite(where).all():
            row = int(np.flatnonzero(~np.isfinite(where).all(axis=1))[0])
            raise ConfigError(f"points must be finite; point {row} is {where[row].tolist()}.")
        x, y = np.ascontiguousarray(where.T)
        segment = np.full(x.size, -1, dtype=np.int64)
        for grid in self._grids:
            left = np.flatnonzero(segment < 0)
            if left.size:
                segment[left] = grid.nearest(x[left], y[left])
        left = np.flatnonzero(segment < 0)
        for begin in range(0, left.size, _CHUNK):
            rows = left[begin : begin + _CHUNK]
            segment[rows] = np.argmin(self._ends.squared(x[rows, None], y[rows, None]), axis=1)
        return self._hits(x, y, segment)

    def lane_frame(self, points: npt.ArrayLike, yaw: npt.ArrayLike) -> tuple[F64, F64]:
        """Return lateral distance and heading error against the nearest lane.

        Args:
            points: x, y, (N, 2).
            yaw: Headings, rad, (N,).

        Returns:
            Distance to the right of the centre line (m), and yaw minus the lane's (rad, in
            [-pi, pi)), (N,) each.
        """
        hits = self.nearest(points)
        return hits.lateral, wrap_angle(np.asarray(yaw, dtype=np.float64) - hits.yaw)

    def is_junction(self, points: npt.ArrayLike) -> npt.NDArray[np.bool_]:
        """Return whether the nearest lane of each point lies in a junction, (N,)."""
        return self.graph.lane_junction[self.nearest(points).lane] >= 0

    def _hits(self, x: F64, y: F64, segment: I64) -> LaneHits:
        graph, point = self.graph, self._start[segment]
        ends = self._ends.take(segment)
        fraction = ends.fraction(x, y)
        px, py = ends.x + fraction * ends.dx, ends.y + fraction * ends.dy
        distance = np.hypot(x - px, y - py)
        yaw = graph.yaw[point]
        yaw = wrap_angle(yaw + fraction * wrap_angle(graph.yaw[point + 1] - yaw))
        side = (y - py) * np.cos(yaw) - (x - px) * np.sin(yaw)
        return LaneHits(
            point=point,
            fraction=fraction,
            lane=graph.lane[point],
            x=px,
            y=py,
            z=graph.z[point] + fraction * (graph.z[point + 1] - graph.z[point]),
            yaw=yaw,
            width=graph.width[point] + fraction * (graph.width[point + 1] - graph.width[point]),
            distance=distance,
            lateral=np.where(side < 0, -distance, distance),
        )


def wrap_angle(angle: F64) -> F64:
    """Return angles brought into [-pi, pi)."""
    return (angle + math.pi) % (2 * math.pi) - math.pi


class _Segments(NamedTuple):
    """Straight pieces: start, difference to the end, and 1 / length^2 (0 where it is a point)."""

    x: F64
    y: F64
    dx: F64
    dy: F64
    inverse: F64

    @classmethod
    def between(cls, graph: LaneGraph, start: I64) -> _Segments:
        x, y = graph.x[start], graph.y[start]
        dx, dy = graph.x[start + 1] - x, graph.y[start + 1] - y
        square = dx * dx + dy * dy
        return cls(x, y, dx, dy, np.divide(1.0, square, out=np.zeros_like(x), where=square > 1e-12))

    def take(self, rows: I64) -> _Segments:
        return _Segments(*(column[rows] for column in self))

    def fraction(self, x: F64, y: F64) -> F64:
        """Where on the piece the nearest place to (x, y) lies, in [0, 1]."""
        along = (x - self.x) * self.dx + (y - self.y) * self.dy
        return np.clip(along * self.inverse, 0.0, 1.0)

    def squared(self, x: F64, y: F64) -> F64:
        """Squared distance from (x, y)."""
        fraction = self.fraction(x, y)
        return (x - self.x - fraction * self.dx) ** 2 + (y - self.y - fraction * self.dy) ** 2


class _Grid:
    """Candidate segments by cell of a square grid."""

    def __init__(self, segments: _Segments, size: float) -> None:
        self._size = size
        middle_x, middle_y = segments.x + segments.dx / 2, segments.y + segments.dy / 2
        half = float(np.sqrt((segments.dx**2 + segments.dy**2).max())) / 2
        self._origin = (middle_x.min() - _REACH * size, middle_y.min() - _REACH * size)
        column, line = self._cells(middle_x, middle_y)
        self._shape = (int(column.max()) + _REACH + 1, int(line.max()) + _REACH + 1)
        cell, segment, distance = self._pairs(segments, column, line)
        nearest = np.full(self._shape[0] * self._shape[1], np.inf)
        np.minimum.at(nearest, cell, distance)
        # A point lies up to `corner` from its cell's middle, so what is nearest to it is at most
        # 2 corners farther from the middle than the middle's own nearest segment. Cells are
        # trusted where all such segments were entered.
        corner = size * math.sqrt(0.5)
        trusted = nearest + 2 * corner + half <= _REACH * size
        kept = trusted[cell] & (distance <= nearest[cell] + 2 * corner)
        cell, segment = cell[kept], segment[kept]
        order = np.lexsort((segment, cell))
        self._candidates = segment[order]
        self._table = np.stack(segments.take(self._candidates), axis=1)
        counts = np.bincount(cell, minlength=nearest.size)
        self._first = np.concatenate(([0], np.cumsum(counts)))

    def nearest(self, x: F64, y: F64) -> I64:
        """Return the nearest segment of each point, -1 where the grid does not know."""
        found = np.full(x.size, -1, dtype=np.int64)
        column, line = self._cells(x, y)
        inside = (column >= 0) & (column < self._shape[0]) & (line >= 0) & (line < self._shape[1])
        cell = np.where(inside, column * self._shape[1] + line, 0)
        begin = self._first[cell]
        counts = np.where(inside, self._first[cell + 1] - begin, 0)
        known = np.flatnonzero(counts)
        if not known.size:
            return found
        x, y, begin, counts = x[known], y[known], begin[known], counts[known]
        starts = np.cumsum(counts) - counts
        rows = np.arange(int(counts.sum())) + np.repeat(begin - starts, counts)
        candidates = self._candidates[rows]
        nearby = _Segments(*self._table.take(rows, axis=0).T)
        squared = nearby.squared(np.repeat(x, counts), np.repeat(y, counts))
        least = np.minimum.reduceat(squared, starts)
        best = np.flatnonzero(squared == np.repeat(least, counts))[::-1]
        found[known[np.searchsorted(starts, best, side="right") - 1]] = candidates[best]
        return found

    def _cells(self, x: F64, y: F64) -> tuple[I64, I64]:
        column = np.floor((x - self._origin[0]) / self._size)
        line = np.floor((y - self._origin[1]) / self._size)
        limit = 2.0**31
        return (
            np.clip(column, -limit, limit).astype(np.int64),
            np.clip(line, -limit, limit).astype(np.int64),
        )

    def _pairs(self, segments: _Segments, column: I64, line: I64) -> tuple[I64, I64, F64]:
        """Enter every segment in the cells around its middle; distances are to cell middles."""
        window = np.arange(-_REACH, _REACH + 1)
        across, down = (axis.ravel() for axis in np.meshgrid(window, window, indexing="ij"))
        columns, lines = column[:, None] + across, line[:, None] + down
        x = self._origin[0] + (columns + 0.5) * self._size
        y = self._origin[1] + (lines + 0.5) * self._size
        several = _Segments(*(field[:, None] for field in segments))
        distance = np.sqrt(several.squared(x, y)).ravel()
        segment = np.repeat(np.arange(column.size), window.size**2)
        return (columns * self._shape[1] + lines).ravel(), segment, distance
