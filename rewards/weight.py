"""`WeightDesign`: a weighted sum of reward components."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from rewardloom.errors import ConfigError, unknown_name
from rewardloom.rewards.design import Depends, EpisodeBatch, Memory, StepBatch
from rewardloom.rewards.numbers import is_number
from rewardloom.typing import F64N, F64T, BoolN

__all__ = ["WeightDesign"]


class WeightDesign:
    r"""Pays r_t = sum_k w_k c_k(t), a linear scalarization of the components.

    The world's own reward is replaced. Terminal components are 0 before the last step, so their
    weight is paid once, there. No memory. Preserves nothing: it is a new reward.

    Args:
        weights: component name -> finite weight; components not named weigh 0.

    Raises:
        ConfigError: `weights` is empty or not a mapping of names to finite numbers; at `bind`,
            a name is not a component.
    """

    needs = frozenset({"components"})
    depends: Depends = "row"
    memory: Memory = "none"
    relabels = False
    settles_truncation = False

    def __init__(self, weights: Mapping[str, float]):
        if not isinstance(weights, Mapping) or not weights:
            raise ConfigError(
                "weights must map at least one component name to a number, "
                f"for example {{'progress': 1.0}}; got {weights!r}."
            )
        for name, weight in weights.items():
            if not is_number(weight):
                raise ConfigError(f"The weight of component {name!r} is not a number: {weight!r}.")
            if not math.isfinite(weight):
                raise ConfigError(f"The weight of component {name!r} is not finite: {weight!r}.")
        self.weights = {str(name): float(weight) for name, weight in weights.items()}
        self._vector = np.zeros(0)
        self._paid = np.zeros(0)

    def bind(self, names: tuple[str, ...], num_slots: int) -> None:
        """See `RewardDesign.bind`."""
        for name in self.weights:
            if name not in names:
                raise ConfigError(unknown_name("component", name, names, where="in weights"))
        self._vector = np.array([self.weights.get(name, 0.0) for name in names])
        self._paid = np.zeros(num_slots)

    def begin(self, slots: BoolN, extra: Mapping[str, Any] | None = None) -> None:
        """See `RewardDesign.begin`; nothing is open between steps."""

    def step(self, batch: StepBatch) -> F64N:
        """See `RewardDesign.step`."""
        self._paid = batch.components @ self._vector
        if np.count_nonzero(batch.active) < len(batch.active):
            self._paid[~batch.active] = 0.0
        return self._paid.copy()

    def relabel(self, episodes: EpisodeBatch) -> F64T:
        """See `RewardDesign.relabel`."""
        return episodes.components @ self._vector

    def summary(self) -> dict[str, F64N]:
        """Return `reward`, the weighted sum that was paid."""
        return {"reward": self._paid}

    def state_dict(self) -> dict[str, Any]:
        """Return nothing: the design has no memory."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Accept what `state_dict` returned."""
