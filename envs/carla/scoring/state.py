"""What rewards, endings and scores may see of W worlds: arrays with one row per world.

- `WorldState`: all of it; its parts are `Ego`, `Lane`, `Actors`, `Lights`, `StopSigns` and
  `Collisions`.
- `VEHICLE`, `WALKER`, `STATIC`: kinds of actors. `RED`, `YELLOW`, `GREEN`, `OFF`: states of lights.
- `take`: the state of some of the worlds.

Positions are planar, in meters. Yaws are in radians: heading is (cos yaw, sin yaw) in the same
axes, and "right" is (-sin yaw, cos yaw), as in CARLA's left-handed axes. Velocities and
accelerations are in world axes. An extent is (half length, half width); boxes are centered on the
position. Axes: W worlds, A actors, L lights, S stop signs, C collision events; rows that stand for
nothing are False in `mask` and may hold anything finite.
"""

from __future__ import annotations

from typing import NamedTuple, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "F64",
    "GREEN",
    "I64",
    "OFF",
    "RED",
    "STATIC",
    "VEHICLE",
    "WALKER",
    "YELLOW",
    "Actors",
    "Bool",
    "Collisions",
    "Ego",
    "Lane",
    "Lights",
    "StopSigns",
    "WorldState",
    "take",
]

F64: TypeAlias = NDArray[np.float64]
I64: TypeAlias = NDArray[np.int64]
Bool: TypeAlias = NDArray[np.bool_]

VEHICLE, WALKER, STATIC = 0, 1, 2
RED, YELLOW, GREEN, OFF = 0, 1, 2, 3


class Ego(NamedTuple):
    """The vehicle that is judged.

    Attributes:
        position: (W, 2) in m.
        yaw: (W,) in rad.
        velocity: (W, 2) in m/s.
        acceleration: (W, 2) in m/s2.
        extent: (W, 2) half length and half width in m.
        speed_limit: (W,) in m/s; NaN where it is not known yet.
        steer: (W,) in -1 .. 1.
    """

    position: F64
    yaw: F64
    velocity: F64
    acceleration: F64
    extent: F64
    speed_limit: F64
    steer: F64

    @property
    def speed(self) -> F64:
        """(W,) planar speed in m/s."""
        return np.hypot(self.velocity[:, 0], self.velocity[:, 1])


class Lane(NamedTuple):
    """What the map says about the place where the ego's center is.

    Attributes:
        distance: (W,) m to the center line of the nearest driving lane, any lane of any road.
        width: (W,) m, of that lane.
        yaw: (W,) rad, its direction of travel there.
        junction: (W,) bool, whether it belongs to a junction.
        road: (W,) int, its road's id.
        lane: (W,) int, its id within the road.
        parking_distance: (W,) m to the center line of the nearest parking lane; inf without one.
        parking_width: (W,) m, of that lane.
        off_road: (W,) share of the ego's footprint, 0 .. 1, on neither road nor shoulder.
    """

    distance: F64
    width: F64
    yaw: F64
    junction: Bool
    road: I64
    lane: I64
    parking_distance: F64
    parking_width: F64
    off_road: F64


class Actors(NamedTuple):
    """Other vehicles, walkers and static obstacles.

    Attributes:
        kind: (W, A) int, `VEHICLE`, `WALKER` or `STATIC`.
        position: (W, A, 2) in m.
        yaw: (W, A) in rad.
        velocity: (W, A, 2) in m/s.
        extent: (W, A, 2) half length and half width in m.
        on_sidewalk: (W, A) bool, meant for walkers.
        mask: (W, A) bool.
    """

    kind: I64
    position: F64
    yaw: F64
    velocity: F64
    extent: F64
    on_sidewalk: Bool
    mask: Bool


class Lights(NamedTuple):
    """Stop lines of traffic lights, one per lane and light.

    Attributes:
        id: (W, L) int, equal for the lines of one light.
        position: (W, L, 2) in m, middle of the line.
        yaw: (W, L) in rad, direction of travel of its lane.
        width: (W, L) in m, of its lane.
        state: (W, L) int, `RED`, `YELLOW`, `GREEN` or `OFF`.
        distance: (W, L) in m along the ego's lane to the line, negative behind the ego's center;
            inf where the line is not on it.
        mask: (W, L) bool.
    """

    id: I64
    position: F64
    yaw: F64
    width: F64
    state: I64
    distance: F64
    mask: Bool


class StopSigns(NamedTuple):
    """Stop signs, by the boxes on the road that they watch.

    Attributes:
        id: (W, S) int, 0 or more.
        position: (W, S, 2) in m, center of the box.
        yaw: (W, S) in rad, direction of travel of its lane.
        extent: (W, S, 2) half length and half width of the box in m.
        width: (W, S) in m, of its lane.
        distance: (W, S) in m along the ego's lane to the box's center, negative behind the ego's;
            inf where the box is not on it.
        mask: (W, S) bool.
    """

    id: I64
    position: F64
    yaw: F64
    extent: F64
    width: F64
    distance: F64
    mask: Bool


class Collisions(NamedTuple):
    """Contacts of the ego since the last step, in the order in which they happened.

    Attributes:
        id: (W, C) int, the other actor; 0 for what has no id of its own.
        kind: (W, C) int, `VEHICLE`, `WALKER` or `STATIC`.
        intensity: (W, C) size of the impulse in N s.
        mask: (W, C) bool.
    """

    id: I64
    kind: I64
    intensity: F64
    mask: Bool


class WorldState(NamedTuple):
    """W worlds after a step.

    Attributes:
        time: (W,) s since the episode began.
        ego: The vehicle that is judged.
        lane: What the map says about its place.
        actors: The others.
        lights: Stop lines of lights.
        stops: Stop signs.
        collisions: Contacts since the last step.
    """

    time: F64
    ego: Ego
    lane: Lane
    actors: Actors
    lights: Lights
    stops: StopSigns
    collisions: Collisions


Part = TypeVar("Part", WorldState, Ego, Lane, Actors, Lights, StopSigns, Collisions)


def take(part: Part, worlds: NDArray[np.int64] | Bool | slice) -> Part:
    """Return the state, or a part of it, of the chosen worlds.

    Args:
        part: A `WorldState` or one of its parts.
        worlds: An index, mask or slice into the axis of worlds.
    """
    columns = [
        take(value, worlds) if isinstance(value, tuple) else value[worlds]  # pyright: ignore[reportArgumentType] - a nested part
        for value in part
    ]
    return type(part)(*columns)  # pyright: ignore[reportCallIssue, reportArgumentType, reportReturnType] - columns in field order
