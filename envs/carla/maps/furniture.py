"""Stop lines, speed signs and crosswalks as arrays of a `LaneGraph`.

A light inside a junction is obeyed where the junction begins: its stop line lies at the end of
the lanes that lead into the junction lane it acts on, once for each of those lanes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from rewardloom.envs.carla.maps.graph import DRIVABLE, STOP_KINDS
from rewardloom.envs.carla.maps.roads import Road
from rewardloom.envs.carla.maps.signals import Group, SignalUse
from rewardloom.envs.carla.maps.topology import LaneKey

__all__ = ["Placement", "crosswalk_arrays", "sign_arrays", "stop_arrays"]

F64 = npt.NDArray[np.float64]


class Placement(NamedTuple):
    """What is needed to put a signal on lane points.

    Attributes:
        roads: Roads by id.
        rows: Row of each lane.
        first: First point of each lane, and the number of points, (L + 1,).
        s: Road coordinate of every point, (P,).
        successors: (lane, next lane) rows, (E, 2).
    """

    roads: dict[int, Road]
    rows: dict[LaneKey, int]
    first: npt.NDArray[np.int64]
    s: F64
    successors: npt.NDArray[np.int32]

    def points(self, use: SignalUse) -> list[int]:
        """Return the lane points at which drivable lanes obey a signal."""
        road = self.roads[use.road]
        index = road.section_at(use.s)
        found: list[int] = []
        for lane in sorted(use.lanes):
            if road.sections[index].lanes[lane].type not in DRIVABLE:
                continue
            row = self.rows[LaneKey(road.id, index, lane)]
            before = self._before(row) if road.junction >= 0 else []
            found.extend(before or [self._nearest(row, use.s)])
        return found

    def _before(self, row: int) -> list[int]:
        lanes = self.successors[self.successors[:, 1] == row, 0]
        return [int(self.first[lane + 1]) - 1 for lane in lanes]

    def _nearest(self, row: int, s: float) -> int:
        start, end = self.first[row : row + 2]
        return int(start + np.argmin(np.abs(self.s[start:end] - s)))


def stop_arrays(
    placement: Placement, uses: Sequence[SignalUse], groups: Sequence[Group]
) -> dict[str, npt.NDArray[Any]]:
    """Return the stop lines (point, kind, group, signal) and the signal groups of a `LaneGraph`."""
    groups = [*groups, *_lone_lights(placement.roads, uses, groups)]
    group_of = {signal: row for row, group in reversed([*enumerate(groups)]) for signal in group[3]}
    lines = {
        (point, STOP_KINDS.index(use.kind), group_of.get(use.signal, -1)): use.signal
        for use in reversed(uses)
        if use.kind in STOP_KINDS
        for point in placement.points(use)
    }
    table = np.array([(*key, lines[key]) for key in sorted(lines)], dtype=np.int64).reshape(-1, 4)
    return {
        "stop_point": table[:, 0].copy(),
        "stop_kind": table[:, 1].astype(np.uint8),
        "stop_group": table[:, 2].astype(np.int32),
        "stop_signal": table[:, 3].copy(),
        "group_junction": np.array([group.junction for group in groups], dtype=np.int32),
        "group_controller": np.array([group.controller for group in groups], dtype=np.int64),
        "group_sequence": np.array([group.sequence for group in groups], dtype=np.int32),
    }


def _lone_lights(
    roads: dict[int, Road], uses: Sequence[SignalUse], groups: Sequence[Group]
) -> list[Group]:
    """Return a group of its own for each light that no controller names."""
    named = {signal for group in groups for signal in group.signals}
    lone: dict[int, Group] = {}
    for use in uses:
        if use.kind == "light" and use.signal not in named:
            junction = roads[use.road].junction
            if use.signal not in lone or lone[use.signal].junction < 0:
                lone[use.signal] = Group(junction, 0, -1, frozenset((use.signal,)))
    return [lone[signal] for signal in sorted(lone)]


def sign_arrays(
    roads: dict[int, Road], uses: Sequence[SignalUse]
) -> dict[str, npt.NDArray[np.float64]]:
    """Return position and limit of the speed signs of a `LaneGraph`."""
    rows: list[tuple[float, float, float]] = []
    for use in uses:
        if use.kind == "speed":
            x, y, heading, _ = (
                float(column[0]) for column in roads[use.road].line.at(np.array([use.s]))
            )
            rows.append((x - use.t * np.sin(heading), -(y + use.t * np.cos(heading)), use.limit))
    table = np.array(rows, dtype=np.float64).reshape(-1, 3)
    return {
        "sign_x": table[:, 0].copy(),
        "sign_y": table[:, 1].copy(),
        "sign_limit": table[:, 2].copy(),
    }


def crosswalk_arrays(crosswalks: Sequence[F64]) -> dict[str, npt.NDArray[Any]]:
    """Return the crosswalks of a `LaneGraph` from their corners in OpenDRIVE's frame."""
    sizes = [0, *(len(corners) for corners in crosswalks)]
    corners = np.concatenate([np.zeros((0, 2)), *crosswalks])
    return {
        "crosswalk_first": np.cumsum(sizes, dtype=np.int64),
        "crosswalk_corners": corners * np.array([1.0, -1.0]),
    }
