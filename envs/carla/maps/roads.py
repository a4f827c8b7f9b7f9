"""Roads of an OpenDRIVE document as plain records: geometry, lane sections, links, junctions.

- `Road`, `Section`, `Lane`, `Mark`, `Link`: what a `<road>` says about lanes.
- `Connection`: one `<connection>` of a junction.
- `read_roads`: all roads by id. `read_connections`: all connections of all junctions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple
from xml.etree.ElementTree import Element

import numpy as np

from rewardloom.envs.carla.maps.document import Document
from rewardloom.envs.carla.maps.geometry import Cubics, Piece, ReferenceLine

__all__ = [
    "Connection",
    "Lane",
    "Link",
    "Mark",
    "Road",
    "Section",
    "read_connections",
    "read_roads",
]

_KPH = 1 / 3.6
SPEED_UNITS = {"m/s": 1.0, "km/h": _KPH, "mph": 1609.344 / 3600}
"""Metres per second in one unit of speed."""


class Link(NamedTuple):
    """What a road's end is joined to: a road (`contact` is its end) or a junction."""

    kind: str
    target: int
    contact: str


class Mark(NamedTuple):
    """A lane's outer marking from s on: OpenDRIVE's type and who may change across it."""

    s: float
    type: str
    change: str


@dataclass(frozen=True)
class Lane:
    """A lane of a section. `predecessor` and `successor` are lane ids, or None."""

    id: int
    type: str
    width: Cubics
    marks: tuple[Mark, ...]
    predecessor: int | None
    successor: int | None


@dataclass(frozen=True)
class Section:
    """A lane section from `start` to `end`; `lanes` by id, the centre (0) among them."""

    start: float
    end: float
    lanes: dict[int, Lane]


@dataclass(frozen=True)
class Road:
    """A road. `junction` is -1 outside junctions; `limits` are (s, m/s) records, may be empty."""

    id: int
    length: float
    junction: int
    left_hand: bool
    line: ReferenceLine
    elevation: Cubics
    offset: Cubics
    sections: tuple[Section, ...]
    predecessor: Link | None
    successor: Link | None
    limits: tuple[tuple[float, float], ...]
    element: Element

    def forward(self, lane: int) -> bool:
        """Return whether traffic of that lane drives along the reference line."""
        return (lane < 0) != self.left_hand

    def section_at(self, s: float) -> int:
        """Return the index of the lane section at s."""
        starts = [section.start for section in self.sections]
        return max(int(np.searchsorted(starts, s, side="right")) - 1, 0)


class Connection(NamedTuple):
    """A junction's connection; `lanes` are (lane of incoming, lane of connecting) ids."""

    junction: int
    incoming: int
    connecting: int
    contact: str
    lanes: tuple[tuple[int, int], ...]


def read_roads(document: Document) -> dict[int, Road]:
    """Return the roads of a document by id.

    Raises:
        ConfigError: There is none, an id is used twice, or a road is broken; names the element.
    """
    roads: dict[int, Road] = {}
    for element in document.root.iterfind("road"):
        number = document.integer(element, "id", "the map")
        if number in roads:
            document.refuse(f"road {number}", "this id is used twice")
        roads[number] = _road(document, element, number)
    if not roads:
        document.refuse("<OpenDRIVE>", "it has no <road>")
    return roads


def read_connections(document: Document, roads: dict[int, Road]) -> tuple[Connection, ...]:
    """Return the connections of all junctions.

    Raises:
        ConfigError: A connection is broken or names a road that is not there.
    """
    found: list[Connection] = []
    for junction in document.root.iterfind("junction"):
        number = document.integer(junction, "id", "the map")
        for element in junction.iterfind("connection"):
            if element.get("connectingRoad") is None:
                continue  # direct and virtual connections of OpenDRIVE 1.7 join no lanes here
            where = f"junction {number}"
            incoming = document.integer(element, "incomingRoad", where)
            connecting = document.integer(element, "connectingRoad", where)
            for road in (incoming, connecting):
                if road not in roads:
                    document.refuse(f"<connection> of {where}", f"there is no road {road}")
            lanes = tuple(
                (document.integer(link, "from", where), document.integer(link, "to", where))
                for link in element.iterfind("laneLink")
            )
            contact = _contact(document, element, where)
            found.append(Connection(number, incoming, connecting, contact, lanes))
    return tuple(found)


def _road(document: Document, element: Element, number: int) -> Road:
    where = f"road {number}"
    length = document.number(element, "length", where)
    if length <= 0:
        document.refuse(where, f"its length {length:g} is not positive")
    return Road(
        id=number,
        length=length,
        junction=document.integer(element, "junction", where, -1),
        left_hand=element.get("rule", "RHT") == "LHT",
        line=_line(document, element, where),
        elevation=_cubics(document, element.findall("elevationProfile/elevation"), where, "s"),
        offset=_cubics(document, element.findall("lanes/laneOffset"), where, "s"),
        sections=_sections(document, element, where, length),
        predecessor=_link(document, element.find("link/predecessor"), where),
        successor=_link(document, element.find("link/successor"), where),
        limits=_limits(document, element, where),
        element=element,
    )


def _line(document: Document, element: Element, where: str) -> ReferenceLine:
    pieces = [
        _piece(document, geometry, where)
        for geometry in document.child(element, "planView", where).iterfind("geometry")
    ]
    if not pieces:
        document.refuse(f"<planView> of {where}", "it has no <geometry>")
    return ReferenceLine(tuple(sorted(pieces, key=lambda piece: piece.s)))


_SHAPES = {
    "line": (),
    "arc": ("curvature",),
    "spiral": ("curvStart", "curvEnd"),
    "poly3": ("a", "b", "c", "d"),
    "paramPoly3": ("aU", "bU", "cU", "dU", "aV", "bV", "cV", "dV"),
}


def _piece(document: Document, element: Element, where: str) -> Piece:
    s, x, y, heading, length = (
        document.number(element, name, where) for name in ("s", "x", "y", "hdg", "length")
    )
    if length <= 0:
        document.refuse(f"<geometry> of {where}", f"its length {length:g} is not positive")
    shape = next((child for child in element if child.tag in _SHAPES), None)
    if shape is None:
        given = ", ".join(f"<{child.tag}>" for child in element) or "nothing"
        document.refuse(
            f"<geometry> of {where} at s={s:g}",
            f"it holds {given}; known shapes are {', '.join(_SHAPES)}",
        )
    parameters = tuple(document.number(shape, name, where) for name in _SHAPES[shape.tag])
    if shape.tag == "paramPoly3":
        normalized = shape.get("pRange", "normalized") == "normalized"
        parameters = (*parameters, 1 / length if normalized else 1.0)
    return Piece(s, x, y, heading, length, shape.tag, parameters)


def _cubics(
    document: Document, elements: list[Element], where: str, start: str, shift: float = 0.0
) -> Cubics:
    rows = sorted(
        [document.number(element, name, where) for name in (start, "a", "b", "c", "d")]
        for element in elements
    )
    table = np.array(rows, dtype=np.float64).reshape(-1, 5)
    return Cubics(table[:, 0] + shift, table[:, 1:])


def _sections(
    document: Document, element: Element, where: str, length: float
) -> tuple[Section, ...]:
    elements = document.child(element, "lanes", where).findall("laneSection")
    if not elements:
        document.refuse(f"<lanes> of {where}", "it has no <laneSection>")
    starts = [document.number(section, "s", where) for section in elements]
    if starts != sorted(starts) or starts[-1] >= length:
        document.refuse(
            f"<laneSection> of {where}", "their s must ascend and stay below the road's length"
        )
    ends = [*starts[1:], length]
    return tuple(
        Section(start, end, _lanes(document, section, f"{where} at s={start:g}", start))
        for section, start, end in zip(elements, starts, ends, strict=True)
    )


def _lanes(document: Document, section: Element, where: str, start: float) -> dict[int, Lane]:
    lanes: dict[int, Lane] = {}
    for side, sign in (("left", 1), ("center", 0), ("right", -1)):
        for element in section.iterfind(f"{side}/lane"):
            number = document.integer(element, "id", where)
            if np.sign(number) != sign or number in lanes:
                document.refuse(
                    f"lane {number} of {where}",
                    f"it stands under <{side}>, or its id is used twice",
                )
            lanes[number] = _lane(document, element, number, where, start)
    for number in lanes:
        inner = number - int(np.sign(number))
        if inner and inner not in lanes:
            document.refuse(f"lane {number} of {where}", f"there is no lane {inner} beside it")
    return lanes


def _lane(document: Document, element: Element, number: int, where: str, start: float) -> Lane:
    place = f"lane {number} of {where}"
    width = _cubics(document, element.findall("width"), place, "sOffset", start)
    if number and not width.starts.size:
        document.refuse(place, "it has no <width> (lanes given by <border> are not read)")
    marks = sorted(
        Mark(
            start + document.number(mark, "sOffset", place),
            mark.get("type", "none"),
            mark.get("laneChange", ""),
        )
        for mark in element.iterfind("roadMark")
    )
    return Lane(
        number,
        element.get("type", "none"),
        width,
        tuple(marks),
        _lane_link(document, element.find("link/predecessor"), place),
        _lane_link(document, element.find("link/successor"), place),
    )


def _lane_link(document: Document, element: Element | None, where: str) -> int | None:
    return None if element is None else document.integer(element, "id", where)


def _link(document: Document, element: Element | None, where: str) -> Link | None:
    if element is None or element.get("elementType") not in ("road", "junction"):
        return None
    kind = element.get("elementType", "")
    target = document.integer(element, "elementId", where)
    return Link(kind, target, _contact(document, element, where) if kind == "road" else "")


def _contact(document: Document, element: Element, where: str) -> str:
    contact = element.get("contactPoint", "")
    if contact not in ("start", "end"):
        document.refuse(
            f"<{element.tag}> of {where}", f"contactPoint={contact!r} is neither 'start' nor 'end'"
        )
    return contact


def _limits(document: Document, element: Element, where: str) -> tuple[tuple[float, float], ...]:
    found: list[tuple[float, float]] = []
    for record in element.iterfind("type"):
        speed = record.find("speed")
        if speed is None or speed.get("max") in ("no limit", "undefined"):
            continue
        unit = speed.get("unit", "m/s")
        if unit not in SPEED_UNITS:
            document.refuse(f"<speed> of {where}", f"unit={unit!r} is none of {[*SPEED_UNITS]}")
        value = document.number(speed, "max", where) * SPEED_UNITS[unit]
        found.append((document.number(record, "s", where), value))
    return tuple(sorted(found))
