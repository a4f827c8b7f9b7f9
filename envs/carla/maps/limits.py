"""Speed limits of lane points.

Our rule: a point has the limit of the last 274 sign passed on its road, else the road's own
`<speed>`, else (as on junction roads) the lowest limit that the lanes leading there end with.
CARLA's live limit follows the signs a car has passed on its way, which a map cannot hold.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from rewardloom.envs.carla.maps.roads import Road
from rewardloom.envs.carla.maps.signals import SignalUse
from rewardloom.envs.carla.maps.topology import LaneKey

__all__ = ["point_limits"]

F64 = npt.NDArray[np.float64]


def point_limits(
    roads: dict[int, Road],
    uses: Sequence[SignalUse],
    keys: Sequence[LaneKey],
    s: Sequence[F64],
    successors: npt.NDArray[np.int32],
) -> F64:
    """Return the limit of every lane point in m/s, inf where none is known.

    Args:
        roads: Roads by id.
        uses: All signals; those of kind `speed` count.
        keys: The lanes.
        s: Road coordinates of each lane's points, in driving direction.
        successors: Rows of `keys`: (lane, next lane), (E, 2).
    """
    signs: dict[int, list[SignalUse]] = {}
    for use in uses:
        if use.kind == "speed":
            signs.setdefault(use.road, []).append(use)
    columns = [
        _on_road(roads[key.road], signs.get(key.road, []), key.lane, where)
        for key, where in zip(keys, s, strict=True)
    ]
    last = np.array([column[-1] for column in columns])
    arriving = _arriving(last, successors)
    return np.concatenate(
        [np.where(np.isinf(c), known, c) for c, known in zip(columns, arriving, strict=True)]
    )


def _on_road(road: Road, signs: list[SignalUse], lane: int, s: F64) -> F64:
    limits = np.full(s.size, np.inf)
    for start, value in road.limits:
        limits[s >= start - 1e-6] = value
    forward = road.forward(lane)
    passed = sorted((use for use in signs if lane in use.lanes), key=lambda use: use.s)
    for use in passed if forward else reversed(passed):
        limits[s >= use.s if forward else s <= use.s] = use.limit
    return limits


def _arriving(last: F64, successors: npt.NDArray[np.int32]) -> F64:
    """Return the lowest limit each lane is entered with, handed on through lanes without one."""
    unknown = np.isinf(last)
    before, after = successors.T
    last = last.copy()
    while True:
        arriving = np.full(last.size, np.inf)
        np.minimum.at(arriving, after, last[before])
        handed = np.where(unknown, arriving, last)
        if np.array_equal(handed, last):
            return arriving
        last = handed
