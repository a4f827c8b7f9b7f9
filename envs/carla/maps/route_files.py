"""Routes in CARLA's leaderboard format (version 2), as of longest6.

- `RouteTask`, `Scenario`: what a `<route>` says.
- `read_routes`: a file of them.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple
from xml.etree.ElementTree import Element

import numpy as np
import numpy.typing as npt

from rewardloom.envs.carla.maps.document import Document
from rewardloom.errors import ConfigError

__all__ = ["RouteTask", "Scenario", "read_routes"]


class Scenario(NamedTuple):
    """A scenario of a route and where it is triggered: metres, and degrees for `yaw`."""

    name: str
    type: str
    x: float
    y: float
    z: float
    yaw: float


@dataclass(frozen=True, eq=False)
class RouteTask:
    """A route to drive.

    Attributes:
        id: Its id in the file.
        town: The map's name.
        key_points: x, y, z in CARLA's frame, in order, (K, 3).
        scenarios: What happens on the way.
    """

    id: int
    town: str
    key_points: npt.NDArray[np.float64]
    scenarios: tuple[Scenario, ...]


def read_routes(path: str | os.PathLike[str]) -> tuple[RouteTask, ...]:
    """Return the routes of a file, in its order.

    Raises:
        ConfigError: The file is missing or no route file, or a route is broken; the message names
            the file and the route.
    """
    file = Path(path)
    if not file.is_file():
        raise ConfigError(f"There is no route file {file}.")
    document = Document(str(file), file.read_bytes(), root="routes")
    routes: dict[int, RouteTask] = {}
    for element in document.root.iterfind("route"):
        number = document.integer(element, "id", "the file")
        where = f"route {number}"
        if number in routes:
            document.refuse(where, "this id is used twice")
        town = element.get("town")
        if not town:
            document.refuse(where, "the attribute 'town' is missing")
        places = [
            [document.number(position, axis, where) for axis in ("x", "y", "z")]
            for position in element.iterfind("waypoints/position")
        ]
        if len(places) < 2:
            document.refuse(where, f"it has {len(places)} <position> in <waypoints>, not 2 or more")
        routes[number] = RouteTask(
            number, town, np.array(places), _scenarios(document, element, where)
        )
    if not routes:
        document.refuse("<routes>", "it has no <route>")
    return tuple(routes.values())


def _scenarios(document: Document, element: Element, where: str) -> tuple[Scenario, ...]:
    found: list[Scenario] = []
    for scenario in element.iterfind("scenarios/scenario"):
        trigger = document.child(scenario, "trigger_point", where)
        x, y, z, yaw = (document.number(trigger, key, where) for key in ("x", "y", "z", "yaw"))
        found.append(Scenario(scenario.get("name", ""), scenario.get("type", ""), x, y, z, yaw))
    return tuple(found)
