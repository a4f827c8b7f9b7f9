"""What stands beside and on the roads: signals, their controllers, speed signs, crosswalks.

- `SignalUse`: a traffic light, stop, yield or speed sign acting on lanes of a road at some s.
- `Group`: the signals of one controller, which switch together.
- `read_signal_uses`, `read_groups`, `read_crosswalks`.

Signal types: 1000001 traffic light, 206 stop, 205 yield, 274 speed limit. As CARLA does, objects
named `Speed_<km/h>` count as speed signs and objects named `Stencil_STOP` as stop signs.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import NamedTuple
from xml.etree.ElementTree import Element

import numpy as np
import numpy.typing as npt

from rewardloom.envs.carla.maps.document import Document
from rewardloom.envs.carla.maps.roads import SPEED_UNITS, Road

__all__ = ["Group", "SignalUse", "read_crosswalks", "read_groups", "read_signal_uses"]

_KINDS = {"1000001": "light", "206": "stop", "205": "yield", "274": "speed"}
_SPEED_OBJECT = re.compile(r"Speed_(\d+)")


class SignalUse(NamedTuple):
    """A signal acting on some lanes of a road.

    Attributes:
        signal: Its OpenDRIVE id.
        kind: `light`, `stop`, `yield` or `speed`.
        road: The road it acts on.
        s: Where; `t` is its distance to the left of the reference line.
        lanes: Ids of the lanes it acts on; empty for a post that only references act through.
        limit: m/s for `speed`, else inf.
    """

    signal: int
    kind: str
    road: int
    s: float
    t: float
    lanes: frozenset[int]
    limit: float


class Group(NamedTuple):
    """A controller: its junction (or -1), place in the cycle, id, and what it switches together."""

    junction: int
    sequence: int
    controller: int
    signals: frozenset[int]


def read_signal_uses(document: Document, roads: dict[int, Road]) -> tuple[SignalUse, ...]:
    """Return the uses of all signals of a known type, in document order.

    Raises:
        ConfigError: A signal or reference is broken, or refers to a signal that is not there.
    """
    signals = {
        document.integer(element, "id", "<signals>"): element
        for element in document.root.iterfind("road/signals/signal")
    }
    found: list[SignalUse] = []
    for road in roads.values():
        where = f"road {road.id}"
        for tag in ("signal", "signalReference"):
            for element in road.element.iterfind(f"signals/{tag}"):
                number = document.integer(element, "id", where)
                if number not in signals:
                    document.refuse(f"<{tag}> of {where}", f"there is no signal {number}")
                use = _use(document, road, element, signals[number], number)
                if use is not None:
                    found.append(use)
        found.extend(_objects_as_signs(document, road, where))
    return tuple(found)


def _use(
    document: Document, road: Road, element: Element, signal: Element, number: int
) -> SignalUse | None:
    kind = _KINDS.get(signal.get("type", ""))
    if kind is None:
        return None
    where = f"road {road.id}"
    limit = math.inf
    if kind == "speed":
        unit = signal.get("unit", "km/h")
        if unit not in SPEED_UNITS:
            document.refuse(f"signal {number} of {where}", f"unit={unit!r} is unknown")
        limit = document.number(signal, "value", f"{where} (id {number})") * SPEED_UNITS[unit]
    s, t = (document.number(element, name, f"{where} (id {number})") for name in ("s", "t"))
    return SignalUse(number, kind, road.id, s, t, _acts_on(document, road, element, s), limit)


def _acts_on(document: Document, road: Road, element: Element, s: float) -> frozenset[int]:
    where = f"a signal of road {road.id}"
    present = road.sections[road.section_at(s)].lanes
    ranges = [
        sorted((document.integer(v, "fromLane", where), document.integer(v, "toLane", where)))
        for v in element.iterfind("validity")
    ]
    if ranges:
        return frozenset(
            lane for lane in present if lane and any(low <= lane <= high for low, high in ranges)
        )
    orientation = element.get("orientation", "none")
    return frozenset(
        lane
        for lane in present
        if lane and (orientation not in ("+", "-") or road.forward(lane) == (orientation == "+"))
    )


def _objects_as_signs(document: Document, road: Road, where: str) -> Iterator[SignalUse]:
    for element in road.element.iterfind("objects/object"):
        name = element.get("name", "")
        speed = _SPEED_OBJECT.fullmatch(name)
        if speed is None and name != "Stencil_STOP":
            continue
        number = document.integer(element, "id", where)
        s, t = (document.number(element, key, where) for key in ("s", "t"))
        side = frozenset(lane for lane in road.sections[road.section_at(s)].lanes if lane * t > 0)
        if speed is None:
            yield SignalUse(number, "stop", road.id, s, t, side, math.inf)
        else:
            limit = int(speed.group(1)) * SPEED_UNITS["km/h"]
            yield SignalUse(number, "speed", road.id, s, t, side, limit)


def read_groups(document: Document) -> tuple[Group, ...]:
    """Return the controllers, sorted by junction, sequence and id."""
    places: dict[int, tuple[int, int]] = {}
    for junction in document.root.iterfind("junction"):
        number = document.integer(junction, "id", "the map")
        for place, element in enumerate(junction.iterfind("controller")):
            where = f"junction {number}"
            controller = document.integer(element, "id", where)
            sequence = document.integer(element, "sequence", where, place)
            places.setdefault(controller, (number, sequence))
    groups: list[Group] = []
    for element in document.root.iterfind("controller"):
        number = document.integer(element, "id", "the map")
        signals = frozenset(
            document.integer(control, "signalId", f"controller {number}")
            for control in element.iterfind("control")
        )
        groups.append(Group(*places.get(number, (-1, 0)), number, signals))
    return tuple(sorted(groups))


def read_crosswalks(document: Document, roads: dict[int, Road]) -> list[npt.NDArray[np.float64]]:
    """Return the corners of each crosswalk in OpenDRIVE's frame, arrays (corners, 2)."""
    found: list[npt.NDArray[np.float64]] = []
    for road in roads.values():
        for element in road.element.iterfind("objects/object"):
            if element.get("type") == "crosswalk":
                corners = _corners(document, road, element)
                if np.array_equal(corners[0], corners[-1]):
                    corners = corners[:-1]
                if len(corners) < 3:
                    document.refuse(f"a crosswalk of road {road.id}", "it has fewer than 3 corners")
                found.append(corners)
    return found


def _corners(document: Document, road: Road, element: Element) -> npt.NDArray[np.float64]:
    where = f"a crosswalk of road {road.id}"
    on_road = [
        [document.number(corner, name, where) for name in ("s", "t")]
        for corner in element.iter("cornerRoad")
    ]
    if on_road:
        return _to_plane(road, np.array(on_road))
    local = [
        [document.number(corner, name, where) for name in ("u", "v")]
        for corner in element.iter("cornerLocal")
    ]
    if not local:
        u, v = (document.number(element, name, where) / 2 for name in ("length", "width"))
        local = [[-u, -v], [u, -v], [u, v], [-u, v]]
    place = np.array([[document.number(element, name, where) for name in ("s", "t")]])
    turn = road.line.at(place[:, 0]).heading + document.number(element, "hdg", where, 0.0)
    cos, sin = np.cos(turn[0]), np.sin(turn[0])
    return _to_plane(road, place) + np.array(local) @ np.array([[cos, sin], [-sin, cos]])


def _to_plane(road: Road, places: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    frame = road.line.at(places[:, 0])
    normal = np.stack([-np.sin(frame.heading), np.cos(frame.heading)], axis=1)
    return np.stack([frame.x, frame.y], axis=1) + places[:, 1:] * normal
