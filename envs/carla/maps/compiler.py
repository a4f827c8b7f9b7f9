"""Compile OpenDRIVE to a `LaneGraph`.

- `compile_map`: a file. `compile_text`: a document's text, as a CARLA server sends it.
"""

from __future__ import annotations

import math
import os

import numpy as np
import numpy.typing as npt

from rewardloom.envs.carla.maps.document import Document, open_document
from rewardloom.envs.carla.maps.furniture import (
    Placement,
    crosswalk_arrays,
    sign_arrays,
    stop_arrays,
)
from rewardloom.envs.carla.maps.graph import CHANGE_LEFT, CHANGE_RIGHT, LANE_TYPES, LaneGraph
from rewardloom.envs.carla.maps.limits import point_limits
from rewardloom.envs.carla.maps.roads import Road, read_connections, read_roads
from rewardloom.envs.carla.maps.signals import read_crosswalks, read_groups, read_signal_uses
from rewardloom.envs.carla.maps.strips import Strip, neighbor_rows, section_strips
from rewardloom.envs.carla.maps.topology import LaneKey, lane_successors
from rewardloom.errors import ConfigError

__all__ = ["compile_map", "compile_text"]

F64 = npt.NDArray[np.float64]


def compile_map(path: str | os.PathLike[str], *, spacing: float = 0.5) -> LaneGraph:
    """Compile an OpenDRIVE file.

    Args:
        path: A `.xodr` or `.xodr.xz` file.
        spacing: Largest distance of neighboring lane points along the road, in metres.

    Raises:
        ConfigError: The file is missing or broken, or `spacing` is not positive; the message
            names the file and the element.
    """
    return _compile(open_document(path), spacing)


def compile_text(text: str | bytes, *, name: str = "<text>", spacing: float = 0.5) -> LaneGraph:
    """Compile the text of an OpenDRIVE document; `name` is what errors call it."""
    return _compile(Document(name, text), spacing)


def _compile(document: Document, spacing: float) -> LaneGraph:
    if not 0 < spacing < math.inf:
        raise ConfigError(f"spacing must be a positive number of metres, not {spacing!r}.")
    roads = read_roads(document)
    strips = [
        strip
        for road in roads.values()
        for index in range(len(road.sections))
        for strip in section_strips(road, index, spacing)
    ]
    if not strips:
        document.refuse("<OpenDRIVE>", "no road has a lane beside its centre")
    keys = [strip.key for strip in strips]
    rows = {key: row for row, key in enumerate(keys)}
    pairs = lane_successors(document, roads, read_connections(document, roads))
    successors = np.array([(rows[a], rows[b]) for a, b in pairs], dtype=np.int32).reshape(-1, 2)
    uses = read_signal_uses(document, roads)
    first = np.cumsum([0, *(strip.s.size for strip in strips)], dtype=np.int64)
    points = _columns(strips)
    stops = stop_arrays(
        Placement(roads, rows, first, points["s"], successors), uses, read_groups(document)
    )
    at = stops["stop_point"]
    return LaneGraph(
        **points,
        distance=_distance(points["x"], points["y"], points["z"], first),
        speed_limit=point_limits(roads, uses, keys, [strip.s for strip in strips], successors),
        **_markings(strips),
        **_lane_columns(roads, keys, rows, first, strips),
        lane_first=first,
        successors=successors,
        **stops,
        **{f"stop_{name}": points[name][at] for name in ("x", "y", "yaw", "width")},
        **sign_arrays(roads, uses),
        **crosswalk_arrays(read_crosswalks(document, roads)),
    )


def _columns(strips: list[Strip]) -> dict[str, F64]:
    names = ("x", "y", "z", "yaw", "width", "s")
    return {name: np.concatenate([getattr(strip, name) for strip in strips]) for name in names}


def _markings(strips: list[Strip]) -> dict[str, npt.NDArray[np.uint8]]:
    names = ("mark_left", "mark_right")
    return {name: np.concatenate([getattr(strip, name) for strip in strips]) for name in names}


def _lane_columns(
    roads: dict[int, Road],
    keys: list[LaneKey],
    rows: dict[LaneKey, int],
    first: npt.NDArray[np.int64],
    strips: list[Strip],
) -> dict[str, npt.NDArray[np.generic]]:
    left, right = neighbor_rows(roads, keys, rows)
    lane = np.repeat(np.arange(len(keys), dtype=np.int32), np.diff(first))
    change = np.concatenate([strip.change for strip in strips])
    change[left[lane] < 0] &= CHANGE_RIGHT
    change[right[lane] < 0] &= CHANGE_LEFT
    table = np.array(keys, dtype=np.int32)
    types = [roads[key.road].sections[key.section].lanes[key.lane].type for key in keys]
    return {
        "lane": lane,
        "lane_change": change,
        "lane_road": table[:, 0].copy(),
        "lane_section": table[:, 1].copy(),
        "lane_id": table[:, 2].copy(),
        "lane_type": np.array([_type_code(name) for name in types], dtype=np.uint8),
        "lane_junction": np.array([roads[key.road].junction for key in keys], dtype=np.int32),
        "lane_left": left,
        "lane_right": right,
    }


def _type_code(name: str) -> int:
    return LANE_TYPES.index(name if name in LANE_TYPES else "other")


def _distance(x: F64, y: F64, z: F64, first: npt.NDArray[np.int64]) -> F64:
    """Return the length of each lane's line from its first point on."""
    steps = np.sqrt(np.diff(x) ** 2 + np.diff(y) ** 2 + np.diff(z) ** 2)
    steps[first[1:-1] - 1] = 0.0
    travelled = np.concatenate(([0.0], np.cumsum(steps)))
    return travelled - np.repeat(travelled[first[:-1]], np.diff(first))
