"""`E3BDesign`: a bonus for states whose embedding points where the episode has not been."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from rewardloom.rewards.novelty.base import NoveltyDesign
from rewardloom.rewards.novelty.episodic import EllipticalMemory
from rewardloom.rewards.novelty.learner import Rows
from rewardloom.rewards.novelty.settings import Learning, NoveltyLearning
from rewardloom.rewards.numbers import check_number
from rewardloom.typing import F64N

if TYPE_CHECKING:
    from rewardloom.rewards.novelty.dynamics import InverseDynamics

__all__ = ["E3BDesign"]


class E3BDesign(NoveltyDesign):
    r"""Pays extrinsic_coef * r_t + intrinsic_coef * phi^T C^{-1} phi / scale.

    phi embeds s_{t+1}, trained so that the action between two states can be told, and
    C = \sum_i phi_i phi_i^T + ridge * I over the states of the episode before it, the one at reset
    included: an episodic count that generalizes (Henaff et al. 2022, "Exploration via Elliptical
    Episodic Bonuses"). The inverse is updated by the formula of Sherman and Morrison. Perceptrons
    on standardized flat observations and the schedule are ours; the scale is that of `RNDDesign`.
    Preserves nothing. Memory: networks and statistics, shared by all slots; C ends with its
    episode.

    Args:
        intrinsic_coef: Weight of the bonus, at least 0.
        extrinsic_coef: Weight of the reward below, at least 0; 0 trains on the bonus alone.
        ridge: Above 0; 0.1 is that of the authors' published command.
        normalize: Whether the bonus is divided by the scale.
        discount: Of the sums that give the scale, in [0, 1).
        learning: `NoveltyLearning` or a mapping of its fields.

    Attributes:
        update_model: False freezes networks and statistics; episodes are remembered all the same.

    Raises:
        ConfigError: an argument is unknown or out of range; at `step`, an observation or action
            is not finite.
        MissingDependency: torch is not installed.
    """

    needs = frozenset({"obs", "action", "next_obs", "flat"})
    _memory: EllipticalMemory

    def __init__(
        self,
        intrinsic_coef: float = 1.0,
        *,
        extrinsic_coef: float = 1.0,
        ridge: float = 0.1,
        normalize: bool = True,
        discount: float = 0.99,
        learning: Learning = None,
    ):
        self.ridge = check_number("ridge", ridge, above=0.0)
        super().__init__(intrinsic_coef, extrinsic_coef, discount, normalize, learning)

    def _new_network(self, widths: dict[str, int], settings: NoveltyLearning) -> InverseDynamics:
        from rewardloom.rewards.novelty.dynamics import InverseDynamics

        return InverseDynamics(widths, settings)

    def _new_memory(self, num_slots: int) -> EllipticalMemory:
        return EllipticalMemory(num_slots, self.learning.features, self.ridge)

    def _novelty(self, rows: Rows, slots: np.ndarray) -> dict[str, F64N]:
        memory, count = self._memory, len(slots)
        begins = memory.empty[slots]
        embeddings = self._learner.ask(
            {"next_obs": np.concatenate([rows["next_obs"], rows["obs"][begins]])}
        )
        memory.add(slots[begins], embeddings[count:])
        return {"raw": memory.add(slots, embeddings[:count])}
