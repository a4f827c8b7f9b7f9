"""`OpenSteps`: the steps of episodes that have not ended yet, for designs that need all of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from rewardloom.rewards.design import EpisodeBatch, StepBatch
from rewardloom.typing import I64E1, BoolN

__all__ = ["OpenSteps"]

_FIELDS = ("reward", "components", "terminated", "truncated", "failed")
_TREES = ("obs", "action", "next_obs", "extra")
_CAPACITY = 64  # ticks at first


class OpenSteps:
    """Keeps ticks side by side, slot by slot, until every episode they belong to was taken.

    Memory is linear in the longest open episode; adding a tick copies its rows once.

    Args:
        num_slots: N.
    """

    def __init__(self, num_slots: int):
        self.num_slots = num_slots
        self._first = np.zeros(num_slots, np.int64)
        self._starts: list[Mapping[str, Any] | None] = [None] * num_slots
        self._columns: dict[str, Any] = {}
        self._capacity = 0
        self._count = 0

    @property
    def lengths(self) -> np.ndarray:
        """Steps of each slot's open episode, (N,)."""
        return self._count - self._first

    def begin(self, slots: BoolN, start: Mapping[str, Any] | None = None) -> None:
        """Forget what is open in some slots; an episode with the reset columns `start` begins."""
        self._first[slots] = self._count
        for slot in np.flatnonzero(slots).tolist():
            self._starts[slot] = start

    def add(self, batch: StepBatch) -> None:
        """Append a tick; the rows of inactive slots belong to no episode."""
        if self._count == self._capacity:
            self._make_room(batch)
        for name in (*_FIELDS, *_TREES):
            _write(self._columns[name], self._count, getattr(batch, name))
        self._count += 1
        if not batch.active.all():
            self._first[~batch.active] = self._count

    def take(self, slots: BoolN) -> EpisodeBatch:
        """Return the open episodes of some slots, in the order of slots, and close them."""
        chosen = np.flatnonzero(slots)
        batch = self.peek(slots)
        self._first[chosen] = self._count
        return batch

    def peek(self, slots: BoolN) -> EpisodeBatch:
        """Return the open episodes of some slots, in the order of slots."""
        chosen = np.flatnonzero(slots)
        lengths = self._count - self._first[chosen]
        offsets: I64E1 = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        owners = np.repeat(chosen, lengths)
        ticks = np.arange(offsets[-1]) + np.repeat(self._first[chosen] - offsets[:-1], lengths)
        columns = {name: _read(self._columns.get(name), owners, ticks) for name in self._columns}
        last, filled = offsets[1:] - 1, lengths > 0

        def ending(name: str) -> np.ndarray:
            flags = np.zeros(len(chosen), bool)
            flags[filled] = columns[name][last[filled]]
            return flags

        return EpisodeBatch(
            columns["reward"],
            columns["components"],
            offsets,
            ending("terminated"),
            ending("truncated"),
            ending("failed"),
            obs=columns["obs"],
            action=columns["action"],
            next_obs=columns["next_obs"],
            extra=columns["extra"],
            start=self._start_columns(chosen),
        )

    def _start_columns(self, chosen: np.ndarray) -> dict[str, Any] | None:
        starts = [self._starts[slot] for slot in chosen.tolist()]
        if not starts or any(start is None for start in starts):
            return None
        first = starts[0] or {}
        columns = {}
        for name in first:
            held = [(start or {})[name] for start in starts]
            columns[name] = np.empty(len(chosen), np.result_type(*held))
            columns[name][:] = [v[s] for v, s in zip(held, chosen.tolist(), strict=True)]
        return columns

    def _make_room(self, batch: StepBatch) -> None:
        """Move the open ticks to the front, into larger arrays if they fill more than half."""
        oldest = int(self._first.min()) if self._capacity else 0
        held = self._count - oldest
        capacity = max(_CAPACITY, self._capacity)
        if 2 * held > capacity:
            capacity *= 2
        for name in (*_FIELDS, *_TREES):
            fresh = _allocated(getattr(batch, name), capacity)
            if held:
                _copy_rows(self._columns[name], fresh, slice(oldest, self._count), held)
            self._columns[name] = fresh
        self._first -= oldest
        self._count = held
        self._capacity = capacity


def _allocated(value: Any, capacity: int) -> Any:
    """Return empty (N, capacity, ...) arrays in the form of a tick's (N, ...) value."""
    if value is None:
        return None
    if isinstance(value, Mapping):
        return {key: _allocated(part, capacity) for key, part in value.items()}
    if isinstance(value, tuple):
        return tuple(_allocated(part, capacity) for part in value)
    array = np.asarray(value)
    return np.empty((len(array), capacity, *array.shape[1:]), array.dtype)


def _write(column: Any, tick: int, value: Any) -> None:
    if column is None:
        return
    if isinstance(column, dict):
        for key, part in column.items():
            if _is_number(part) and value[key].dtype.hasobject:
                column[key] = part = part.astype(object)  # an info column that holds None now
            _write(part, tick, value[key])
    elif isinstance(column, tuple):
        for part, entry in zip(column, value, strict=True):
            _write(part, tick, entry)
    else:
        column[:, tick] = value


def _read(column: Any, owners: np.ndarray, ticks: np.ndarray) -> Any:
    if column is None:
        return None
    if isinstance(column, dict):
        return {key: _read(part, owners, ticks) for key, part in column.items()}
    if isinstance(column, tuple):
        return tuple(_read(part, owners, ticks) for part in column)
    return column[owners, ticks]


def _copy_rows(old: Any, new: Any, kept: slice, count: int) -> None:
    if old is None:
        return
    if isinstance(old, dict):
        for key, part in old.items():
            if isinstance(part, np.ndarray) and part.dtype == object and _is_number(new[key]):
                new[key] = new[key].astype(object)
            _copy_rows(part, new[key], kept, count)
    elif isinstance(old, tuple):
        for part, target in zip(old, new, strict=True):
            _copy_rows(part, target, kept, count)
    else:
        new[:, :count] = old[:, kept]


def _is_number(column: Any) -> bool:
    return isinstance(column, np.ndarray) and column.dtype != object
