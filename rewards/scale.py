"""`ScaleDesign`: the world's reward times a constant."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from rewardloom.errors import ConfigError
from rewardloom.rewards.design import Depends, EpisodeBatch, Memory, StepBatch, check_on_truncation
from rewardloom.rewards.numbers import is_number
from rewardloom.typing import F64N, F64T, BoolN

__all__ = ["ScaleDesign"]


class ScaleDesign:
    r"""Pays r'_t = factor * r_t.

    A positive factor keeps the order of all policies for every discount, while the size of the
    rewards decides how well a value network is fitted: a reward of the right size belongs to a
    tuned arm without any other design. Preserves `discounted(gamma)` up to the factor. No memory.

    Args:
        factor: Finite and not 0; a negative one turns a cost into a reward.
        on_truncation: What a truncated episode means. "raw" (default): the learner bootstraps.
            "settle": the time limit counts as an ending, so the plug also clears the bootstrap.

    Raises:
        ConfigError: `factor` is no such number, or an unknown `on_truncation`.
    """

    needs: frozenset[str] = frozenset()
    depends: Depends = "row"
    memory: Memory = "none"
    relabels = False

    def __init__(self, factor: float, *, on_truncation: str = "raw"):
        if not is_number(factor) or not math.isfinite(factor) or factor == 0:
            raise ConfigError(f"factor must be a finite number other than 0, got {factor!r}.")
        self.factor = float(factor)
        self.settles_truncation = check_on_truncation(on_truncation)
        self.on_truncation = on_truncation
        self._paid = np.zeros(0)

    def bind(self, names: tuple[str, ...], num_slots: int) -> None:
        """See `RewardDesign.bind`."""
        self._paid = np.zeros(num_slots)

    def begin(self, slots: BoolN, extra: Mapping[str, Any] | None = None) -> None:
        """See `RewardDesign.begin`; nothing is open between steps."""

    def step(self, batch: StepBatch) -> F64N:
        """See `RewardDesign.step`."""
        self._paid = np.where(batch.active, self.factor * batch.reward, 0.0)
        return self._paid.copy()

    def relabel(self, episodes: EpisodeBatch) -> F64T:
        """See `RewardDesign.relabel`."""
        return self.factor * episodes.reward

    def summary(self) -> dict[str, F64N]:
        """Return `reward`, what was paid."""
        return {"reward": self._paid}

    def state_dict(self) -> dict[str, Any]:
        """Return nothing: the design has no memory."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Accept what `state_dict` returned."""
