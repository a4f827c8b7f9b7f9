"""Which contacts count as a collision.

- `CollisionRule`: filters the contacts of W worlds.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rewardloom.envs.carla.scoring.memory import Memory
from rewardloom.envs.carla.scoring.state import F64, I64, Bool, Collisions

__all__ = ["NOTHING", "CollisionRule"]

SAME_PLACE = 3.0
"""m from an earlier collision within which a contact does not count."""

FORGET_DISTANCE = 5.0
"""m from an earlier collision beyond which its place is forgotten."""

FORGET_TIME = 5.0
"""s after a collision from which on the other actor's id is forgotten."""

INTENSITY = 0.0
"""Impulse in N s that a contact needs."""

NOTHING = -1
"""The kind where there is no collision."""

_PLACES = 16
"""Places more than 3 m apart within 5 m of one point: at most 14 fit."""


@dataclass
class CollisionMemory(Memory):
    """Places (W, 16, 2) of earlier collisions, which are held, the last other id and its time."""

    places: F64
    held: Bool
    last_id: I64
    time: F64


class CollisionRule:
    """Counts contacts once.

    A contact with the actor of the last collision does not count, nor one while the ego is within
    3 m of where it was at an earlier collision. Such a place is forgotten when the ego is more than
    5 m away from it, the other actor 5 s after the collision; an id of 0, which stands for the
    scenery, is not remembered. All contacts of a step happen at one place, so at most one of them,
    the first that passes, counts.

    Args:
        worlds: W.
    """

    def __init__(self, worlds: int) -> None:
        self._rows = np.arange(worlds)
        self.memory = CollisionMemory(
            places=np.zeros((worlds, _PLACES, 2)),
            held=np.zeros((worlds, _PLACES), np.bool_),
            last_id=np.full(worlds, NOTHING),
            time=np.zeros(worlds),
        )

    def update(self, events: Collisions, position: F64, time: F64) -> I64:
        """Return (W,) the kind of actor that was hit, or `NOTHING`.

        Args:
            events: Contacts since the last step.
            position: (W, 2) of the egos in m.
            time: (W,) in s.
        """
        memory, rows = self.memory, self._rows
        kinds = np.full(len(rows), NOTHING)
        if not (events.mask.any() or memory.held.any()):
            self._forget(time)
            return kinds
        away = memory.places - position[:, None]
        distance = np.hypot(away[..., 0], away[..., 1])
        again = np.any(memory.held & (distance <= SAME_PLACE), axis=1)
        counts = events.mask & (events.id != memory.last_id[:, None])
        counts &= (events.intensity >= INTENSITY) & ~again[:, None]
        hit = np.flatnonzero(np.any(counts, axis=1))
        memory.held &= distance <= FORGET_DISTANCE
        if len(hit):
            first = counts[hit].argmax(axis=1)
            kinds[hit] = events.kind[hit, first]
            free = memory.held[hit].argmin(axis=1)
            memory.places[hit, free] = position[hit]
            memory.held[hit, free] = True
            memory.time[hit] = time[hit]
            other = events.id[hit, first]
            memory.last_id[hit] = np.where(other != 0, other, memory.last_id[hit])
        self._forget(time)
        return kinds

    def _forget(self, time: F64) -> None:
        self.memory.last_id[time - self.memory.time > FORGET_TIME] = NOTHING
