"""The episodes that a learned design trains on.

- `input_rows`: what a model reads of each step.
- `EpisodeStore`: the latest finished episodes.
- `StoredEpisodes`: all of them laid end to end.
- `location_scale`, `standardized`: bring inputs to mean 0 and deviation 1.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from rewardloom.errors import ConfigError, unknown_name
from rewardloom.rewards.design import EpisodeBatch, StepBatch
from rewardloom.rewards.ragged import episode_sums
from rewardloom.typing import F64T, F64TK, I64E1

__all__ = [
    "INPUTS",
    "EpisodeStore",
    "StoredEpisodes",
    "check_inputs",
    "input_needs",
    "input_rows",
    "location_scale",
    "standardized",
]

INPUTS = ("obs", "action", "next_obs", "components")
"""Parts of a step that a model may read, in the order in which they are laid side by side."""

_SMALLEST = 1e-6  # deviation up to which an entry counts as constant
_ROWS_AT_ONCE = 1024


def check_inputs(inputs: Sequence[str]) -> tuple[str, ...]:
    """Return the parts in their order, or raise `ConfigError` for an unknown or missing one."""
    if isinstance(inputs, str) or not inputs:
        raise ConfigError(f"inputs must list at least one of {INPUTS}, got {inputs!r}.")
    for part in inputs:
        if part not in INPUTS:
            raise ConfigError(unknown_name("input", part, INPUTS, where="in inputs"))
    return tuple(part for part in INPUTS if part in inputs)


def input_needs(inputs: Sequence[str]) -> frozenset[str]:
    """Return the `needs` of a design whose model reads `inputs`."""
    flat = {"flat"} if set(inputs) - {"components"} else set()
    return frozenset({*inputs, *flat})


def input_rows(batch: StepBatch | EpisodeBatch, inputs: Sequence[str]) -> np.ndarray:
    """Return the parts side by side, (T, D) float32.

    Args:
        batch: With flat observations and actions ("flat" in `needs`), each (T,) or (T, ...).
        inputs: As `check_inputs` returned them.

    Raises:
        ConfigError: a part is missing, as from plain arrays that were given without it.
    """
    parts = []
    for name in inputs:
        value = getattr(batch, name)
        if value is None:
            raise ConfigError(
                f"The model reads {name!r}, but the episodes come without it. Give it to "
                f"episode_batch({name}=...), or leave it out of inputs."
            )
        rows = np.asarray(value, np.float32)
        parts.append(rows.reshape(len(rows), int(np.prod(rows.shape[1:]))))
    return parts[0] if len(parts) == 1 else np.hstack(parts)


def location_scale(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean and deviation of (T, D) rows as float64; constant entries have scale 1."""
    deviation = rows.std(0, dtype=np.float64)
    return rows.mean(0, dtype=np.float64), np.where(deviation > _SMALLEST, deviation, 1.0)


def standardized(rows: np.ndarray, mean: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Return (rows - mean) / scale as float32, computed in float64 a block at a time."""
    out = np.empty(rows.shape, np.float32)
    for first in range(0, len(rows), _ROWS_AT_ONCE):
        block = slice(first, first + _ROWS_AT_ONCE)
        out[block] = (rows[block] - mean) / scale
    return out


class StoredEpisodes(NamedTuple):
    """E episodes laid end to end.

    Attributes:
        inputs: (T, D) float32.
        reward: (T,) float64, the reward below the design.
        components: (T, K) float64.
        offsets: (E + 1,) int64.
        returns: (E,) float64, sums of `reward`.
    """

    inputs: np.ndarray
    reward: F64T
    components: F64TK
    offsets: I64E1
    returns: np.ndarray


class EpisodeStore:
    """Keeps the latest finished episodes, the oldest leaving first.

    Args:
        max_episodes: How many at most.
        max_steps: Steps of all of them together at most; the newest episode always stays.
        max_bytes: Likewise, the memory of all of them together.
    """

    def __init__(self, max_episodes: int, max_steps: int, max_bytes: int):
        self.max_episodes = max_episodes
        self.max_steps = max_steps
        self.max_bytes = max_bytes
        self._episodes: deque[tuple[np.ndarray, F64T, F64TK]] = deque()
        self._steps = 0
        self._bytes = 0
        self._laid_out: StoredEpisodes | None = None

    def __len__(self) -> int:
        return len(self._episodes)

    @property
    def steps(self) -> int:
        """Steps of all stored episodes."""
        return self._steps

    def add(self, episodes: EpisodeBatch, inputs: np.ndarray) -> None:
        """Copy finished episodes and their (T, D) inputs; empty ones are left out.

        Raises:
            ConfigError: the inputs have another width than those stored before.
        """
        if self._episodes and self._episodes[0][0].shape[1] != inputs.shape[1]:
            raise ConfigError(
                f"The model reads {self._episodes[0][0].shape[1]} numbers per step, but these "
                f"episodes have {inputs.shape[1]}. One design serves one world."
            )
        bounds = episodes.offsets.tolist()
        for first, end in itertools.pairwise(bounds):
            if end > first:
                self._push(
                    inputs[first:end].copy(),
                    episodes.reward[first:end].copy(),
                    episodes.components[first:end].copy(),
                )

    def laid_out(self) -> StoredEpisodes:
        """Return all stored episodes, the oldest first; at least one must be stored."""
        if self._laid_out is None:
            inputs, rewards, components = zip(*self._episodes, strict=True)
            lengths = [len(reward) for reward in rewards]
            offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
            reward = np.concatenate(rewards)
            self._laid_out = StoredEpisodes(
                np.concatenate(inputs),
                reward,
                np.concatenate(components),
                offsets,
                episode_sums(reward, offsets),
            )
        return self._laid_out

    def state_dict(self) -> dict[str, Any]:
        """Return the stored episodes as arrays."""
        if not self._episodes:
            return {}
        held = self.laid_out()
        return {
            "inputs": held.inputs,
            "reward": held.reward,
            "components": held.components,
            "offsets": held.offsets,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Replace what is stored by what `state_dict` returned."""
        self._episodes.clear()
        self._steps = self._bytes = 0
        self._laid_out = None
        if not state:
            return
        bounds = np.asarray(state["offsets"]).tolist()
        for first, end in itertools.pairwise(bounds):
            self._push(*(np.array(state[k][first:end]) for k in ("inputs", "reward", "components")))

    def _push(self, inputs: np.ndarray, reward: F64T, components: F64TK) -> None:
        self._episodes.append((inputs, reward, components))
        self._count(inputs, reward, components, 1)
        self._laid_out = None
        while len(self._episodes) > 1 and self._is_over():
            self._count(*self._episodes.popleft(), -1)

    def _count(self, inputs: np.ndarray, reward: F64T, components: F64TK, sign: int) -> None:
        self._steps += sign * len(reward)
        self._bytes += sign * (inputs.nbytes + reward.nbytes + components.nbytes)

    def _is_over(self) -> bool:
        return (
            len(self._episodes) > self.max_episodes
            or self._steps > self.max_steps
            or self._bytes > self.max_bytes
        )
