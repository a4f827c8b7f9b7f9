"""`NGUDesign`: a bonus for states that are far from those of the episode, and new over training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from rewardloom.rewards.design import Reduction
from rewardloom.rewards.novelty.base import NoveltyDesign
from rewardloom.rewards.novelty.episodic import NearestMemory
from rewardloom.rewards.novelty.learner import Rows
from rewardloom.rewards.novelty.running import FadingMoments
from rewardloom.rewards.novelty.settings import Learning, NoveltyLearning, check_count
from rewardloom.rewards.numbers import at_least_zero, check_number
from rewardloom.typing import F64N

if TYPE_CHECKING:
    from rewardloom.rewards.novelty.dynamics import LifelongEmbedding

__all__ = ["NGUDesign"]

_SHOWS = ("raw", "episodic", "lifelong")
_DECAY = 0.9999  # of the running statistics, a number; ours


class NGUDesign(NoveltyDesign):
    r"""Pays extrinsic_coef * r_t + intrinsic_coef * e_t * min(max(alpha_t, 1), L) / scale.

    The episodic part is e_t = 1 / (sqrt(sum_i K_i) + c) over the k states of the episode that are
    nearest to s_{t+1}, and 0 where the root plus c exceeds `max_similarity`; with
    x_i = max(d_i^2 / d_m^2 - cluster_distance, 0), K_i = kernel_epsilon / (x_i + kernel_epsilon).
    d_i are distances of embeddings phi, trained so that the action between two states can be told,
    and d_m^2 is a running mean of the d_i^2. The life-long part is alpha_t = 1 + (g_t - mean) /
    deviation, g_t being the error of `RNDDesign` on s_{t+1}, as it is, and mean and deviation
    running ones of g (Badia et al. 2020, "Never Give Up: Learning Directed Exploration
    Strategies", section 2 and its algorithm 1, whose constants are the defaults here).

    Where an episode has fewer than k states the sum is scaled up to k (ours): otherwise the first
    steps would pay several times what later ones do, and reward ending episodes early. The state
    at reset is one of them. The running statistics forget by 0.9999 a number: the first errors are
    so large that nothing later would exceed their mean. That, perceptrons on standardized flat
    observations, the schedule and the scale (that of `RNDDesign`) are ours too; the paper keeps up
    to 30,000 states. Preserves nothing. Memory: networks and statistics, shared by all slots; the
    states of an episode end with it.

    Args:
        intrinsic_coef: Weight of the bonus, at least 0.
        extrinsic_coef: Weight of the reward below, at least 0; 0 trains on the bonus alone.
        neighbors: k.
        kernel_epsilon: Above 0.
        cluster_distance: At least 0.
        pseudo_count: c, above 0.
        max_similarity: Above 0. With the default constants the root stays below it.
        max_lifelong: L, at least 1; 1 takes out the life-long part.
        memory_size: States kept of an episode, at least k; the oldest leave first.
        normalize: Whether the bonus is divided by the scale; False pays the paper's.
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
    reductions: Mapping[str, Reduction] = dict.fromkeys(_SHOWS, "mean")
    _shows = _SHOWS
    _memory: NearestMemory

    def __init__(
        self,
        intrinsic_coef: float = 1.0,
        *,
        extrinsic_coef: float = 1.0,
        neighbors: int = 10,
        kernel_epsilon: float = 1e-4,
        cluster_distance: float = 0.008,
        pseudo_count: float = 1e-3,
        max_similarity: float = 8.0,
        max_lifelong: float = 5.0,
        memory_size: int = 5000,
        normalize: bool = True,
        discount: float = 0.99,
        learning: Learning = None,
    ):
        self.neighbors = check_count("neighbors", neighbors)
        self.kernel_epsilon = check_number("kernel_epsilon", kernel_epsilon, above=0.0)
        self.cluster_distance = at_least_zero("cluster_distance", cluster_distance)
        self.pseudo_count = check_number("pseudo_count", pseudo_count, above=0.0)
        self.max_similarity = check_number("max_similarity", max_similarity, above=0.0)
        self.max_lifelong = check_number("max_lifelong", max_lifelong, least=1.0)
        self.memory_size = check_count("memory_size", memory_size, least=self.neighbors)
        super().__init__(intrinsic_coef, extrinsic_coef, discount, normalize, learning)
        self._errors = FadingMoments(_DECAY)
        self._distances = FadingMoments(_DECAY)
        self._statistics |= {"errors": self._errors, "distances": self._distances}

    def _new_network(self, widths: dict[str, int], settings: NoveltyLearning) -> LifelongEmbedding:
        from rewardloom.rewards.novelty.dynamics import LifelongEmbedding

        return LifelongEmbedding(widths, settings)

    def _new_memory(self, num_slots: int) -> NearestMemory:
        return NearestMemory(num_slots, self.learning.features, self.memory_size)

    def _novelty(self, rows: Rows, slots: np.ndarray) -> dict[str, F64N]:
        memory, count = self._memory, len(slots)
        begins = memory.counts[slots] == 0
        answer = self._learner.ask(
            {"next_obs": np.concatenate([rows["next_obs"], rows["obs"][begins]])}
        )
        embeddings, errors = answer[:, :-1], answer[:count, -1]
        memory.add(slots[begins], embeddings[count:])
        squares = memory.nearest(slots, embeddings[:count], self.neighbors)
        if self.update_model:
            self._distances.update(squares[np.isfinite(squares)])
            self._errors.update(errors)
        stored = np.minimum(memory.counts[slots], self.neighbors)
        memory.add(slots, embeddings[:count])
        episodic = self._episodic(squares, stored)
        alpha = 1.0 + (errors - self._errors.mean) / self._errors.deviation
        lifelong = np.clip(alpha, 1.0, self.max_lifelong)
        return {"raw": episodic * lifelong, "episodic": episodic, "lifelong": lifelong}

    def _episodic(self, squares: np.ndarray, stored: np.ndarray) -> F64N:
        """Return the episodic part from (M, k) squared distances, `stored` of which are finite."""
        far = np.maximum(squares / (self._distances.mean or 1.0) - self.cluster_distance, 0.0)
        kernel = self.kernel_epsilon / (far + self.kernel_epsilon)
        similarity = np.sqrt(kernel.sum(1) * self.neighbors / stored) + self.pseudo_count
        return np.where(similarity > self.max_similarity, 0.0, 1.0 / similarity)
