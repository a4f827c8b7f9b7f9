"""Batches of observations or actions, whatever the space.

A batch of a Box, Discrete, MultiBinary or MultiDiscrete space is one array with a leading axis;
of a Dict or Tuple space, a dict or tuple of batches; of any other space (Text, Graph, ...), an
object array with one entry per slot.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium import spaces

__all__ = ["batch_of_one", "batch_rows", "row_of", "stack_rows", "with_rows"]

_ARRAY_SPACES = (spaces.Box, spaces.Discrete, spaces.MultiBinary, spaces.MultiDiscrete)


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


def _objects(values: Any) -> np.ndarray:
    out = np.empty(len(values), dtype=object)
    for index, value in enumerate(values):
        out[index] = value
    return out
