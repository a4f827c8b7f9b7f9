"""Whether the ego keeps to the lanes that it may use: the factors `out` and `lane` of CaRL.

- `OutsideLanes`: outside the lanes or in the wrong one (leaderboard's OutsideRouteLanesTest).
- `lane_share`: how far from the lane's center, as a factor.
- `LaneCounter`: the factor of the stricter variant.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rewardloom.envs.carla.scoring.geometry import wrap_angle
from rewardloom.envs.carla.scoring.memory import Memory
from rewardloom.envs.carla.scoring.state import F64, I64, Bool, Lane

__all__ = ["LaneCounter", "OutsideLanes", "lane_share"]

ALLOWED_OUT = 0.5
"""m beyond the edge of a lane at which the ego's center is outside."""

AGAINST_LANE = np.deg2rad(120.0)
"""Angle to the lane, after a junction, above which the ego is in a wrong lane."""

OPPOSITE_LANES = np.deg2rad(150.0)
"""Angle from one lane to the next above which they are opposite."""

COUNTED_DISTANCE = 0.5
COUNTER_LIMIT = 30
OFF_CENTER_FACTOR = 0.5
"""Of `LaneCounter`: m off the center, frames, and the factor beyond them."""


@dataclass
class LaneMemory(Memory):
    """Ids, direction and junction flag of the lane before, and the wrong-lane flag."""

    road: I64
    lane: I64
    yaw: F64
    junction: Bool
    wrong: Bool


class OutsideLanes:
    """Outside: more than half a width plus 0.5 m from the nearest lane's center, or a wrong lane.

    The nearest lane is a driving lane, or a parking lane that is not farther. The wrong-lane flag
    is False in junctions. Elsewhere it is judged when the road's or the lane's id changes: after a
    junction it is whether the ego's heading is more than 120 degrees off the lane's; otherwise it
    toggles when the two lanes' directions are more than 150 degrees apart.

    Args:
        worlds: W.
    """

    def __init__(self, worlds: int) -> None:
        self.memory = LaneMemory(
            road=np.zeros(worlds, np.int64),
            lane=np.zeros(worlds, np.int64),
            yaw=np.zeros(worlds),
            junction=np.zeros(worlds, np.bool_),
            wrong=np.zeros(worlds, np.bool_),
        )

    def begin(self, mask: Bool, lane: Lane) -> None:
        """Start in the lanes of the worlds of `mask` (W,), which are right ones."""
        memory = self.memory
        memory.reset(mask)
        memory.road[mask], memory.lane[mask] = lane.road[mask], lane.lane[mask]
        memory.yaw[mask], memory.junction[mask] = lane.yaw[mask], lane.junction[mask]

    def update(self, lane: Lane, yaw: F64) -> Bool:
        """Return (W,) whether the egos, of yaws `yaw` (W,) in rad, are outside now."""
        memory = self.memory
        parking = lane.parking_distance <= lane.distance
        distance = np.where(parking, lane.parking_distance, lane.distance)
        width = np.where(parking, lane.parking_width, lane.width)
        outside = distance > width / 2 + ALLOWED_OUT

        changed = (lane.road != memory.road) | (lane.lane != memory.lane)
        against = np.abs(wrap_angle(lane.yaw - yaw)) > AGAINST_LANE
        opposite = np.abs(wrap_angle(lane.yaw - memory.yaw)) > OPPOSITE_LANES
        judged = np.where(memory.junction, against, memory.wrong ^ opposite)
        wrong = np.where(changed, judged, memory.wrong) & ~lane.junction

        memory.road, memory.lane, memory.yaw = lane.road.copy(), lane.lane.copy(), lane.yaw.copy()
        memory.junction, memory.wrong = lane.junction.copy(), wrong
        return outside | wrong


def lane_share(lane: Lane) -> F64:
    """Return (W,) 1 at the center of the nearest driving lane, 0 at its edge; 1 in junctions."""
    share = 1.0 - np.clip(lane.distance / (lane.width / 2), 0.0, 1.0)
    return np.where(lane.junction, 1.0, share)


@dataclass
class CounterMemory(Memory):
    """Frames off the center, less one for each frame near it."""

    frames: I64


class LaneCounter:
    """Half after more than 30 frames off the center.

    A frame more than 0.5 m off the center of the nearest driving lane adds 1 to a counter, any
    other frame takes 1 from it, down to 0. A frame in a junction counts as near (our formulation).

    Args:
        worlds: W.
    """

    def __init__(self, worlds: int) -> None:
        self.memory = CounterMemory(frames=np.zeros(worlds, np.int64))

    def update(self, lane: Lane) -> F64:
        """Return (W,) the factor."""
        off = (lane.distance > COUNTED_DISTANCE) & ~lane.junction
        frames = np.maximum(self.memory.frames + np.where(off, 1, -1), 0)
        self.memory.frames = frames
        return np.where(frames > COUNTER_LIMIT, OFF_CENTER_FACTOR, 1.0)
