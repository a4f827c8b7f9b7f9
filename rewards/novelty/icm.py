"""`ICMDesign`: a bonus for steps whose outcome is hard to predict."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from rewardloom.errors import ConfigError
from rewardloom.rewards.novelty.base import NoveltyDesign
from rewardloom.rewards.novelty.learner import Rows
from rewardloom.rewards.novelty.settings import Learning, NoveltyLearning
from rewardloom.rewards.numbers import at_least_zero, check_number
from rewardloom.typing import F64N

if TYPE_CHECKING:
    from rewardloom.rewards.novelty.dynamics import Curiosity

__all__ = ["ICMDesign"]


class ICMDesign(NoveltyDesign):
    r"""Pays extrinsic_coef * r_t + intrinsic_coef * (eta / 2) |phi^_{t+1} - phi_{t+1}|^2 / scale.

    phi embeds states so that the action between two of them can be told (inverse model), and
    phi^_{t+1} is predicted from phi(s_t) and the action (forward model): what no action influences
    pays little (Pathak et al. 2017, "Curiosity-driven Exploration by Self-supervised Prediction",
    equations 2 to 7). Both models minimize (1 - beta) L_inverse + beta L_forward. The inverse loss
    is a cross-entropy for Discrete actions, the sum of them for MultiDiscrete ones, and a squared
    error for all others. Perceptrons on standardized flat observations, the schedule, and the
    scale (that of `RNDDesign`; the paper has none) are ours. Preserves nothing: a bonus that
    fades. Memory: networks and statistics, shared by all slots.

    Args:
        intrinsic_coef: Weight of the bonus, at least 0.
        extrinsic_coef: Weight of the reward below, at least 0; 0 trains on the bonus alone.
        eta: Above 0; without effect where `normalize` divides by the scale. The default is ours.
        beta: In [0, 1]; 0.2 is the paper's.
        normalize: Whether the bonus is divided by the scale; False pays the paper's.
        discount: Of the sums that give the scale, in [0, 1).
        learning: `NoveltyLearning` or a mapping of its fields.

    Attributes:
        update_model: False freezes networks and statistics.

    Raises:
        ConfigError: an argument is unknown or out of range; at `step`, an observation or action
            is not finite.
        MissingDependency: torch is not installed.
    """

    needs = frozenset({"obs", "action", "next_obs", "flat"})

    def __init__(
        self,
        intrinsic_coef: float = 1.0,
        *,
        extrinsic_coef: float = 1.0,
        eta: float = 1.0,
        beta: float = 0.2,
        normalize: bool = True,
        discount: float = 0.99,
        learning: Learning = None,
    ):
        self.eta = check_number("eta", eta, above=0.0)
        self.beta = at_least_zero("beta", beta)
        if self.beta > 1.0:
            raise ConfigError(f"beta must be in [0, 1], got {beta!r}.")
        super().__init__(intrinsic_coef, extrinsic_coef, discount, normalize, learning)

    def _new_network(self, widths: dict[str, int], settings: NoveltyLearning) -> Curiosity:
        from rewardloom.rewards.novelty.dynamics import Curiosity

        return Curiosity(widths, settings, self.beta)

    def _novelty(self, rows: Rows, slots: np.ndarray) -> dict[str, F64N]:
        return {"raw": self.eta * self._learner.ask(rows)[:, 0]}
