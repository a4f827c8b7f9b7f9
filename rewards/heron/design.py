"""`HeronDesign`: a reward learned from preferences that a ranking of components gives."""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from rewardloom.errors import ConfigError, MissingDependency, unknown_name
from rewardloom.rewards.design import Depends, EpisodeBatch, Memory, Reduction, StepBatch
from rewardloom.rewards.heron.factors import Factor, Margins, read_ranking
from rewardloom.rewards.heron.learner import CENTERS, MODELS, Comparison, PreferenceLearner
from rewardloom.rewards.heron.pairs import UNITS
from rewardloom.rewards.heron.settings import PreferenceLearning
from rewardloom.rewards.learning.device import check_device
from rewardloom.rewards.learning.settings import read_settings
from rewardloom.rewards.learning.store import check_inputs, input_needs, input_rows
from rewardloom.rewards.open_steps import OpenSteps
from rewardloom.rewards.ragged import finished, select_episodes
from rewardloom.typing import F64N, F64T, BoolN

__all__ = ["HeronDesign"]

_INPUTS = ("obs", "action", "components")


class HeronDesign:
    r"""Pays r'_t = (g(x_t) - shift) / scale, g fitted to preferences between stored steps.

    Of two steps (or segments, or episodes) the better one is told by the first factor of the
    ranking in which they differ by more than its margin; undecided pairs are dropped. g minimizes
    the Bradley-Terry loss -log sigma(G_w - G_l), G being g summed over the unit. After Bukharin
    et al. 2023 (HERON, arXiv 2309.02632); segments, normalization, estimated margins and
    diagnostics are our formulation. Replaces the reward and preserves nothing.

    Args:
        ranking: `Factor` objects, mappings of their fields, or names; the most important first.
        model: "network"; or a baseline on the ranked components alone: "linear" (weights fitted
            to the same preferences), "weights" (alpha^level on z-scored factors),
            "lexicographic" (the first factor alone).
        margins: "std" (one standard deviation of the stored units), a number or a list of one per
            factor (in standard deviations), {"absolute": number or list} (in the components'
            units), "estimated" or {"estimated": share} (each level decides that share, 0.7 by
            default, of the pairs that reach it).
        unit: What is compared: "step", "segment" or "episode"; sums over it.
        segment_length: Steps of a segment.
        inputs: What the network reads: "obs", "action", "next_obs", "components"; None takes all
            but next_obs.
        center: Which stored step is paid 0: the "mean", "min" or "max" one; "none" leaves the
            shift, which steps and segments do not determine. None takes "mean" and warns once
            where it could matter.
        warmup: "raw" pays the raw reward until the first refit, "zero" nothing.
        emit: "online", or "relabel": `step` passes the raw reward.
        alpha: Of model "weights", in (0, 1]; 0.5 unless given.
        learning: `PreferenceLearning` or a mapping of its fields.

    Attributes:
        update_model: False freezes the model and takes in no more episodes.

    Raises:
        ConfigError: an argument is unknown, out of range or does not fit the model; at `bind`, a
            ranked component does not exist.
        MissingDependency: the model is a network, and torch is not installed.
    """

    depends: Depends = "row"
    memory: Memory = "model"
    settles_truncation = False
    reductions: Mapping[str, Reduction] = {"refits": "last"}

    def __init__(
        self,
        ranking: Sequence[Factor | Mapping[str, Any] | str],
        *,
        model: str = "network",
        margins: Any = "std",
        unit: str = "step",
        segment_length: int = 25,
        inputs: Sequence[str] | None = None,
        center: str | None = None,
        warmup: str = "raw",
        emit: str = "online",
        alpha: float | None = None,
        learning: PreferenceLearning | Mapping[str, Any] | None = None,
    ):
        self.factors = read_ranking(ranking)
        settings = read_settings(PreferenceLearning, learning)
        _check_choice("model", model, MODELS)
        _check_choice("unit", unit, UNITS)
        _check_choice("center", center or "mean", CENTERS)
        _check_choice("warmup", warmup, ("raw", "zero"))
        _check_choice("emit", emit, ("online", "relabel"))
        _check_fit(model, inputs, alpha)
        if model == "network":
            check_device(settings.device)
        if not isinstance(segment_length, int) or segment_length < 1:
            raise ConfigError(f"segment_length must be at least 1, got {segment_length!r}.")
        self.model = model
        self.warmup = warmup
        self.relabels = emit == "relabel"
        self.inputs = check_inputs(
            ("components",) if model != "network" else _INPUTS if inputs is None else inputs
        )
        self.needs = input_needs(self.inputs) | {"components"}
        self.update_model = True
        rule = Comparison(
            self.factors,
            Margins(margins, self.factors),
            model,
            unit,
            segment_length,
            center or "mean",
            0.5 if alpha is None else float(alpha),
        )
        self._learner = PreferenceLearner(rule, settings)
        self._watches_horizon = center is None
        self._length: int | None = None
        self._clear(0)

    @property
    def refits(self) -> int:
        """How often the model was fitted."""
        return self._learner.refits

    def bind(self, names: tuple[str, ...], num_slots: int) -> None:
        """See `RewardDesign.bind`."""
        for factor in self.factors:
            if factor.component not in names:
                raise ConfigError(
                    unknown_name("component", factor.component, names, where="in ranking")
                )
        self._learner.bind([names.index(factor.component) for factor in self.factors])
        self._clear(num_slots)

    def begin(self, slots: BoolN, extra: Mapping[str, Any] | None = None) -> None:
        """See `RewardDesign.begin`."""
        if not self.relabels:
            self._open.begin(slots, extra)

    def step(self, batch: StepBatch) -> F64N:
        """See `RewardDesign.step`."""
        raw = np.where(batch.active, batch.reward, 0.0)
        if self.relabels:
            return raw
        self._open.add(batch)
        ended = (batch.terminated | batch.truncated) & batch.active
        if ended.any():
            episodes = self._open.take(ended)
            if self.update_model:
                self._take_in(episodes)
        learned = self._rewards(batch)
        paid = raw if self.warmup == "raw" else self._zeros.copy()
        if learned is not None:
            paid = np.where(batch.active, learned, 0.0)
        shown = self._zeros if learned is None else paid
        self._shown = {"learned": shown, "refits": np.full(len(paid), float(self.refits))}
        return paid

    def relabel(self, episodes: EpisodeBatch) -> F64T:
        """See `RewardDesign.relabel`; takes in the episodes that ended, then pays all rows."""
        if self.update_model:
            self._take_in(episodes)
        learned = self._rewards(episodes)
        if learned is not None:
            return learned
        return episodes.reward.copy() if self.warmup == "raw" else np.zeros(len(episodes.reward))

    def summary(self) -> dict[str, F64N]:
        """Return `learned`, what the model paid (0 before its first refit), and `refits`."""
        return self._shown

    def diagnostics(self) -> dict[str, float]:
        """Return finite numbers about the last refit, {} before the first.

        Shares of the drawn pairs: `decided_<component>` of each factor, `undecided`. `cycle_rate`
        among decided triples. Of held-out pairs: `pair_accuracy`, `loss`. `weight_<component>`:
        the weight of each z-scored factor in a linear fit of the same preferences, the first's
        being 1 or -1. `rank_correlation` (Spearman) of learned and raw episode returns.
        `disagreement`: mean standard deviation between the ensemble's members. `episodes` and
        `steps` that are stored. Where no pair was decided, what the model says stays.
        """
        return self._learner.diagnostics()

    def state_dict(self) -> dict[str, Any]:
        """Return the model, and the episodes and generator from which it goes on."""
        return self._learner.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        self._learner.load_state_dict(state)

    def _clear(self, num_slots: int) -> None:
        self._open = OpenSteps(num_slots)
        self._zeros = np.zeros(num_slots)
        self._zeros.flags.writeable = False
        self._shown: dict[str, F64N] = {"learned": self._zeros, "refits": self._zeros}

    def _rewards(self, batch: StepBatch | EpisodeBatch) -> F64T | None:
        if not self.refits:
            return None
        if self.model == "network":
            return self._learner.rewards(input_rows(batch, self.inputs))
        return self._learner.rewards(self._learner.factors(batch.components))

    def _take_in(self, episodes: EpisodeBatch) -> None:
        done = finished(episodes)
        if done.any():
            new = select_episodes(episodes, done)
            self._note_lengths(new)
            self._learner.take_in(new, input_rows(new, self.inputs))

    def _note_lengths(self, episodes: EpisodeBatch) -> None:
        if not self._watches_horizon:
            return
        for length in np.diff(episodes.offsets)[episodes.terminated].tolist():
            if self._length is None:
                self._length = length
            if length != self._length:
                self._watches_horizon = False
                warnings.warn(
                    "Episodes terminate after different numbers of steps, and the sign of a "
                    "learned reward decides whether living on pays. The mean step is paid 0; say "
                    "center='mean' to keep that, 'min' to make living pay, 'max' to make ending "
                    "pay.",
                    stacklevel=2,
                )
                return


def _check_choice(name: str, value: Any, options: tuple[str, ...]) -> None:
    if value not in options:
        raise ConfigError(unknown_name(name, value, options))


def _check_fit(model: str, inputs: Any, alpha: Any) -> None:
    if model == "network" and importlib.util.find_spec("torch") is None:
        raise MissingDependency(
            'HERON\'s network needs torch. Run: pip install "rewardloom[baselines]", or use '
            "model='linear'."
        )
    if inputs is not None and model != "network":
        raise ConfigError(f"inputs is for model='network'; {model!r} reads the ranked components.")
    if alpha is None:
        return
    if model != "weights":
        raise ConfigError(f"alpha is for model='weights', not for {model!r}.")
    if isinstance(alpha, bool) or not isinstance(alpha, int | float) or not 0 < alpha <= 1:
        raise ConfigError(f"alpha must be in (0, 1], got {alpha!r}.")
