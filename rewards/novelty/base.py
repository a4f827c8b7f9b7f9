"""`NoveltyDesign`: what bonuses share that learn online what is new."""

from __future__ import annotations

import abc
import itertools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from rewardloom.errors import ConfigError
from rewardloom.rewards.design import Depends, EpisodeBatch, Memory, Reduction, StepBatch
from rewardloom.rewards.learning.settings import read_settings
from rewardloom.rewards.novelty.episodic import NoMemory, SlotMemory
from rewardloom.rewards.novelty.learner import OnlineLearner, Rows
from rewardloom.rewards.novelty.running import RunningMoments, Statistic
from rewardloom.rewards.novelty.settings import (
    Learning,
    NoveltyLearning,
    check_flag,
)
from rewardloom.rewards.numbers import at_least_zero
from rewardloom.typing import F64N, F64T, BoolN

if TYPE_CHECKING:
    from rewardloom.rewards.novelty.networks import NoveltyNetwork

__all__ = ["NoveltyDesign"]


class NoveltyDesign(abc.ABC):
    r"""Pays extrinsic_coef * r_t + intrinsic_coef * b_t / scale, b_t being how new a step is.

    The scale is the running deviation, over all slots and times, of the sums
    R_t = discount * R_{t-1} + b_t, which every slot keeps through the ends of its episodes (Burda
    et al. 2018, section 2.4), or 1. One network serves all slots and is asked once a tick; the
    order of slots does not matter. Statistics of a tick are taken in before it is paid, and the
    network is trained on it afterwards.

    Args:
        intrinsic_coef: Weight of the bonus, at least 0.
        extrinsic_coef: Weight of the reward below, at least 0; 0 trains on the bonus alone.
        discount: Of the sums, in [0, 1).
        normalize: Whether the bonus is divided by the scale.
        learning: Sizes and schedule of the networks.

    Attributes:
        update_model: False freezes networks and statistics; what is remembered of the open
            episodes goes on.
    """

    needs: frozenset[str]
    depends: Depends = "step"
    memory: Memory = "statistics"
    relabels = False
    settles_truncation = False
    reductions: Mapping[str, Reduction] = {"raw": "mean"}

    _shows: tuple[str, ...] = ("raw",)

    def __init__(
        self,
        intrinsic_coef: float,
        extrinsic_coef: float,
        discount: float,
        normalize: bool,
        learning: Learning,
    ):
        self.intrinsic_coef = at_least_zero("intrinsic_coef", intrinsic_coef)
        self.extrinsic_coef = at_least_zero("extrinsic_coef", extrinsic_coef)
        self.discount = at_least_zero("discount", discount)
        if self.discount >= 1.0:
            raise ConfigError(f"discount must be in [0, 1), got {discount!r}.")
        self.normalize = check_flag("normalize", normalize)
        self.learning = read_settings(NoveltyLearning, learning)
        self.update_model = True
        self._learner = OnlineLearner(self.learning, self._new_network)
        self._parts = [p for p in ("obs", "action", "next_obs") if p in self.needs]
        self._returns = RunningMoments()
        self._statistics: dict[str, Statistic] = {"returns": self._returns}
        self.bind((), 0)

    @abc.abstractmethod
    def _new_network(self, widths: dict[str, int], settings: NoveltyLearning) -> NoveltyNetwork:
        """Return the network; torch is loaded here."""

    @abc.abstractmethod
    def _novelty(self, rows: Rows, slots: np.ndarray) -> dict[str, F64N]:
        """Return the columns that `_shows` names for M rows; "raw" is how new each is."""

    def _new_memory(self, num_slots: int) -> SlotMemory:
        """Return an empty memory of open episodes."""
        return NoMemory()

    @property
    def refits(self) -> int:
        """How often the networks were trained."""
        return self._learner.refits

    def diagnostics(self) -> dict[str, float]:
        """Return the loss of the last training and the scale of bonuses, {} before the first."""
        if not self.refits:
            return {}
        return {
            "loss": self._learner.loss,
            "scale": self._scale(),
            "steps": float(self._learner.steps),
        }

    def bind(self, names: tuple[str, ...], num_slots: int) -> None:
        """See `RewardDesign.bind`; what was learned stays, the sums start from 0."""
        self._sums = np.zeros(num_slots)
        self._relabel_sum = np.zeros(1)
        self._memory = self._new_memory(num_slots)
        self._shown = self._nothing(num_slots)

    def begin(self, slots: BoolN, extra: Mapping[str, Any] | None = None) -> None:
        """See `RewardDesign.begin`."""
        self._memory.clear(slots)

    def step(self, batch: StepBatch) -> F64N:
        """See `RewardDesign.step`."""
        active = batch.active
        self._shown = self._nothing(len(active))
        slots = np.flatnonzero(active)
        if len(slots):
            rows = self._rows(batch, slots)
            if len(slots) > 1:
                order = self._learner.order(rows)
                slots, rows = slots[order], {part: row[order] for part, row in rows.items()}
            self._pay(rows, slots)
        self._memory.clear(active & (batch.terminated | batch.truncated))
        return self.extrinsic_coef * np.where(active, batch.reward, 0.0) + self._shown["bonus"]

    def relabel(self, episodes: EpisodeBatch) -> F64T:
        """See `RewardDesign.relabel`; the rows are driven in order through a slot of their own."""
        rows = self._rows(episodes, np.arange(len(episodes.reward)))
        bonus = np.zeros(len(episodes.reward))
        slot = np.zeros(1, np.int64)
        held = self._sums, self._memory, self._shown
        try:
            self._sums, self._shown = self._relabel_sum, self._nothing(1)
            for first, end in itertools.pairwise(episodes.offsets.tolist()):
                self._memory = self._new_memory(1)
                for row in range(first, end):
                    self._pay({part: values[row : row + 1] for part, values in rows.items()}, slot)
                    bonus[row] = self._shown["bonus"][0]
        finally:
            self._sums, self._memory, self._shown = held
        return self.extrinsic_coef * episodes.reward + bonus

    def summary(self) -> dict[str, F64N]:
        """Return `bonus`, what was added, and `raw`, how new the step is before any scaling."""
        return self._shown

    def state_dict(self) -> dict[str, Any]:
        """Return networks, optimizer and statistics; tensors are on the CPU."""
        statistics = {name: each.state_dict() for name, each in self._statistics.items()}
        return {"learner": self._learner.state_dict(), **statistics}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned, on this design's device; the sums start from 0."""
        self._sums[:] = 0.0
        self._relabel_sum[:] = 0.0
        self._learner.load_state_dict(state["learner"])
        for name, statistic in self._statistics.items():
            statistic.load_state_dict(state[name])

    def _pay(self, rows: Rows, slots: np.ndarray) -> None:
        """Fill what is shown for rows that belong to `slots`, and learn from them."""
        learner, updates = self._learner, self.update_model
        if updates:
            learner.observe(rows)
        columns = self._novelty(rows, slots)
        for name, column in columns.items():
            self._shown[name][slots] = column
        raw = columns["raw"]
        if updates:
            sums = self.discount * self._sums[slots] + raw
            self._sums[slots] = sums
            self._returns.update(sums)
        if not learner.warm:
            return
        self._shown["bonus"][slots] = self.intrinsic_coef * raw / self._scale()
        if updates:
            learner.learn(rows)

    def _nothing(self, num_slots: int) -> dict[str, F64N]:
        return {name: np.zeros(num_slots) for name in ("bonus", *self._shows)}

    def _scale(self) -> float:
        return float(self._returns.deviation) if self.normalize else 1.0

    def _rows(self, batch: StepBatch | EpisodeBatch, slots: np.ndarray) -> Rows:
        """Return copies of the rows of some slots, checked.

        Raises:
            ConfigError: a part is missing, or is not finite.
        """
        rows = {}
        for part in self._parts:
            values = getattr(batch, part)
            if values is None:
                raise ConfigError(f"{type(self).__name__} needs {part}, one row a step.")
            taken = np.asarray(values, np.float32)[slots]
            if not np.isfinite(taken).all():
                raise _not_finite(self, part, taken, slots)
            rows[part] = taken.reshape(len(slots), -1)
        return rows


def _not_finite(
    design: NoveltyDesign, part: str, rows: np.ndarray, slots: Sequence[int] | np.ndarray
) -> ConfigError:
    finite = np.isfinite(rows.reshape(len(rows), -1))
    row = int(np.flatnonzero(~finite.all(1))[0])
    entry = int(np.flatnonzero(~finite[row])[0])
    value = rows.reshape(len(rows), -1)[row, entry]
    return ConfigError(
        f"{type(design).__name__} read {value} in entry {entry} of {part} (slot {slots[row]}); its "
        "networks would never recover. Mend the world, or map the value before it reaches the "
        "design, for example with gymnasium.wrappers.TransformObservation."
    )
