"""`RNDDesign`: a bonus for states whose random features are hard to predict."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from rewardloom.rewards.novelty.base import NoveltyDesign
from rewardloom.rewards.novelty.learner import Rows
from rewardloom.rewards.novelty.settings import Learning, NoveltyLearning
from rewardloom.typing import F64N

if TYPE_CHECKING:
    from rewardloom.rewards.novelty.networks import Distillation

__all__ = ["RNDDesign"]


class RNDDesign(NoveltyDesign):
    r"""Pays extrinsic_coef * r_t + intrinsic_coef * |f^(s_{t+1}) - f(s_{t+1})|^2 / scale.

    f is a fixed random network and f^ is trained to predict it on the states reached, so that the
    error falls where the agent has often been (Burda et al. 2018, "Exploration by Random Network
    Distillation"). After its section 2.4, observations are standardized and clipped at +-5, with
    statistics gathered before any bonus is paid, and the scale is the running deviation of the
    discounted sums of bonuses over time, which episodes do not end. Perceptrons on flat
    observations and the schedule are ours; the paper's agent learns a value of its own for the
    bonus, where this design adds it to the reward. Preserves nothing: a bonus that fades. Memory:
    networks and statistics, shared by all slots.

    Args:
        intrinsic_coef: Weight of the bonus, at least 0.
        extrinsic_coef: Weight of the reward below, at least 0; 0 trains on the bonus alone.
        discount: Of the sums that give the scale, in [0, 1); the paper's is 0.99.
        learning: `NoveltyLearning` or a mapping of its fields.

    Attributes:
        update_model: False freezes networks and statistics.

    Raises:
        ConfigError: an argument is unknown or out of range; at `step`, an observation is not
            finite.
        MissingDependency: torch is not installed.
    """

    needs = frozenset({"next_obs", "flat"})

    def __init__(
        self,
        intrinsic_coef: float = 1.0,
        *,
        extrinsic_coef: float = 1.0,
        discount: float = 0.99,
        learning: Learning = None,
    ):
        super().__init__(intrinsic_coef, extrinsic_coef, discount, True, learning)

    def _new_network(self, widths: dict[str, int], settings: NoveltyLearning) -> Distillation:
        from rewardloom.rewards.novelty.networks import Distillation

        return Distillation(widths, settings)

    def _novelty(self, rows: Rows, slots: np.ndarray) -> dict[str, F64N]:
        return {"raw": self._learner.ask(rows)[:, 0]}
