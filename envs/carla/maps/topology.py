"""Which lane continues into which: lane links, road links and junctions, in driving direction.

- `LaneKey`: (road, section index, lane id).
- `lane_successors`: pairs of lanes where the first one's traffic drives on into the second.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from rewardloom.envs.carla.maps.document import Document
from rewardloom.envs.carla.maps.roads import Connection, Link, Road, Section

__all__ = ["LaneKey", "lane_successors"]


class LaneKey(NamedTuple):
    """Names a lane: its road, the index of its section, its id."""

    road: int
    section: int
    lane: int


class _End(NamedTuple):
    """One end of a lane, in road coordinates: `start` or `end`."""

    lane: LaneKey
    side: str


def lane_successors(
    document: Document, roads: dict[int, Road], connections: tuple[Connection, ...]
) -> list[tuple[LaneKey, LaneKey]]:
    """Return (lane, successor) pairs, sorted and without repetition.

    A pair is there where two lane ends touch, by a lane link or a junction's connection, and
    traffic leaves the one and enters the other. Links to lanes that do not exist are passed over,
    as CARLA does.

    Raises:
        ConfigError: A road is linked to a road that is not there.
    """
    pairs: set[tuple[LaneKey, LaneKey]] = set()
    for one, other in _contacts(document, roads, connections):
        if not (_exists(roads, one.lane) and _exists(roads, other.lane)):
            continue
        for first, second in ((one, other), (other, one)):
            leaves = roads[first.lane.road].forward(first.lane.lane) == (first.side == "end")
            enters = roads[second.lane.road].forward(second.lane.lane) == (second.side == "start")
            if leaves and enters:
                pairs.add((first.lane, second.lane))
    return sorted(pairs)


def _exists(roads: dict[int, Road], key: LaneKey) -> bool:
    return key.lane != 0 and key.lane in roads[key.road].sections[key.section].lanes


def _contacts(
    document: Document, roads: dict[int, Road], connections: tuple[Connection, ...]
) -> Iterator[tuple[_End, _End]]:
    for road in roads.values():
        last = len(road.sections) - 1
        for index, section in enumerate(road.sections):
            if index < last:
                yield from _inside(road, index, section)
        yield from _between(document, roads, road, road.sections[0], "start")
        yield from _between(document, roads, road, road.sections[last], "end")
    for connection in connections:
        yield from _connected(roads, connection)


def _inside(road: Road, index: int, section: Section) -> Iterator[tuple[_End, _End]]:
    here, there = index, index + 1
    for lane in section.lanes.values():
        if lane.successor is not None:
            after = LaneKey(road.id, there, lane.successor)
            yield _End(LaneKey(road.id, here, lane.id), "end"), _End(after, "start")
    for lane in road.sections[there].lanes.values():
        if lane.predecessor is not None:
            before = LaneKey(road.id, here, lane.predecessor)
            yield _End(before, "end"), _End(LaneKey(road.id, there, lane.id), "start")


def _between(
    document: Document, roads: dict[int, Road], road: Road, section: Section, side: str
) -> Iterator[tuple[_End, _End]]:
    link: Link | None = road.predecessor if side == "start" else road.successor
    if link is None or link.kind != "road":
        return
    if link.target not in roads:
        document.refuse(f"<link> of road {road.id}", f"there is no road {link.target}")
    for lane in section.lanes.values():
        other = lane.predecessor if side == "start" else lane.successor
        if other is not None:
            yield (
                _End(_at_end(road, lane.id, side), side),
                _End(_at_end(roads[link.target], other, link.contact), link.contact),
            )


def _connected(roads: dict[int, Road], connection: Connection) -> Iterator[tuple[_End, _End]]:
    incoming, connecting = roads[connection.incoming], roads[connection.connecting]
    for origin, target in connection.lanes:
        leaving = "end" if incoming.forward(origin) else "start"
        link = incoming.successor if leaving == "end" else incoming.predecessor
        if link is None or link.kind != "junction" or link.target != connection.junction:
            continue
        yield (
            _End(_at_end(incoming, origin, leaving), leaving),
            _End(_at_end(connecting, target, connection.contact), connection.contact),
        )


def _at_end(road: Road, lane: int, side: str) -> LaneKey:
    return LaneKey(road.id, 0 if side == "start" else len(road.sections) - 1, lane)
