"""The compiled map: frozen arrays of lane points, lanes, stop lines and crosswalks.

- `LaneGraph`: the arrays; `save` and `load` keep them in one `.npz` file.
- `MARKINGS`, `LANE_TYPES`, `STOP_KINDS`: what the codes in those arrays stand for.
"""

from __future__ import annotations

import dataclasses
import os
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from rewardloom.errors import ConfigError, refuse_unknown

__all__ = [
    "CHANGE_LEFT",
    "CHANGE_RIGHT",
    "DRIVABLE",
    "FORMAT_VERSION",
    "LANE_TYPES",
    "MARKINGS",
    "STOP_KINDS",
    "LaneGraph",
    "lane_type_codes",
]

F64 = npt.NDArray[np.float64]
I32 = npt.NDArray[np.int32]
I64 = npt.NDArray[np.int64]
U8 = npt.NDArray[np.uint8]

FORMAT_VERSION = 1
"""Version of the arrays; a file with another one is refused and compiled anew."""

MARKINGS = (
    "none",
    "broken",
    "solid",
    "solid solid",
    "solid broken",
    "broken solid",
    "broken broken",
    "botts dots",
    "grass",
    "curb",
    "edge",
    "other",
)
"""Types of lane markings by code."""

LANE_TYPES = (
    "none",
    "driving",
    "bidirectional",
    "entry",
    "exit",
    "onRamp",
    "offRamp",
    "connectingRamp",
    "parking",
    "shoulder",
    "sidewalk",
    "biking",
    "border",
    "restricted",
    "stop",
    "median",
    "other",
)
"""Types of lanes by code."""

DRIVABLE = ("driving", "bidirectional", "entry", "exit", "onRamp", "offRamp", "connectingRamp")
"""Types of lanes that traffic drives on."""

STOP_KINDS = ("light", "stop", "yield")
"""What makes a stop line, by code: signals 1000001, 206 and 205."""

CHANGE_RIGHT, CHANGE_LEFT = 1, 2
"""Bits of `LaneGraph.lane_change`, with CARLA's values."""


@dataclass(frozen=True, eq=False)
class LaneGraph:
    """A compiled map. Positions are in metres in CARLA's frame (left-handed: x, y to the right).

    Every lane is a run of points in its driving direction, evenly spaced in road coordinates and
    including both its ends, so the last point of a lane and the first one of its successor
    coincide. P points, L lanes, E edges, S stop lines, G signal groups, T speed signs and
    C crosswalks.

    Attributes:
        x: Lane centre, (P,); likewise `y`, `z` (the road's elevation).
        yaw: Driving direction, rad in (-pi, pi], clockwise as seen from above as in CARLA, (P,).
        width: Lane width, (P,).
        s: Road coordinate, (P,); it falls along lanes that run against their road.
        distance: Length of the lane from its first point, (P,).
        speed_limit: m/s; inf where the map says nothing, (P,).
        mark_left: Code of the marking to the left as driven, (P,); likewise `mark_right`.
        lane_change: Bits `CHANGE_LEFT` and `CHANGE_RIGHT`: the marking allows to change and there
            is a lane of the same direction to change to, (P,).
        lane: Row of the lane a point belongs to, (P,).
        lane_first: First point of each lane, and P, (L + 1,).
        lane_road: OpenDRIVE id of the road, (L,); likewise `lane_section` (index) and `lane_id`.
        lane_type: Code of the lane's type, (L,).
        lane_junction: OpenDRIVE id of the junction the lane lies in, or -1, (L,).
        lane_left: Row of the drivable lane to the left with the same direction, or -1, (L,);
            likewise `lane_right`. Point k of one lies beside point k of the other.
        successors: (lane, lane that its traffic drives on into), (E, 2), sorted.
        stop_x: Middle of a stop line, (S,); likewise `stop_y`. It spans the lane, square to it.
        stop_yaw: Driving direction there, (S,).
        stop_width: Width of the lane there, (S,).
        stop_point: The lane point that it lies on, (S,).
        stop_kind: Code of what makes it a stop line, (S,).
        stop_group: Row of the signal group that switches it, or -1, (S,).
        stop_signal: OpenDRIVE id of the signal, (S,).
        group_junction: OpenDRIVE id of the junction a signal group belongs to, or -1, (G,).
        group_controller: OpenDRIVE id of its controller; -1 for a light without one, (G,).
        group_sequence: Its place in the junction's cycle, (G,).
        sign_x: Position of a speed sign, (T,); likewise `sign_y`.
        sign_limit: m/s, (T,).
        crosswalk_first: First corner of each crosswalk, and their number, (C + 1,).
        crosswalk_corners: x, y of the corners of all crosswalks, (corners, 2).
    """

    x: F64
    y: F64
    z: F64
    yaw: F64
    width: F64
    s: F64
    distance: F64
    speed_limit: F64
    mark_left: U8
    mark_right: U8
    lane_change: U8
    lane: I32
    lane_first: I64
    lane_road: I32
    lane_section: I32
    lane_id: I32
    lane_type: U8
    lane_junction: I32
    lane_left: I32
    lane_right: I32
    successors: I32
    stop_x: F64
    stop_y: F64
    stop_yaw: F64
    stop_width: F64
    stop_point: I64
    stop_kind: U8
    stop_group: I32
    stop_signal: I64
    group_junction: I32
    group_controller: I64
    group_sequence: I32
    sign_x: F64
    sign_y: F64
    sign_limit: F64
    crosswalk_first: I64
    crosswalk_corners: F64

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            getattr(self, field.name).setflags(write=False)

    def __repr__(self) -> str:
        return (
            f"LaneGraph({self.lane_road.size} lanes, {self.x.size} points, "
            f"{self.stop_x.size} stop lines, {self.crosswalk_first.size - 1} crosswalks)"
        )

    @property
    def lane_length(self) -> F64:
        """Length of each lane in metres, (L,)."""
        return self.distance[self.lane_first[1:] - 1]

    def lanes_of(self, types: tuple[str, ...] = DRIVABLE) -> npt.NDArray[np.bool_]:
        """Return which lanes have one of these types, (L,)."""
        return np.isin(self.lane_type, lane_type_codes(types))

    def crosswalk(self, number: int) -> F64:
        """Return the corners of one crosswalk, (corners, 2)."""
        return self.crosswalk_corners[
            self.crosswalk_first[number] : self.crosswalk_first[number + 1]
        ]

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the map to an `.npz` file."""
        arrays = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        with Path(path).open("wb") as file:
            np.savez_compressed(file, format_version=np.int64(FORMAT_VERSION), **arrays)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> LaneGraph:
        """Read a map that `save` wrote.

        Raises:
            ConfigError: There is no such file, or it is no compiled map of this version.
        """
        file = Path(path)
        if not file.is_file():
            raise ConfigError(f"There is no compiled map {file}.")
        try:
            with np.load(file, allow_pickle=False) as stored:
                version = int(stored["format_version"])
                if version != FORMAT_VERSION:
                    raise ConfigError(
                        f"The compiled map {file} has format {version}; this version reads "
                        f"{FORMAT_VERSION}. Compile its OpenDRIVE again."
                    )
                return cls(**{field.name: stored[field.name] for field in dataclasses.fields(cls)})
        except (ValueError, KeyError, TypeError, OSError, zipfile.BadZipFile) as error:
            if isinstance(error, ConfigError):
                raise
            raise ConfigError(f"{file} is no compiled map: {error}.") from error


def lane_type_codes(types: tuple[str, ...]) -> U8:
    """Return the codes of lane types by name.

    Raises:
        ConfigError: A name is not in `LANE_TYPES`.
    """
    refuse_unknown(types, LANE_TYPES, kind="lane type", where="in a lane query")
    return np.array([LANE_TYPES.index(name) for name in types], dtype=np.uint8)
