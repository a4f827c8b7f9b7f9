"""What novelty designs remember of the open episode of every slot.

- `SlotMemory`: their common form.
- `NearestMemory`: embeddings, of which the nearest are found (NGU).
- `EllipticalMemory`: the inverse of a sum of outer products (E3B).
"""

from __future__ import annotations

import abc

import numpy as np

from rewardloom.typing import F64N, BoolN

__all__ = ["EllipticalMemory", "NearestMemory", "NoMemory", "SlotMemory"]

_CAPACITY = 64  # embeddings of an episode at first


class SlotMemory(abc.ABC):
    """What a design remembers of the open episodes."""

    @abc.abstractmethod
    def clear(self, slots: BoolN) -> None:
        """Forget the episodes of the slots that are True."""


class NoMemory(SlotMemory):
    """Of designs for which an episode is nothing."""

    def clear(self, slots: BoolN) -> None:
        """See `SlotMemory.clear`."""


class NearestMemory(SlotMemory):
    """The latest embeddings of every slot's episode.

    Embeddings are stored relative to an episode's first, which changes no distance and keeps
    rounding small where all of them lie far from 0.

    Args:
        num_slots: N.
        features: F.
        size: Embeddings of one episode at most, the oldest leaving first.

    Attributes:
        counts: (N,) int64, embeddings stored.
    """

    def __init__(self, num_slots: int, features: int, size: int):
        self.counts = np.zeros(num_slots, np.int64)
        self._size = size
        self._added = np.zeros(num_slots, np.int64)
        self._origin = np.zeros((num_slots, features))
        self._rows = np.zeros((num_slots, min(_CAPACITY, size), features), np.float32)
        self._norms = np.zeros(self._rows.shape[:2], np.float32)

    def clear(self, slots: BoolN) -> None:
        """See `SlotMemory.clear`."""
        self.counts[slots] = 0
        self._added[slots] = 0

    def add(self, slots: np.ndarray, embeddings: np.ndarray) -> None:
        """Store one embedding in each of some slots, (M, F)."""
        if not len(slots):
            return
        first = self.counts[slots] == 0
        self._origin[slots[first]] = embeddings[first]
        at = self._added[slots] % self._size
        if at.max() >= self._rows.shape[1]:
            self._grow()
        rows = (embeddings - self._origin[slots]).astype(np.float32)
        self._rows[slots, at] = rows
        self._norms[slots, at] = np.square(rows).sum(1)
        self._added[slots] += 1
        self.counts[slots] = np.minimum(self._added[slots], self._size)

    def nearest(self, slots: np.ndarray, embeddings: np.ndarray, count: int) -> np.ndarray:
        """Return squared distances to the nearest stored embeddings, (M, count), in no order.

        Where an episode has fewer, the rest is inf.
        """
        used = int(self.counts[slots].max())
        queries = np.zeros((len(self.counts), embeddings.shape[1], 1), np.float32)
        queries[slots, :, 0] = embeddings - self._origin[slots]
        distances = self._norms[:, :used] - 2.0 * (self._rows[:, :used] @ queries)[:, :, 0]
        distances = distances[slots] + np.square(queries[slots, :, 0]).sum(1)[:, None]
        np.maximum(distances, 0.0, out=distances)
        distances[np.arange(used) >= self.counts[slots][:, None]] = np.inf
        if used > count:
            return np.partition(distances, count - 1, 1)[:, :count].astype(np.float64)
        short = np.full((len(slots), count - used), np.inf)
        return np.hstack([distances.astype(np.float64), short])

    def _grow(self) -> None:
        """Double the room."""
        more = min(2 * self._rows.shape[1], self._size) - self._rows.shape[1]
        self._rows = np.pad(self._rows, ((0, 0), (0, more), (0, 0)))
        self._norms = np.pad(self._norms, ((0, 0), (0, more)))


class EllipticalMemory(SlotMemory):
    r"""The inverse of C = \sum phi phi^T + ridge I over every slot's episode.

    Args:
        num_slots: N.
        features: F.
        ridge: Above 0.

    Attributes:
        empty: (N,) bool, nothing was added since the episode began.
    """

    def __init__(self, num_slots: int, features: int, ridge: float):
        self.empty = np.ones(num_slots, bool)
        self._start = np.eye(features) / ridge
        self._inverse = np.tile(self._start, (num_slots, 1, 1))

    def clear(self, slots: BoolN) -> None:
        """See `SlotMemory.clear`."""
        self.empty[slots] = True
        self._inverse[slots] = self._start

    def add(self, slots: np.ndarray, embeddings: np.ndarray) -> F64N:
        """Add one phi to each of some slots, (M, F); return phi^T C^-1 phi with C before it.

        The inverse is updated after Sherman and Morrison 1950.
        """
        if not len(slots):
            return np.zeros(0)
        inverse = self._inverse[slots]
        moved = (inverse @ embeddings[:, :, None])[:, :, 0]
        length = (embeddings * moved).sum(1)
        inverse -= moved[:, :, None] * (moved / (1.0 + length)[:, None])[:, None, :]
        self._inverse[slots] = inverse
        self.empty[slots] = False
        return length
