"""What each mode pays before it is blended with the raw reward and settled.

A payer returns u_t, the redistributed reward of a step: `offline` of whole episodes, and where
payments are known at once `online` of one tick. While a model has not been trained, u_t is r_t.

- `UniformPayer`, `SoftmaxPayer`, `ModelWeightPayer`, `ReturnRangePayer`: known at the end.
- `RatePayer`, `EstimatePayer`, `DifferencePayer`, `PotentialPayer`: known at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from rewardloom.errors import ConfigError, unknown_name
from rewardloom.rewards.design import INFO_PREFIX, EpisodeBatch, StepBatch
from rewardloom.rewards.learning.store import input_rows
from rewardloom.rewards.ragged import broadcast_episodes, episode_sums
from rewardloom.rewards.redistribute.learner import Learner
from rewardloom.rewards.redistribute.return_range import ReturnRange
from rewardloom.rewards.redistribute.scores import (
    check_scores,
    differences,
    evenly,
    normalized_weights,
    potential_shaping,
    softmax_of,
)
from rewardloom.typing import F64N, F64T, BoolE, BoolN

__all__ = [
    "DifferencePayer",
    "EstimatePayer",
    "ModelWeightPayer",
    "Payer",
    "PotentialPayer",
    "RatePayer",
    "ReturnRangePayer",
    "ScoreColumn",
    "SoftmaxPayer",
    "UniformPayer",
]


class ScoreColumn:
    """A score per step: an info column, a component, or `EpisodeBatch.scores`.

    Args:
        name: "info:<key>", a component's name, or None for the scores that come with episodes.

    Attributes:
        needs: What the plug must fill.
    """

    def __init__(self, name: str | None):
        self.name = name
        self._is_info = name is not None and name.startswith(INFO_PREFIX)
        self._index = -1
        self.needs = frozenset({"scores" if name is None else name})
        if name is not None and not self._is_info:
            self.needs = frozenset({"components"})

    def bind(self, names: tuple[str, ...]) -> None:
        """Find the component among the world's.

        Raises:
            ConfigError: there is none of that name.
        """
        if self.name is None or self._is_info:
            return
        if self.name not in names:
            hint = f' A number in info is called "{INFO_PREFIX}{self.name}".'
            raise ConfigError(unknown_name("score", self.name, names, where="in score") + hint)
        self._index = names.index(self.name)

    def read(self, batch: StepBatch | EpisodeBatch, rows: BoolN | None = None) -> np.ndarray:
        """Return the score of each row as float64.

        Args:
            batch: A tick or episodes.
            rows: Those that mean something; the others read 0.

        Raises:
            ComponentError: a score is not finite.
            ConfigError: the episodes come without the score.
        """
        if self._is_info:
            values = (batch.extra or {}).get(str(self.name))
        elif self.name is None:
            values = getattr(batch, "scores", None)
        else:
            values = batch.components[:, self._index]
        if values is None:
            raise ConfigError(
                "The episodes come without scores: name them in score=, or give them to "
                "episode_batch(scores=...)."
                if self.name is None
                else f"The episodes come without the column {self.name!r}; give it in extra."
            )
        scores = np.array(values, np.float64)
        if rows is not None and np.count_nonzero(rows) < len(rows):
            scores = np.where(rows, scores, 0.0)
        check_scores(scores, self.name or "scores")
        return scores

    def at_reset(self, extra: Mapping[str, Any] | None, count: int) -> np.ndarray:
        """Return the (count,) scores at reset, 0 where the world gives none."""
        value = (extra or {}).get(str(self.name))
        if value is None:
            return np.zeros(count)
        scores = np.array([0.0 if entry is None else entry for entry in value], np.float64)
        check_scores(scores, str(self.name))
        return scores


class Payer:
    """What all payers share: no state per slot."""

    needs: frozenset[str] = frozenset()

    def bind(self, names: tuple[str, ...], num_slots: int) -> None:
        """See `RewardDesign.bind`."""

    def begin(self, slots: BoolN, extra: Mapping[str, Any] | None) -> None:
        """See `RewardDesign.begin`."""

    def forget(self) -> None:
        """Drop what belongs to open episodes: the model has become another one."""

    def online(self, batch: StepBatch, raw: F64N, closed: BoolN) -> F64N:
        """Return u_t of a tick; `closed` are the slots whose episode ends and is settled."""
        raise NotImplementedError

    def offline(self, episodes: EpisodeBatch, closed: BoolE) -> F64T:
        """Return u_t of every row; `closed` are the episodes that are settled."""
        raise NotImplementedError


class UniformPayer(Payer):
    """u_t = R / T."""

    def offline(self, episodes: EpisodeBatch, closed: BoolE) -> F64T:
        """See `Payer.offline`."""
        return evenly(episode_sums(episodes.reward, episodes.offsets), episodes.offsets)


class SoftmaxPayer(Payer):
    """u_t = R softmax_t(s_t / temperature)."""

    def __init__(self, column: ScoreColumn, temperature: float, sign: str):
        self.needs = column.needs
        self._column = column
        self._temperature = temperature
        self._sign = sign

    def bind(self, names: tuple[str, ...], num_slots: int) -> None:
        """See `Payer.bind`."""
        self._column.bind(names)

    def offline(self, episodes: EpisodeBatch, closed: BoolE) -> F64T:
        """See `Payer.offline`."""
        scores, offsets = self._column.read(episodes), episodes.offsets
        weights = softmax_of(scores, episodes.reward, offsets, self._temperature, self._sign)
        return weights * broadcast_episodes(episode_sums(episodes.reward, offsets), offsets)


class ModelWeightPayer(Payer):
    """u_t = R s_t / sum_k s_k, the scores s >= 0 being a model's."""

    def __init__(self, learner: Learner, scores: str):
        self._learner = learner
        self._scores = scores

    def offline(self, episodes: EpisodeBatch, closed: BoolE) -> F64T:
        """See `Payer.offline`."""
        if self._learner.model is None:
            return episodes.reward
        offsets = episodes.offsets
        scores = getattr(self._learner.model, self._scores)(self._learner.inputs(episodes), offsets)
        weights = normalized_weights(scores, offsets)
        return weights * broadcast_episodes(episode_sums(episodes.reward, offsets), offsets)


class ReturnRangePayer(Payer):
    """u_t = (R - min) / (max - min) over the latest episodes."""

    def __init__(self, returns: ReturnRange):
        self._returns = returns

    def offline(self, episodes: EpisodeBatch, closed: BoolE) -> F64T:
        """See `Payer.offline`."""
        return broadcast_episodes(self._returns.credit(episodes), episodes.offsets)


class RatePayer(Payer):
    """u_t = r^(s_t, a_t), a model's reward of one step."""

    def __init__(self, learner: Learner):
        self._learner = learner

    def online(self, batch: StepBatch, raw: F64N, closed: BoolN) -> F64N:
        """See `Payer.online`; one call of the model per tick."""
        if self._learner.model is None:
            return raw
        rates = self._learner.model.rates(input_rows(batch, self._learner.settings.inputs))
        return np.where(batch.active, rates, 0.0)

    def offline(self, episodes: EpisodeBatch, closed: BoolE) -> F64T:
        """See `Payer.offline`."""
        if self._learner.model is None:
            return episodes.reward
        return self._learner.model.rates(self._learner.inputs(episodes))


class EstimatePayer(Payer):
    """u_t = g_t - g_{t-1}, g being a sequence model's prediction of the return.

    A slot whose episode began before the first refit pays raw until it ends.
    """

    def __init__(self, learner: Learner):
        self._learner = learner

    def bind(self, names: tuple[str, ...], num_slots: int) -> None:
        """See `Payer.bind`."""
        self._last = np.zeros(num_slots)
        self._follows = np.zeros(num_slots, bool)
        self._hidden: Any = None

    def begin(self, slots: BoolN, extra: Mapping[str, Any] | None) -> None:
        """See `Payer.begin`."""
        self._last[slots] = 0.0
        self._follows[slots] = self._learner.model is not None
        if self._hidden is not None:
            self._learner.model.clear(self._hidden, slots)

    def forget(self) -> None:
        """See `Payer.forget`; slots in mid-episode pay raw until they begin anew."""
        self._hidden = None
        self._follows[:] = False
        self._last[:] = 0.0

    def online(self, batch: StepBatch, raw: F64N, closed: BoolN) -> F64N:
        """See `Payer.online`; one call of the model per tick."""
        model = self._learner.model
        if model is None:
            return raw
        if self._hidden is None:
            self._hidden = model.start(len(raw))
        inputs = input_rows(batch, self._learner.settings.inputs)
        estimates, self._hidden = model.advance(inputs, self._hidden, batch.active)
        estimates = np.where(batch.active, estimates, self._last)
        change = np.where(self._follows, estimates - self._last, raw)
        self._last = estimates
        return change

    def offline(self, episodes: EpisodeBatch, closed: BoolE) -> F64T:
        """See `Payer.offline`."""
        if self._learner.model is None:
            return episodes.reward
        inputs = self._learner.inputs(episodes)
        return differences(
            self._learner.model.estimates(inputs, episodes.offsets), episodes.offsets
        )


class DifferencePayer(Payer):
    """u_t = g_t - g_{t-1}, g being a score that the world gives; g_{-1} = 0."""

    def __init__(self, column: ScoreColumn):
        self.needs = column.needs
        self._column = column

    def bind(self, names: tuple[str, ...], num_slots: int) -> None:
        """See `Payer.bind`."""
        self._column.bind(names)
        self._last = np.zeros(num_slots)

    def begin(self, slots: BoolN, extra: Mapping[str, Any] | None) -> None:
        """See `Payer.begin`."""
        self._last[slots] = 0.0

    def online(self, batch: StepBatch, raw: F64N, closed: BoolN) -> F64N:
        """See `Payer.online`."""
        scores, active = self._column.read(batch, batch.active), batch.active
        if np.count_nonzero(active) < len(active):
            scores = np.where(active, scores, self._last)
        change = scores - self._last
        self._last = scores
        return change

    def offline(self, episodes: EpisodeBatch, closed: BoolE) -> F64T:
        """See `Payer.offline`."""
        return differences(self._column.read(episodes), episodes.offsets)


class PotentialPayer(Payer):
    """u_t = r_t + gamma Phi(s_{t+1}) - Phi(s_t), Phi being 0 after an ending."""

    def __init__(self, column: ScoreColumn, gamma: float):
        self.needs = column.needs
        self._column = column
        self._gamma = gamma

    def bind(self, names: tuple[str, ...], num_slots: int) -> None:
        """See `Payer.bind`."""
        self._column.bind(names)
        self._last = np.zeros(num_slots)

    def begin(self, slots: BoolN, extra: Mapping[str, Any] | None) -> None:
        """See `Payer.begin`."""
        self._last[slots] = self._column.at_reset(extra, len(slots))[slots]

    def online(self, batch: StepBatch, raw: F64N, closed: BoolN) -> F64N:
        """See `Payer.online`."""
        after, active = self._column.read(batch, batch.active), batch.active
        if np.count_nonzero(closed):
            after = np.where(closed, 0.0, after)
        change = self._gamma * after - self._last
        if np.count_nonzero(active) < len(active):
            change[~active] = 0.0
            after = np.where(active, after, self._last)
        self._last = after
        return raw + change

    def offline(self, episodes: EpisodeBatch, closed: BoolE) -> F64T:
        """See `Payer.offline`."""
        starts = self._column.at_reset(episodes.start, len(closed))
        potential = self._column.read(episodes)
        return episodes.reward + potential_shaping(
            potential, starts, episodes.offsets, self._gamma, closed
        )
