"""`StoredSteps`: what a learned design read of a replay buffer's rows, to pay them anew."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from rewardloom.rewards.design import EpisodeBatch
from rewardloom.rewards.ragged import span_rows, take_rows

__all__ = ["StoredSteps"]

_STEPS = ("reward", "components", "obs", "action", "next_obs", "extra")
_EPISODES = ("truncated", "start")
_ROWS_AT_ONCE = 16_384


class StoredSteps:
    """Finished episodes beside a replay buffer, in arrays of its size.

    Takes as much memory as what the design reads of every row: flat observations are float32.

    Args:
        buffer_size: Rows of the ring.
        n_envs: Environments.
    """

    def __init__(self, buffer_size: int, n_envs: int):
        self._shape = (buffer_size, n_envs)
        self._steps: Any = None
        self._ends: Any = None  # in each episode's first row

    def keep(self, episodes: EpisodeBatch, firsts: np.ndarray, slots: np.ndarray) -> None:
        """Copy finished episodes.

        Args:
            episodes: E episodes.
            firsts: (E,) the row of each one's first step.
            slots: (E,) their environments.
        """
        steps = {name: getattr(episodes, name) for name in _STEPS}
        ends = {name: getattr(episodes, name) for name in _EPISODES}
        if self._steps is None:
            self._steps = _allocated(steps, self._shape)
            self._ends = _allocated(ends, self._shape)
        rows, owners = self._rows(firsts, np.diff(episodes.offsets))
        self._steps = _written(self._steps, (rows, slots[owners]), steps)
        self._ends = _written(self._ends, (firsts % self._shape[0], slots), ends)

    def batches(
        self, firsts: np.ndarray, lengths: np.ndarray, slots: np.ndarray
    ) -> Iterator[tuple[EpisodeBatch, np.ndarray, np.ndarray]]:
        """Yield kept episodes, some thousand rows at a time, with row and environment of each step.

        Args:
            firsts: (E,) the row of each one's first step.
            lengths: (E,) its steps.
            slots: (E,) its environment.
        """
        part = np.cumsum(lengths) // _ROWS_AT_ONCE
        for chosen in np.split(np.arange(len(firsts)), np.flatnonzero(np.diff(part)) + 1):
            rows, owners = self._rows(firsts[chosen], lengths[chosen])
            envs = slots[chosen][owners]
            ends = take_rows(self._ends, (firsts[chosen], slots[chosen]))
            episodes = EpisodeBatch(
                offsets=np.concatenate([[0], np.cumsum(lengths[chosen])]),
                terminated=~ends["truncated"],
                failed=np.zeros(len(chosen), bool),
                **ends,
                **take_rows(self._steps, (rows, envs)),
            )
            yield episodes, rows, envs

    def _rows(self, firsts: np.ndarray, lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        rows, owners = span_rows(firsts, lengths)
        return rows % self._shape[0], owners


def _allocated(value: Any, shape: tuple[int, int]) -> Any:
    """Return arrays of `shape` for the rows of nested (T, ...) arrays; None stays None."""
    if value is None:
        return None
    if isinstance(value, Mapping):
        return {key: _allocated(part, shape) for key, part in value.items()}
    if isinstance(value, tuple):
        return tuple(_allocated(part, shape) for part in value)
    return np.zeros((*shape, *value.shape[1:]), value.dtype)


def _written(held: Any, where: tuple[np.ndarray, np.ndarray], value: Any) -> Any:
    """Put rows into the arrays and return those; a column of numbers may come to hold None."""
    if held is None:
        return None
    if isinstance(held, dict):
        return {key: _written(part, where, value[key]) for key, part in held.items()}
    if isinstance(held, tuple):
        return tuple(_written(h, where, v) for h, v in zip(held, value, strict=True))
    if value.dtype.hasobject and not held.dtype.hasobject:
        held = held.astype(object)
    held[where] = value
    return held
