"""Lanes as strips of evenly spaced points, in CARLA's frame and in driving direction.

- `Strip`: the points of one lane.
- `section_strips`: the strips of one lane section.
- `neighbor_rows`: which strips lie beside each other and drive the same way.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from rewardloom.envs.carla.maps.geometry import Frame
from rewardloom.envs.carla.maps.graph import CHANGE_LEFT, CHANGE_RIGHT, DRIVABLE, MARKINGS
from rewardloom.envs.carla.maps.roads import Lane, Mark, Road
from rewardloom.envs.carla.maps.topology import LaneKey

__all__ = ["Strip", "neighbor_rows", "section_strips"]

F64 = npt.NDArray[np.float64]
I32 = npt.NDArray[np.int32]
U8 = npt.NDArray[np.uint8]

_INSIDE = 1e-7  # a section's last point is taken this far (m) before its end, where records change
_CHANGERS = ("broken", "broken broken", "botts dots")


class Strip(NamedTuple):
    """The points of one lane; columns as in `LaneGraph`, (n,) each.

    `change` holds what the markings allow, whether or not there is a lane to change to.
    """

    key: LaneKey
    x: F64
    y: F64
    z: F64
    yaw: F64
    width: F64
    s: F64
    mark_left: U8
    mark_right: U8
    change: U8


def section_strips(road: Road, index: int, spacing: float) -> list[Strip]:
    """Return the strips of a lane section, by lane id.

    Args:
        road: The road.
        index: Which of its lane sections.
        spacing: Largest distance of neighboring points along the reference line, in metres.
    """
    section = road.sections[index]
    count = max(1, math.ceil((section.end - section.start) / spacing - 1e-9))
    s = np.linspace(section.start, section.end, count + 1)
    inside = np.minimum(s, max(section.start, section.end - _INSIDE))
    frame = road.line.at(inside)
    strips: list[Strip] = []
    for sign in (-1, 1):
        edge, slope = road.offset.value(inside), road.offset.slope(inside)
        for number in sorted((n for n in section.lanes if n * sign > 0), key=abs):
            lane, inner = section.lanes[number], section.lanes[number - sign]
            width, widening = lane.width.value(inside), lane.width.slope(inside)
            forward = road.forward(number)
            x, y, yaw = _centre(
                frame, edge + sign * width / 2, slope + sign * widening / 2, forward
            )
            z, marks = road.elevation.value(inside), _marks(lane, inner, inside, forward)
            along = Strip(LaneKey(road.id, index, number), x, y, z, yaw, width, s, *marks)
            strips.append(along if forward else _reversed(along))
            edge, slope = edge + sign * width, slope + sign * widening
    return sorted(strips)


def _reversed(strip: Strip) -> Strip:
    return Strip._make((strip.key, *(column[::-1] for column in strip[1:])))


def _centre(frame: Frame, t: F64, slope: F64, forward: bool) -> tuple[F64, F64, F64]:
    """Shift the reference line by t to its left and mirror it into CARLA's frame."""
    x = frame.x - np.sin(frame.heading) * t
    y = frame.y + np.cos(frame.heading) * t
    heading = frame.heading + np.arctan2(slope, 1 - t * frame.curvature)
    yaw = -heading if forward else math.pi - heading
    return x, -y, math.pi - (math.pi - yaw) % (2 * math.pi)


def _marks(lane: Lane, inner: Lane, s: F64, forward: bool) -> tuple[U8, U8, U8]:
    """Return the codes of the left and right marking, and what they allow, as driven."""
    outer_is_right = forward == (lane.id < 0)
    right, left = (lane, inner) if outer_is_right else (inner, lane)
    mark_left, to_left = _mark_columns(left.marks, s, "increase" if forward else "decrease")
    mark_right, to_right = _mark_columns(right.marks, s, "decrease" if forward else "increase")
    change = CHANGE_LEFT * to_left + CHANGE_RIGHT * to_right
    return mark_left, mark_right, change.astype(np.uint8)


def _mark_columns(
    marks: tuple[Mark, ...], s: F64, direction: str
) -> tuple[U8, npt.NDArray[np.bool_]]:
    if not marks:
        return np.zeros(s.size, dtype=np.uint8), np.zeros(s.size, dtype=np.bool_)
    row = np.maximum(np.searchsorted([mark.s for mark in marks], s, side="right") - 1, 0)
    codes = np.array([_mark_code(mark.type) for mark in marks], dtype=np.uint8)
    allowed = np.array([_may_cross(mark, direction) for mark in marks])
    return codes[row], allowed[row]


def _mark_code(name: str) -> int:
    return MARKINGS.index(name if name in MARKINGS else "other")


def _may_cross(mark: Mark, direction: str) -> bool:
    """A mark without `laneChange` may be crossed where it is broken (our reading)."""
    if mark.change:
        return mark.change in (direction, "both")
    return mark.type in _CHANGERS


def neighbor_rows(
    roads: dict[int, Road], keys: list[LaneKey], rows: dict[LaneKey, int]
) -> tuple[I32, I32]:
    """Return the rows of the drivable lanes to the left and right that drive the same way.

    Lanes that are not drivable themselves have none (-1).
    """
    left = np.full(len(keys), -1, dtype=np.int32)
    right = left.copy()
    for row, (number, section, lane) in enumerate(keys):
        road = roads[number]
        lanes = road.sections[section].lanes
        if lanes[lane].type not in DRIVABLE:
            continue
        rising, falling = (left, right) if road.forward(lane) else (right, left)
        for side, other in ((rising, lane + 1), (falling, lane - 1)):
            if other * lane > 0 and other in lanes and lanes[other].type in DRIVABLE:
                side[row] = rows[LaneKey(number, section, other)]
    return left, right
