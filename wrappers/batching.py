"""Batches of observations or actions, whatever the space.

A batch of a Box, Discrete, MultiBinary or MultiDiscrete space is one array with a leading axis;
of a Dict or Tuple space, a dict or tuple of batches; of any other space (Text, Graph, ...), an
object array with one entry per slot.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium import spaces
from gymnasium.vector.utils import create_empty_array

from rewardloom.errors import ConfigError

__all__ = [
    "RowReader",
    "batch_of_one",
    "batch_rows",
    "flat_rows",
    "row_of",
    "stack_rows",
    "with_rows",
]

_ARRAY_SPACES = (spaces.Box, spaces.Discrete, spaces.MultiBinary, spaces.MultiDiscrete)
_MOST_ENTRIES = 1_000_000  # of a flat row


class RowReader:
    """Presents batches of a space as a design wants them: as the space gives them, or flat.

    Args:
        space: The space of one slot.
        flat: Whether rows become (N, D) float32, see `flat_rows`.

    Raises:
        ConfigError: the space cannot be flattened.
    """

    def __init__(self, space: spaces.Space[Any], *, flat: bool):
        self._space = space
        self._flat = flat
        if flat:
            _check_flat(space)

    def one(self, value: Any) -> Any:
        """Return one value of the space as a batch of one."""
        return self._shown(batch_of_one(self._space, value))

    def stacked(self, rows: list[Any]) -> Any:
        """Return a list of values of the space as a batch."""
        return self._shown(stack_rows(self._space, rows))

    def batch(self, batch: Any, *, copy: bool = False) -> Any:
        """Return an element of the batched space as a batch; see `batch_rows`."""
        return self._shown(batch_rows(self._space, batch, copy=copy and not self._flat))

    def zeros(self, count: int) -> Any:
        """Return a batch of zeros, for slots whose values mean nothing."""
        if self._flat:
            return np.zeros((count, _flat_size(self._space)), np.float32)
        return self.batch(create_empty_array(self._space, n=count, fn=np.zeros))

    def _shown(self, rows: Any) -> Any:
        return flat_rows(self._space, rows) if self._flat else rows


def batch_of_one(space: spaces.Space[Any], value: Any) -> Any:
    """Return one value of `space` as a batch of one."""
    if isinstance(space, spaces.Dict):
        return {key: batch_of_one(part, value[key]) for key, part in space.items()}
    if isinstance(space, spaces.Tuple):
        return tuple(map(batch_of_one, space, value))
    if isinstance(space, _ARRAY_SPACES):
        return np.asarray(value)[None]
    return _objects([value])


def batch_rows(space: spaces.Space[Any], batch: Any, *, copy: bool = False) -> Any:
    """Return what a vector environment gave as a batch of this module's form.

    Args:
        space: The space of one sub-environment.
        batch: An element of the batched space.
        copy: Copy the arrays, for batches whose arrays the environment may overwrite.
    """
    if isinstance(space, spaces.Dict):
        return {key: batch_rows(part, batch[key], copy=copy) for key, part in space.items()}
    if isinstance(space, spaces.Tuple):
        return tuple(batch_rows(part, b, copy=copy) for part, b in zip(space, batch, strict=True))
    if isinstance(space, _ARRAY_SPACES):
        return np.array(batch) if copy else np.asarray(batch)
    return _objects(batch)


def stack_rows(space: spaces.Space[Any], rows: list[Any]) -> Any:
    """Return a list of values of `space` as one batch."""
    if isinstance(space, spaces.Dict):
        return {key: stack_rows(part, [row[key] for row in rows]) for key, part in space.items()}
    if isinstance(space, spaces.Tuple):
        return tuple(stack_rows(part, [row[k] for row in rows]) for k, part in enumerate(space))
    return batch_rows(space, rows)


def flat_rows(space: spaces.Space[Any], rows: Any) -> np.ndarray:
    """Return a batch as (N, D) float32: what a network reads.

    Entries of Dict and Tuple spaces lie side by side in the space's order. Discrete and
    MultiDiscrete values are one-hot; images (uint8 from 0 to 255) are divided by 255.
    """
    if isinstance(space, spaces.Dict):
        return np.hstack([flat_rows(part, rows[key]) for key, part in space.items()])
    if isinstance(space, spaces.Tuple):
        return np.hstack([flat_rows(part, r) for part, r in zip(space, rows, strict=True)])
    rows = np.asarray(rows)
    if isinstance(space, spaces.Discrete):
        return _one_hot(rows - space.start, int(space.n))
    if isinstance(space, spaces.MultiDiscrete):
        values = (rows - space.start).reshape(len(rows), -1)
        sizes = space.nvec.ravel().tolist()
        return np.hstack([_one_hot(values[:, k], n) for k, n in enumerate(sizes)])
    flat = rows.reshape(len(rows), -1).astype(np.float32)
    if isinstance(space, spaces.Box) and space.dtype == np.uint8 and space.high.max() == 255:
        flat /= 255.0
    return flat


def row_of(space: spaces.Space[Any], batch: Any, index: int) -> Any:
    """Return the value of one slot of a batch."""
    if isinstance(space, spaces.Dict):
        return {key: row_of(part, batch[key], index) for key, part in space.items()}
    if isinstance(space, spaces.Tuple):
        return tuple(row_of(part, b, index) for part, b in zip(space, batch, strict=True))
    return batch[index]


def with_rows(space: spaces.Space[Any], batch: Any, values: dict[int, Any]) -> Any:
    """Return a copy of `batch` in which slot i holds values[i]."""
    if isinstance(space, spaces.Dict):
        return {
            key: with_rows(part, batch[key], {i: v[key] for i, v in values.items()})
            for key, part in space.items()
        }
    if isinstance(space, spaces.Tuple):
        return tuple(
            with_rows(part, b, {i: v[k] for i, v in values.items()})
            for k, (part, b) in enumerate(zip(space, batch, strict=True))
        )
    out = np.array(batch)
    for index, value in values.items():
        out[index] = value
    return out


def _one_hot(values: np.ndarray, count: int) -> np.ndarray:
    rows = np.zeros((len(values), count), np.float32)
    rows[np.arange(len(values)), np.asarray(values, np.int64)] = 1.0
    return rows


def _check_flat(space: spaces.Space[Any]) -> None:
    size = _flat_size(space)
    if size > _MOST_ENTRIES:
        raise ConfigError(
            f"A flat row of {space} would have {size:,} entries. Give the design a smaller view of "
            "it, for example through gymnasium.wrappers.TransformObservation."
        )


def _flat_size(space: spaces.Space[Any]) -> int:
    if isinstance(space, spaces.Dict):
        return sum(map(_flat_size, space.values()))
    if isinstance(space, spaces.Tuple):
        return sum(map(_flat_size, space))
    if not isinstance(space, _ARRAY_SPACES):
        raise ConfigError(
            f"A design that learns from observations or actions cannot read a "
            f"{type(space).__name__} space. Wrap the world so that it gives numbers, for example "
            "with gymnasium.wrappers.TransformObservation."
        )
    return int(spaces.flatdim(space))


def _objects(values: Any) -> np.ndarray:
    out = np.empty(len(values), dtype=object)
    for index, value in enumerate(values):
        out[index] = value
    return out
