"""`OpenSteps`: the steps of episodes that have not ended yet, for designs that need all of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from rewardloom.rewards.design import EpisodeBatch, StepBatch
from rewardloom.rewards.step_columns import StepColumns
from rewardloom.typing import BoolN

__all__ = ["OpenSteps"]


class OpenSteps:
    """Keeps ticks until every episode they belong to was taken.

    Memory is linear in the longest open episode, which may have `MOST_TICKS` steps of
    `StepColumns`; adding a tick copies its rows once.

    Args:
        num_slots: N.
    """

    def __init__(self, num_slots: int):
        self._ticks = StepColumns()
        self._first = np.zeros(num_slots, np.int64)
        self._starts: list[Mapping[str, Any] | None] = [None] * num_slots

    def begin(self, slots: BoolN, start: Mapping[str, Any] | None = None) -> None:
        """Forget what is open in some slots; an episode with the reset columns `start` begins."""
        self._close(slots)
        if start is None and not any(self._starts):
            return
        for slot in np.flatnonzero(slots).tolist():
            self._starts[slot] = start

    def add(self, batch: StepBatch) -> None:
        """Append a tick; the rows of inactive slots belong to no episode."""
        self._ticks.append(batch)
        if not batch.active.all():
            self._first[~batch.active] = self._ticks.count

    def take(self, slots: BoolN) -> EpisodeBatch:
        """Return the open episodes of some slots, in the order of slots, and close them."""
        chosen = np.flatnonzero(slots)
        starts = [self._starts[slot] for slot in chosen.tolist()]
        first = self._first[chosen]
        batch = self._ticks.episodes(chosen, first, self._ticks.count - first, starts)
        self._close(slots)
        return batch

    def _close(self, slots: BoolN) -> None:
        self._first[slots] = self._ticks.count
        passed = int(self._first.min())
        if passed:
            self._ticks.drop(passed)
            self._first -= passed
