"""`StepColumns`: ticks of N slots side by side, in arrays that grow; what buffers of steps use."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from rewardloom.errors import RunError
from rewardloom.rewards.design import EpisodeBatch, StepBatch
from rewardloom.rewards.ragged import span_rows
from rewardloom.typing import I64E1

__all__ = ["MOST_TICKS", "MUCH_MEMORY", "StepColumns"]

MOST_TICKS = 2**20
"""Ticks that are held at most: an episode that goes on for so long is taken to have no end."""

MUCH_MEMORY = 4 * 2**30
"""Bytes above which a table warns, once."""

_FIELDS = ("reward", "components", "terminated", "truncated", "active", "failed")
_TREES = ("obs", "action", "next_obs", "extra")
_CAPACITY = 64  # ticks at first


class StepColumns:
    """A table of ticks: one (N, ticks, ...) array per field of `StepBatch`.

    Appending a tick copies its rows once; arrays double when they are full.

    Attributes:
        count: Ticks that are held; they are numbered from 0, the oldest.

    Raises:
        RunError: at `append`, more than `MOST_TICKS` would be held.
    """

    def __init__(self) -> None:
        self.count = 0
        self._warned = False
        self._columns: dict[str, Any] = {}
        self._offset = 0  # where tick 0 lies in the arrays
        self._capacity = 0

    def append(self, batch: StepBatch) -> None:
        """Copy a tick into the table."""
        if self.count == MOST_TICKS:
            raise RunError(
                f"{self.count:,} steps are held, because an episode has gone on since the first of "
                "them. Steps are kept until their episode ends: give the world a TimeLimit, inside "
                "the design."
            )
        if self._offset + self.count == self._capacity:
            self._make_room(batch)
        at = self._offset + self.count
        for name in (*_FIELDS, *_TREES):
            _write(self._columns[name], at, getattr(batch, name))
        self.count += 1

    def drop(self, count: int) -> None:
        """Forget the oldest `count` ticks; the others are numbered from 0 again."""
        self._offset += count
        self.count -= count

    def field(self, name: str) -> np.ndarray:
        """Return the (N, count) view of a field that has one number or flag per row."""
        return self._columns[name][:, self._offset : self._offset + self.count]

    def last(self, name: str) -> np.ndarray:
        """Return the newest tick's (N,) entries of a field."""
        return self.field(name)[:, -1].copy()

    def tick(self, index: int) -> StepBatch:
        """Return one tick as a batch in arrays of its own."""
        at = self._offset + index
        return StepBatch(*(_tick(self._columns[name], at) for name in (*_FIELDS, *_TREES)))

    def episodes(
        self,
        slots: np.ndarray,
        firsts: np.ndarray,
        lengths: np.ndarray,
        starts: Sequence[Mapping[str, Any] | None],
    ) -> EpisodeBatch:
        """Return E stretches of ticks as episodes.

        Args:
            slots: (E,) int64, whose they are.
            firsts: (E,) int64, the tick each begins with.
            lengths: (E,) int64, how many ticks each has.
            starts: The columns at each one's reset, (N,) arrays by name, or None.
        """
        offsets: I64E1 = np.zeros(len(slots) + 1, np.int64)
        np.cumsum(lengths, out=offsets[1:])
        begins = slots * self._capacity + self._offset + firsts
        rows, _ = span_rows(begins, lengths)
        last, filled = begins + lengths - 1, lengths > 0

        def ending(name: str) -> np.ndarray:
            flags = np.zeros(len(slots), bool)
            if filled.any():
                flags[filled] = self._columns[name].reshape(-1)[last[filled]]
            return flags

        return EpisodeBatch(
            _read(self._columns.get("reward"), rows),
            _read(self._columns.get("components"), rows),
            offsets,
            ending("terminated"),
            ending("truncated"),
            ending("failed"),
            obs=_read(self._columns.get("obs"), rows),
            action=_read(self._columns.get("action"), rows),
            next_obs=_read(self._columns.get("next_obs"), rows),
            extra=_read(self._columns.get("extra"), rows),
            start=_start_columns(starts, slots),
        )

    def _make_room(self, batch: StepBatch) -> None:
        """Move what is held to the front, into larger arrays if it fills more than half."""
        capacity = max(_CAPACITY, self._capacity)
        if 2 * self.count > capacity:
            capacity *= 2
        held = slice(self._offset, self._offset + self.count)
        for name in (*_FIELDS, *_TREES):
            fresh = _allocated(getattr(batch, name), capacity)
            if self.count:
                fresh = _moved(self._columns[name], fresh, held)
            self._columns[name] = fresh
        self._offset = 0
        self._capacity = capacity
        self._warn_of_memory()

    def _warn_of_memory(self) -> None:
        size = sum(_size(column) for column in self._columns.values())
        if size > MUCH_MEMORY and not self._warned:
            self._warned = True
            warnings.warn(
                f"The steps of open episodes take {size / 2**30:.1f} GiB, kept until their episode "
                "ends. Give the world a shorter TimeLimit, inside the design, or smaller "
                "observations.",
                stacklevel=2,
            )


def _start_columns(
    starts: Sequence[Mapping[str, Any] | None], slots: np.ndarray
) -> dict[str, Any] | None:
    """Return each start column of E episodes, picked from the (N,) columns of their resets."""
    held = [start for start in starts if start is not None]
    if not held or len(held) < len(starts):
        return None
    columns = {}
    for name in held[0]:
        columns[name] = np.empty(len(slots), np.result_type(*(start[name] for start in held)))
        columns[name][:] = [
            start[name][slot] for start, slot in zip(held, slots.tolist(), strict=True)
        ]
    return columns


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


def _write(column: Any, at: int, value: Any) -> None:
    if isinstance(column, dict):
        for key, part in column.items():
            if _is_number(part) and np.asarray(value[key]).dtype.hasobject:
                column[key] = part.astype(object)  # an info column that holds None now
            _write(column[key], at, value[key])
    elif isinstance(column, tuple):
        for part, entry in zip(column, value, strict=True):
            _write(part, at, entry)
    elif column is not None:
        column[:, at] = value


def _read(column: Any, rows: np.ndarray) -> Any:
    """Return rows of (N, capacity, ...) arrays, numbered slot by slot."""
    if column is None:
        return None
    if isinstance(column, dict):
        return {key: _read(part, rows) for key, part in column.items()}
    if isinstance(column, tuple):
        return tuple(_read(part, rows) for part in column)
    return column.reshape(column.shape[0] * column.shape[1], *column.shape[2:]).take(rows, axis=0)


def _tick(column: Any, at: int) -> Any:
    if column is None:
        return None
    if isinstance(column, dict):
        return {key: _tick(part, at) for key, part in column.items()}
    if isinstance(column, tuple):
        return tuple(_tick(part, at) for part in column)
    return column[:, at].copy()


def _moved(old: Any, new: Any, held: slice) -> Any:
    """Copy the ticks `held` of `old` to the front of `new` and return that."""
    if old is None:
        return new
    if isinstance(old, dict):
        return {key: _moved(part, new[key], held) for key, part in old.items()}
    if isinstance(old, tuple):
        return tuple(_moved(part, target, held) for part, target in zip(old, new, strict=True))
    if old.dtype.hasobject and _is_number(new):
        new = new.astype(object)
    new[:, : held.stop - held.start] = old[:, held]
    return new


def _size(column: Any) -> int:
    """Return the bytes of the arrays in nested dicts and tuples."""
    if isinstance(column, dict):
        return sum(map(_size, column.values()))
    if isinstance(column, tuple):
        return sum(map(_size, column))
    return 0 if column is None else column.nbytes


def _is_number(column: Any) -> bool:
    return isinstance(column, np.ndarray) and not column.dtype.hasobject
