"""`PreferenceLearner`: stores episodes, compares their parts and fits a reward to the outcome."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from rewardloom.rewards.design import EpisodeBatch
from rewardloom.rewards.heron.diagnostics import (
    level_shares,
    pair_accuracy,
    rank_correlation,
    relative_weights,
)
from rewardloom.rewards.heron.factors import Factor, Margins, constant_factors, factor_scale
from rewardloom.rewards.heron.labels import cycle_rate
from rewardloom.rewards.heron.models import Networks, Weights, fit_weights
from rewardloom.rewards.heron.pairs import Pairs, Units, draw_pairs, make_units, unit_sums
from rewardloom.rewards.heron.settings import LARGEST_GAP, PreferenceLearning
from rewardloom.rewards.learning.store import (
    EpisodeStore,
    StoredEpisodes,
    location_scale,
    standardized,
)
from rewardloom.rewards.ragged import episode_sums
from rewardloom.typing import F64T

__all__ = ["CENTERS", "MODELS", "Comparison", "PreferenceLearner"]

MODELS = ("network", "linear", "weights", "lexicographic")
"""What the reward may be."""

CENTERS = ("mean", "min", "max", "none")
"""Which stored step is paid 0."""

_ROUNDING = 1e-6  # relative difference that float32 numbers alone can make


class Comparison(NamedTuple):
    """What is compared and how.

    Attributes:
        factors: The ranking.
        margins: When a factor decides.
        model: One of `MODELS`.
        unit: One of `UNITS`.
        segment_length: In steps.
        center: One of `CENTERS`.
        alpha: Of the model "weights".
    """

    factors: tuple[Factor, ...]
    margins: Margins
    model: str
    unit: str
    segment_length: int
    center: str
    alpha: float


class PreferenceLearner:
    """Fits a reward to hierarchical preferences; equal seeds and episodes give equal models.

    Args:
        rule: What is compared and how.
        settings: Sizes and schedule.

    Attributes:
        refits: How often a model was fitted.
    """

    def __init__(self, rule: Comparison, settings: PreferenceLearning):
        self.rule = rule
        self.settings = settings
        self.refits = 0
        self._signs = np.array([factor.sign for factor in rule.factors], np.float64)
        self._columns: Sequence[int] = range(len(rule.factors))
        self._store = EpisodeStore(settings.max_episodes, settings.max_steps, settings.max_bytes)
        self._rng = np.random.default_rng(settings.seed)
        self._model: Networks | Weights | None = None
        self._shift, self._scale = 0.0, 1.0
        self._fresh_steps = 0
        self._diagnostics: dict[str, float] = {}
        self._warned: set[str] = set()

    def bind(self, columns: Sequence[int]) -> None:
        """Take the column of each factor."""
        self._columns = list(columns)

    def factors(self, components: np.ndarray) -> np.ndarray:
        """Return the ranked components, (T, F), more being better."""
        return components[:, self._columns] * self._signs

    def take_in(self, episodes: EpisodeBatch, inputs: np.ndarray) -> None:
        """Store finished episodes, and refit if it is time."""
        self._store.add(episodes, inputs)
        self._fresh_steps += len(episodes.reward)
        settings = self.settings
        if self._fresh_steps >= (settings.refit_every if self.refits else settings.first_refit):
            self._fresh_steps = 0
            self._refit()

    def rewards(self, inputs: np.ndarray) -> F64T | None:
        """Return what the newest model pays for (T, D) inputs, None before the first."""
        if self._model is None:
            return None
        return (self._model.member_scores(inputs).mean(0) - self._shift) / self._scale

    def diagnostics(self) -> dict[str, float]:
        """See `HeronDesign.diagnostics`."""
        return dict(self._diagnostics)

    def state_dict(self) -> dict[str, Any]:
        """Return model, store, generator and counters; arrays and numbers only."""
        return {
            "model": None if self._model is None else self._model.state_dict(),
            "shift": self._shift,
            "scale": self._scale,
            "store": self._store.state_dict(),
            "generator": self._rng.bit_generator.state,
            "refits": self.refits,
            "fresh_steps": self._fresh_steps,
            "diagnostics": dict(self._diagnostics),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` returned."""
        kind = Networks if self.rule.model == "network" else Weights
        self._model = None if state["model"] is None else kind.from_state(state["model"])
        self._shift, self._scale = state["shift"], state["scale"]
        self._store.load_state_dict(state["store"])
        self._rng.bit_generator.state = state["generator"]
        self.refits = state["refits"]
        self._fresh_steps = state["fresh_steps"]
        self._diagnostics = dict(state["diagnostics"])

    def _refit(self) -> None:
        rule, settings, held = self.rule, self.settings, self._store.laid_out()
        factors = self.factors(held.components)
        units = make_units(factors, held.offsets, rule.unit, rule.segment_length)
        self._warn_of_constants(units.sums)
        pairs = draw_pairs(units, rule.margins, settings.pairs, self._rng)
        winner, loser = pairs.ordered
        kept = int(settings.holdout * len(winner))
        weights = np.zeros(len(rule.factors))
        if len(winner):
            weights = fit_weights(units.sums, winner[kept:], loser[kept:])
        elif rule.model in ("network", "linear"):
            self._report_nothing_learned(pairs, units)
            return
        self._model = self._fit(held, units, winner[kept:], loser[kept:], weights)
        rows = held.inputs if rule.model == "network" else factors
        scores = self._model.member_scores(rows)
        mean = scores.mean(0)
        self._scale = _spread(mean)
        centers = {"mean": mean.mean(), "min": mean.min(), "max": mean.max(), "none": 0.0}
        self._shift = float(centers[rule.center])
        self.refits += 1
        sums = unit_sums(mean, units.first, units.lengths)
        self._diagnostics = {
            **self._shares(pairs, units),
            **relative_weights(weights, rule.factors),
            **_quality(sums, winner[:kept], loser[:kept]),
            "rank_correlation": rank_correlation(
                episode_sums((mean - self._shift) / self._scale, held.offsets), held.returns
            ),
            "disagreement": float(scores.std(0).mean() / self._scale),
        }

    def _fit(
        self,
        held: StoredEpisodes,
        units: Units,
        winner: np.ndarray,
        loser: np.ndarray,
        weights: np.ndarray,
    ) -> Networks | Weights:
        if self.rule.model == "network":
            return self._fit_networks(held, units, winner, loser)
        scale = factor_scale(units.sums)
        if self.rule.model == "weights":
            weights = self.rule.alpha ** np.arange(len(scale))
        elif self.rule.model == "lexicographic":
            weights = np.eye(len(scale))[0]
        return Weights(weights / scale)

    def _fit_networks(
        self, held: StoredEpisodes, units: Units, winner: np.ndarray, loser: np.ndarray
    ) -> Networks:
        # loaded here, since it needs torch
        from rewardloom.rewards.heron.network import new_layers, train_member

        settings, old = self.settings, self._model
        if isinstance(old, Networks):
            members, mean, scale = old.members, old.mean, old.scale
        else:
            width = held.inputs.shape[1]
            members = [
                new_layers(width, settings.hidden, settings.seed + m)
                for m in range(settings.ensemble)
            ]
            mean, scale = location_scale(held.inputs)
        inputs = standardized(held.inputs, mean, scale)
        trained = [
            train_member(layers, inputs, units, winner, loser, settings, self._rng)
            for layers in members
        ]
        return Networks(trained, mean, scale)

    def _shares(self, pairs: Pairs, units: Units) -> dict[str, float]:
        return {
            **level_shares(pairs, self.rule.factors),
            "cycle_rate": cycle_rate(units.sums, pairs.margins, self._rng),
            "episodes": float(len(self._store)),
            "steps": float(self._store.steps),
        }

    def _report_nothing_learned(self, pairs: Pairs, units: Units) -> None:
        names = [factor.component for factor in self.rule.factors]
        warnings.warn(
            f"No pair of {self.rule.unit}s was decided by {names}: every margin is too wide, or "
            "every factor constant. The model stays as it is.",
            stacklevel=2,
        )
        empty = {
            **relative_weights(np.zeros(len(names)), self.rule.factors),
            **_quality(np.zeros(1), np.zeros(0, np.int64), np.zeros(0, np.int64)),
            "rank_correlation": 0.0,
            "disagreement": 0.0,
        }
        kept = {name: self._diagnostics.get(name, value) for name, value in empty.items()}
        self._diagnostics = {**self._shares(pairs, units), **kept}

    def _warn_of_constants(self, sums: np.ndarray) -> None:
        for factor, idle in zip(self.rule.factors, constant_factors(sums), strict=True):
            if idle and factor.component not in self._warned:
                self._warned.add(factor.component)
                warnings.warn(
                    f"Factor {factor.component!r} is constant over the stored experience, so it "
                    "decides nothing. Later refits do not repeat this.",
                    stacklevel=2,
                )


def _quality(sums: np.ndarray, winner: np.ndarray, loser: np.ndarray) -> dict[str, float]:
    """Return accuracy and Bradley-Terry loss of held-out pairs; 0.0 without any."""
    gap = np.clip(sums[winner] - sums[loser], -LARGEST_GAP, LARGEST_GAP)
    return {
        "pair_accuracy": pair_accuracy(sums, winner, loser),
        "loss": float(np.logaddexp(0.0, -gap).mean()) if len(gap) else 0.0,
    }


def _spread(scores: np.ndarray) -> float:
    """Return the deviation of scores; 1.0 where they differ by no more than rounding."""
    deviation = float(scores.std())
    return deviation if deviation > _ROUNDING * np.abs(scores).max() else 1.0
