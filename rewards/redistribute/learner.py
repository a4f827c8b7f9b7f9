"""`Learner`: stores finished episodes and trains a model on them when the schedule says so."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import numpy as np

from rewardloom.rewards.design import EpisodeBatch
from rewardloom.rewards.learning.store import EpisodeStore, StoredEpisodes, input_rows
from rewardloom.rewards.ragged import finished, select_episodes
from rewardloom.rewards.redistribute.settings import Learning
from rewardloom.typing import F64T, I64E1

__all__ = ["Learner", "ReturnModel"]


class ReturnModel(Protocol):
    """A model of the episode's return, trained on stored episodes."""

    def prepare(self, held: StoredEpisodes) -> None:
        """Take the scale of inputs and returns from the episodes of the first refit."""
        ...

    def fit(self, held: StoredEpisodes, rng: np.random.Generator) -> float:
        """Take the gradient steps of one refit; return the mean loss, in units of the scale."""
        ...

    def returns(self, inputs: np.ndarray, offsets: I64E1) -> F64T:
        """Return the predicted return of each episode, (E,)."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """Return weights, optimizer and scales."""
        ...

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore them."""
        ...


class Learner:
    """Takes in episodes and refits; equal seeds and episodes give equal models.

    Args:
        settings: The schedule and sizes.
        make_model: (inputs per step, settings) -> model; called before the first refit.

    Attributes:
        model: The model, None before the first refit.
        refits: How often it was trained.
    """

    def __init__(self, settings: Learning, make_model: Callable[[int, Learning], Any]):
        self.settings = settings
        self.model: Any = None
        self.refits = 0
        self._make_model = make_model
        self._store = EpisodeStore(settings.max_episodes, settings.max_steps, settings.max_bytes)
        self._rng = np.random.default_rng(settings.seed)
        self._fresh_steps = 0
        self._fresh_episodes = 0
        self._diagnostics: dict[str, float] = {}

    def take_in(self, episodes: EpisodeBatch) -> None:
        """Store the finished episodes of a batch, and refit if it is time."""
        done = finished(episodes)
        if not done.any():
            return
        new = select_episodes(episodes, done)
        self._store.add(new, self.inputs(new))
        self._fresh_steps += len(new.reward)
        self._fresh_episodes += int(done.sum())
        settings = self.settings
        due = self._fresh_steps >= settings.refit_every or not self.refits
        enough = self.refits or self._fresh_episodes >= settings.first_refit
        if due and enough:
            self._refit()

    def inputs(self, episodes: EpisodeBatch) -> np.ndarray:
        """Return what the model reads of each row, (T, D) float32."""
        return input_rows(episodes, self.settings.inputs)

    def diagnostics(self) -> dict[str, float]:
        """Return numbers about the last refit, {} before the first.

        `loss`, the mean over its gradient steps; `explained_variance` and `residual_share` of the
        episodes taken in since the refit before, as predicted before training on them, so both
        are out of sample, the second against the mean |return| of all that are stored; `episodes`
        and `steps` that are stored.
        """
        return dict(self._diagnostics)

    def state_dict(self) -> dict[str, Any]:
        """Return model, store, generator and counters."""
        return {
            "model": None if self.model is None else self.model.state_dict(),
            "width": None if self.model is None else self.model.width,
            "store": self._store.state_dict(),
            "generator": self._rng.bit_generator.state,
            "refits": self.refits,
            "fresh": [self._fresh_steps, self._fresh_episodes],
            "diagnostics": dict(self._diagnostics),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` returned."""
        self.model = None
        if state["model"] is not None:
            self.model = self._make_model(state["width"], self.settings)
            self.model.load_state_dict(state["model"])
        self._store.load_state_dict(state["store"])
        self._rng.bit_generator.state = state["generator"]
        self.refits = state["refits"]
        self._fresh_steps, self._fresh_episodes = state["fresh"]
        self._diagnostics = dict(state["diagnostics"])

    def _refit(self) -> None:
        held = self._store.laid_out()
        if self.model is None:
            self.model = self._make_model(held.inputs.shape[1], self.settings)
            self.model.prepare(held)
        fresh = min(self._fresh_episodes, len(self._store))
        first = int(held.offsets[-1 - fresh])
        predicted = self.model.returns(held.inputs[first:], held.offsets[-1 - fresh :] - first)
        loss = self.model.fit(held, self._rng)
        actual = held.returns[-fresh:]
        self._diagnostics = {
            "loss": loss,
            "explained_variance": explained_variance(predicted, actual),
            "residual_share": residual_share(predicted, actual, held.returns),
            "episodes": float(len(self._store)),
            "steps": float(self._store.steps),
        }
        self.refits += 1
        self._fresh_steps = self._fresh_episodes = 0


def residual_share(predicted: F64T, actual: F64T, stored: F64T) -> float:
    """Return mean |actual - predicted| over the mean |return| of stored episodes; 0 if all are 0.

    New episodes may all have the return 0, so that they give no measure by themselves.
    """
    size = float(np.abs(stored).mean())
    return float(np.abs(actual - predicted).mean()) / size if size else 0.0


def explained_variance(predicted: F64T, actual: F64T) -> float:
    """Return 1 - Var(actual - predicted) / Var(actual), 0.0 where the latter is 0."""
    spread = float(np.var(actual))
    return 1.0 - float(np.var(actual - predicted)) / spread if spread > 0 else 0.0
