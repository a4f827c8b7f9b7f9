"""Paths along lanes: stretches of parallel lanes turned into points one metre apart.

- `Stretch`: a run along lanes that lie beside each other, changing from each to the next.
- `LanePath`: the dense points of a path.
- `dense_path`: stretches to a `LanePath`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from rewardloom.envs.carla.maps.graph import CHANGE_LEFT, CHANGE_RIGHT, LaneGraph

__all__ = ["CHANGE_LENGTH", "LanePath", "Stretch", "dense_path"]

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]

CHANGE_LENGTH = 20.0
"""Metres along the lane that a lane change takes where there is room (our choice)."""


class Stretch(NamedTuple):
    """Lanes beside each other, in the order they are driven on, from one point to another.

    `start` and `end` count points from the lanes' first ones; they are the same places on all.
    """

    lanes: tuple[int, ...]
    start: int
    end: int


@dataclass(frozen=True, eq=False)
class LanePath:
    """A path along lanes, as points one metre apart (the last one closer), M of them.

    Attributes:
        x: Position in CARLA's frame, (M,); likewise `y`, `z`.
        yaw: Direction of the lane there, rad, (M,); a lane change does not turn it.
        distance: Length of the path up to there, (M,).
        point: The lane point at or before it, on the lane that is nearer during a change, (M,).
    """

    x: F64
    y: F64
    z: F64
    yaw: F64
    distance: F64
    point: I64

    def __post_init__(self) -> None:
        for field in fields(self):
            getattr(self, field.name).setflags(write=False)

    @property
    def length(self) -> float:
        """Length in metres."""
        return float(self.distance[-1])

    @property
    def xy(self) -> F64:
        """Positions, (M, 2)."""
        return np.stack([self.x, self.y], axis=1)


def dense_path(graph: LaneGraph, stretches: Sequence[Stretch], step: float = 1.0) -> LanePath:
    """Return the path along stretches of which each begins where the one before ends."""
    pieces = [_blended(graph, stretch) for stretch in stretches]
    x, y, z, yaw = (np.concatenate([piece[0][row] for piece in pieces]) for row in range(4))
    point = np.concatenate([piece[1] for piece in pieces])
    steps = np.sqrt(np.diff(x) ** 2 + np.diff(y) ** 2 + np.diff(z) ** 2)
    travelled = np.concatenate(([0.0], np.cumsum(steps)))
    # Where stretches meet, points coincide: the first of the later lane is kept.
    kept = np.append(np.diff(travelled) > 1e-9, True)
    travelled, point, yaw = travelled[kept], point[kept], np.unwrap(yaw[kept])
    length = travelled[-1]
    at = np.append(np.arange(0.0, length - 1e-6, step), length)
    turned = np.interp(at, travelled, yaw)
    row = np.maximum(np.searchsorted(travelled, at + 1e-9, side="right") - 1, 0)
    return LanePath(
        x=np.interp(at, travelled, x[kept]),
        y=np.interp(at, travelled, y[kept]),
        z=np.interp(at, travelled, z[kept]),
        yaw=np.pi - (np.pi - turned) % (2 * np.pi),
        distance=at,
        point=point[row],
    )


def _blended(graph: LaneGraph, stretch: Stretch) -> tuple[F64, I64]:
    """Return x, y, z, yaw (4, n) along a stretch and the lane points (n,)."""
    columns, point = _along(graph, stretch, stretch.lanes[0])
    changes = len(stretch.lanes) - 1
    for number, (before, lane) in enumerate(
        zip(stretch.lanes[:-1], stretch.lanes[1:], strict=True), start=1
    ):
        weight = _change(graph, stretch, before, lane, number / (changes + 1), changes)
        target, other = _along(graph, stretch, lane)
        columns = columns + weight * (target - columns)
        point = np.where(weight > 0.5, other, point)
    return columns, point


def _along(graph: LaneGraph, stretch: Stretch, lane: int) -> tuple[F64, I64]:
    first = graph.lane_first[lane]
    point = np.arange(first + stretch.start, first + stretch.end + 1)
    yaw = np.unwrap(graph.yaw[point])
    return np.stack([graph.x[point], graph.y[point], graph.z[point], yaw]), point


def _change(
    graph: LaneGraph, stretch: Stretch, before: int, lane: int, share: float, changes: int
) -> F64:
    """Return the weight of the new lane along a stretch: 0, a smooth rise, 1.

    The rise is centred where the marking allows to change, as near as can be to `share` of the
    stretch.
    """
    _, point = _along(graph, stretch, before)
    bit = CHANGE_LEFT if graph.lane_left[before] == lane else CHANGE_RIGHT
    along = graph.distance[point] - graph.distance[point[0]]
    away = np.abs(along - share * along[-1])
    allowed = (graph.lane_change[point] & bit) > 0
    centre = along[np.argmin(np.where(allowed, away, away + along[-1] + 1))]
    room = 2 * min(centre, along[-1] - centre)
    length = max(min(CHANGE_LENGTH, room, along[-1] / (changes + 1)), 1e-6)
    rise = np.clip((along - centre) / length + 0.5, 0.0, 1.0)
    return rise * rise * (3 - 2 * rise)
