"""`DeferDesign`: the episode's return, paid at its end."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from rewardloom.rewards.design import (
    Depends,
    EpisodeBatch,
    Memory,
    Reduction,
    StepBatch,
    check_on_truncation,
)
from rewardloom.rewards.ragged import deferred
from rewardloom.typing import F64N, F64T, BoolN

__all__ = ["DeferDesign"]


class DeferDesign:
    r"""Pays 0 until the last step and there the sum of the episode's rewards.

    r'_t = 0 for t < T and r'_T = sum_t r_t: the sparse test bed of return redistribution (the
    "delayed reward" of Arjona-Medina et al. 2019, RUDDER). Preserves `sum`; with a discount
    below 1 the discounted return changes. No memory.

    Args:
        on_truncation: What a truncated episode means. "raw" (default): what is held is paid and
            the learner still bootstraps. "settle": the time limit counts as an ending, so the
            plug also clears the bootstrap.

    An episode that an infrastructure failure ended is paid what it holds and is never settled.
    """

    needs: frozenset[str] = frozenset()
    depends: Depends = "episode"
    memory: Memory = "none"
    relabels = False
    reductions: Mapping[str, Reduction] = {"held": "last"}

    def __init__(self, *, on_truncation: str = "raw"):
        self.settles_truncation = check_on_truncation(on_truncation)
        self.on_truncation = on_truncation
        self._held = np.zeros(0)
        self._shown = np.zeros(0)

    def bind(self, names: tuple[str, ...], num_slots: int) -> None:
        """See `RewardDesign.bind`."""
        self._held = np.zeros(num_slots)
        self._shown = np.zeros(num_slots)

    def begin(self, slots: BoolN, extra: Mapping[str, Any] | None = None) -> None:
        """See `RewardDesign.begin`."""
        self._held[slots] = 0.0

    def step(self, batch: StepBatch) -> F64N:
        """See `RewardDesign.step`."""
        held = self._held
        np.add(held, batch.reward, out=held, where=batch.active)
        paid = np.where((batch.terminated | batch.truncated) & batch.active, held, 0.0)
        self._shown = held.copy()
        held[batch.terminated | batch.truncated] = 0.0
        return paid

    def relabel(self, episodes: EpisodeBatch) -> F64T:
        """See `RewardDesign.relabel`."""
        return deferred(episodes.reward, episodes)

    def summary(self) -> dict[str, F64N]:
        """Return `held`, the return accumulated up to and including this tick."""
        return {"held": self._shown}

    def state_dict(self) -> dict[str, Any]:
        """Return nothing: the design has no memory."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Accept what `state_dict` returned."""
