"""Replay buffers whose rewards are rewritten when an episode ends.

- `OffPolicyRelabeller`: turns a finished episode into new rewards.
- `RelabelReplayBuffer`, `RelabelDictReplayBuffer`, `RelabelNStepReplayBuffer`: SB3's buffers that
  call it and sample only rows of finished, whole episodes.
- `relabelling_replay_buffer`: which of them stands for a class of SB3's.
"""

from __future__ import annotations

import copy
import warnings
from typing import Any, NamedTuple

import numpy as np
import torch
from stable_baselines3.common.buffers import DictReplayBuffer, NStepReplayBuffer, ReplayBuffer

from rewardloom.baselines.plugs.record import TickRecorder
from rewardloom.baselines.plugs.stored_steps import StoredSteps
from rewardloom.errors import ConfigError, RunError
from rewardloom.rewards.design import EpisodeBatch, LearnedDesign, RewardDesign
from rewardloom.rewards.ragged import span_rows

__all__ = [
    "OffPolicyRelabeller",
    "RelabelDictReplayBuffer",
    "RelabelNStepReplayBuffer",
    "RelabelReplayBuffer",
    "relabelling_replay_buffer",
]


_SPARSE = 8  # rows for each valid one, above which valid rows are looked up instead of drawn


class Followed(NamedTuple):
    """What the recorder saw since the last stored step.

    Attributes:
        restarted: All environments were reset before it.
        gap: Steps before it were never stored: a callback ended `learn` on them.
        ended: (N,) bool, environments whose episode ends with the step.
        failed: (N,) bool, those that an infrastructure failure ended.
        idle: (N,) bool, slots whose agent was not in the game (`ParallelToVecEnv`).
    """

    restarted: bool
    gap: bool
    ended: np.ndarray
    failed: np.ndarray
    idle: np.ndarray


class OffPolicyRelabeller:
    """Relabels each episode as it ends.

    Args:
        recorder: The outermost wrapper of the model's environments.
        design: Already bound.
    """

    def __init__(self, recorder: TickRecorder, design: RewardDesign):
        self.recorder = recorder
        self.design = design
        self._seen = 0  # recorded ticks that were followed

    def follow(self) -> Followed:
        """Take note of the step that was just made.

        Raises:
            RunError: the recorder saw none.
        """
        recorder = self.recorder
        seen = 0 if recorder.restarted else self._seen
        if recorder.ticks.count == seen:
            raise RunError(
                "The buffer stores a step that the recording wrapper did not see. Keep it the "
                "outermost environment and call attach_relabel after set_env or load."
            )
        followed = Followed(
            recorder.restarted,
            recorder.ticks.count > seen + 1,
            recorder.ticks.last("terminated") | recorder.ticks.last("truncated"),
            recorder.ticks.last("failed"),
            ~recorder.ticks.last("active"),
        )
        recorder.restarted = False
        self._seen = recorder.ticks.count
        return followed

    def finish(self, slots: np.ndarray) -> tuple[EpisodeBatch, np.ndarray] | None:
        """Return the episodes that end now in some slots and their new rewards, or None."""
        spans = self.recorder.finished(self._seen - 1)
        spans = spans.chosen(np.isin(spans.slots, slots))
        if not len(spans.slots):
            return None
        episodes = self.recorder.gather(spans)
        return episodes, self.design.relabel(episodes)

    def forget(self) -> None:
        """Drop ticks that belong to no open episode."""
        self.recorder.forget(keep_open=True)
        self._seen = self.recorder.ticks.count


class _RelabelsEpisodes:
    """Mixed into SB3's replay buffers; rows count only once their episode has ended.

    Rows are written at once. When an episode ends its rewards are rewritten and its rows become
    valid; when the ring overwrites one row of it, the others become invalid with it. Rows that
    were stored before a design was attached cannot be rewritten and are never sampled.
    """

    _relabeller: OffPolicyRelabeller | None = None
    _learning_starts = 0
    _valid_count = 0
    _steps: StoredSteps | None = None  # all valid rows, if the design has a model, else None
    _paid_with = -1
    _payer: tuple[str, ...] = ()  # which design paid the valid rows
    _witness: tuple[EpisodeBatch, np.ndarray] | None = None  # episodes, and what was paid for them

    # SB3's own
    pos: int
    full: bool
    n_envs: int
    buffer_size: int
    rewards: np.ndarray
    timeouts: np.ndarray
    observations: Any
    next_observations: Any
    actions: np.ndarray
    dones: np.ndarray

    def attach(self, relabeller: OffPolicyRelabeller, learning_starts: int) -> None:
        """Begin to relabel with `relabeller`.

        Rows that the same design has paid, before or in a loaded buffer, stay; those of another one
        are paid anew at the next sample if it trains a model, and are dropped otherwise.

        Raises:
            ConfigError: the buffer overlaps observations, so rows cannot be told apart.
        """
        if getattr(self, "optimize_memory_usage", False):
            raise ConfigError(
                "Relabelling needs optimize_memory_usage=False: overlapping observations cannot "
                "be kept apart when single episodes are dropped."
            )
        before, self._relabeller = self._relabeller, relabeller
        self._learning_starts = learning_starts
        self._paid_with = -1
        if not hasattr(self, "_valid"):
            shape = (self.buffer_size, self.n_envs)
            self._valid = np.zeros(shape, bool)
            self._start = np.zeros(shape, np.int64)
            self._length = np.zeros(shape, np.int64)
        design = relabeller.design
        payer = _payer(design)
        if self._payer != payer or not self._goes_on(before, design):
            self._drop_others()
        self._payer = payer
        self._open = np.full(self.n_envs, self.pos)
        self._open_length = np.zeros(self.n_envs, np.int64)
        self._torn = np.zeros(self.n_envs, bool)

    def _goes_on(self, before: OffPolicyRelabeller | None, design: RewardDesign) -> bool:
        """Return whether a design of the same kind is the one that paid the valid rows."""
        if before is not None:
            return before.design is design or design.memory == "model"
        return self._witness is None or _pays(design, *self._witness)

    def add(self, obs: Any, next_obs: Any, action: Any, reward: Any, done: Any, infos: Any) -> None:
        """Store one step of every environment; rewrite the episodes that end with it."""
        if self._relabeller is None:
            raise RunError("This replay buffer has no design; call attach_relabel(model, design).")
        row = self.pos
        self._drop_overwritten(row)
        super().add(obs, next_obs, action, reward, done, infos)  # pyright: ignore
        followed = self._relabeller.follow()
        if followed.restarted:
            self._open[:] = row
            self._open_length[:] = 0
            self._torn[:] = False
        if followed.gap:
            self._torn[:] = True
        self._open_length += 1
        self._open[followed.idle] = self.pos  # an idle row is never sampled
        self._open_length[followed.idle] = 0
        self._check_room()
        ended = followed.ended
        if ended.any():
            self._settle(np.flatnonzero(ended & ~followed.failed & ~self._torn))
            self._open[ended] = self.pos
            self._open_length[ended] = 0
            self._torn[ended] = False
            self._relabeller.forget()

    def reset(self) -> None:
        """Empty the buffer; episodes that are open now are not sampled when they end."""
        super().reset()  # pyright: ignore[reportAttributeAccessIssue] (a mixin)
        if self._relabeller is not None:
            self._drop_all()
            self._torn |= self._open_length > 0
            self._open[:] = 0
            self._open_length[:] = 0

    @property
    def valid_share(self) -> float:
        """Share of the stored rows that can be sampled: those of finished, whole episodes."""
        stored = (self.buffer_size if self.full else self.pos) * self.n_envs
        return self._valid_count / max(stored, 1)

    def sample(self, batch_size: int, env: Any = None) -> Any:
        """Return a batch of rows drawn evenly from those of finished episodes.

        Raises:
            RunError: no episode has ended yet.
        """
        self._refresh()
        rows, slots = self._draw(batch_size)
        if self.n_envs == 1:
            return self._get_samples(rows, env=env)  # pyright: ignore
        parts = [
            self._one_environment(slot)._get_samples(rows[slots == slot], env=env)
            for slot in np.unique(slots).tolist()
        ]
        return _joined(parts)

    def _settle(self, slots: np.ndarray) -> None:
        """Rewrite the episodes that end now in some environments and make their rows valid."""
        relabeller = self._relabeller
        assert relabeller is not None
        settled = relabeller.finish(slots)
        if settled is None:
            return
        episodes, paid = settled
        lengths = np.diff(episodes.offsets)
        if (lengths != self._open_length[slots]).any():
            raise RunError("The recording wrapper and the replay buffer disagree on an episode.")
        if relabeller.design.memory == "none" and (self._witness is None or paid.any()):
            self._witness = settled
        rows, episode = span_rows(self._open[slots], lengths)
        rows, owners = rows % self.buffer_size, slots[episode]
        self.rewards[rows, owners] = paid
        if relabeller.design.settles_truncation:
            self.timeouts[rows[episodes.offsets[1:] - 1], slots] = 0.0
        self._valid[rows, owners] = True
        self._start[rows, owners] = self._open[owners]
        self._length[rows, owners] = np.repeat(lengths, lengths)
        self._valid_count += len(rows)
        if relabeller.design.memory == "model":
            if self._steps is None:
                self._steps = StoredSteps(self.buffer_size, self.n_envs)
            self._steps.keep(episodes, self._open[slots], slots)

    def _refresh(self) -> None:
        """Pay all valid rows anew if the design's model was trained since they were paid."""
        design = self._relabeller.design if self._relabeller is not None else None
        if self._steps is None or not isinstance(design, LearnedDesign):
            return
        if design.refits == self._paid_with or not self._valid_count:
            return
        self._paid_with = design.refits
        index = np.arange(self.buffer_size)[:, None]
        firsts, slots = np.nonzero(self._valid & (self._start == index))
        lengths = self._length[firsts, slots]
        learns, design.update_model = design.update_model, False  # none is learned twice
        try:
            for episodes, rows, owners in self._steps.batches(firsts, lengths, slots):
                self.rewards[rows, owners] = design.relabel(episodes)
        finally:
            design.update_model = learns

    def _drop_overwritten(self, row: int) -> None:
        """Make the rest of every episode invalid that loses this row."""
        for slot in np.flatnonzero(self._valid[row]).tolist():
            length = int(self._length[row, slot])
            span = self._start[row, slot] + np.arange(length)
            self._valid[span % self.buffer_size, slot] = False
            self._valid_count -= length

    def _drop_others(self) -> None:
        """Make the rows invalid that another design has paid."""
        if self._valid_count:
            warnings.warn(
                f"{self._valid_count} rows of the replay buffer were paid by another design and "
                "are no longer sampled. To go on with reset_num_timesteps=False, first set "
                "model.learning_starts above model.num_timesteps.",
                stacklevel=4,
            )
        self._drop_all()

    def _drop_all(self) -> None:
        self._valid[:] = False
        self._valid_count = 0
        self._steps = None
        self._witness = None

    def _check_room(self) -> None:
        if (self._open_length > self.buffer_size).any():
            raise RunError(
                f"An episode is longer than the replay buffer ({self.buffer_size} steps per "
                "environment), so it can never be relabelled whole. Use a larger buffer_size."
            )

    def _draw(self, batch_size: int) -> tuple[np.ndarray, np.ndarray]:
        """Draw valid (row, environment) pairs: by rejection unless they are very sparse."""
        if not self._valid_count:
            raise RunError(
                "No episode has ended yet, so there is nothing to learn from. Set learning_starts "
                f"(now {self._learning_starts}) above the length of the first episodes."
            )
        upper = self.buffer_size if self.full else self.pos
        valid = self._valid[:upper].reshape(-1)
        if self._valid_count * _SPARSE < len(valid):
            where = np.flatnonzero(valid)
            chosen = where[np.random.randint(0, len(where), size=batch_size)]
        else:
            chosen = np.zeros(0, np.int64)
            while len(chosen) < batch_size:
                count = (batch_size - len(chosen)) * len(valid) // self._valid_count + 16
                drawn = np.random.randint(0, len(valid), size=count)
                chosen = np.concatenate([chosen, drawn[valid[drawn]]])
            chosen = chosen[:batch_size]
        return np.divmod(chosen, self.n_envs)

    def _one_environment(self, slot: int) -> Any:
        """Return a buffer that shows one environment's rows, in the same memory."""
        view = copy.copy(self)
        view.n_envs = 1
        for name in ("observations", "next_observations", "actions", "rewards", "dones"):
            setattr(view, name, _of_slot(getattr(self, name), slot))
        view.timeouts = _of_slot(self.timeouts, slot)
        return view

    def __getstate__(self) -> dict[str, Any]:
        """Leave out the environments; a loaded buffer needs `attach_relabel`."""
        return {**self.__dict__, "_relabeller": None}


class RelabelReplayBuffer(_RelabelsEpisodes, ReplayBuffer):
    """`ReplayBuffer` that relabels finished episodes; made by `attach_relabel`."""


class RelabelDictReplayBuffer(_RelabelsEpisodes, DictReplayBuffer):
    """`DictReplayBuffer` that relabels finished episodes; made by `attach_relabel`."""


class RelabelNStepReplayBuffer(_RelabelsEpisodes, NStepReplayBuffer):
    """`NStepReplayBuffer` that relabels finished episodes; made by `attach_relabel`."""


_CLASSES: dict[type, type] = {
    ReplayBuffer: RelabelReplayBuffer,
    DictReplayBuffer: RelabelDictReplayBuffer,
    NStepReplayBuffer: RelabelNStepReplayBuffer,
}


def relabelling_replay_buffer(cls: type) -> type:
    """Return the relabelling form of one of SB3's replay buffer classes.

    Raises:
        ConfigError: there is none, as for hindsight replay.
    """
    if cls not in _CLASSES:
        raise ConfigError(
            f"{cls.__name__} cannot be relabelled; use one of "
            f"{', '.join(known.__name__ for known in _CLASSES)}."
        )
    return _CLASSES[cls]


def _payer(design: RewardDesign) -> tuple[str, ...]:
    """Return what must be equal for one design to go on with the rows of another."""
    settles = "settles" if design.settles_truncation else "raw"
    kind = (type(design).__qualname__, design.memory, design.depends, settles)
    return (*kind, *sorted(design.needs))


def _pays(design: RewardDesign, episodes: EpisodeBatch, paid: np.ndarray) -> bool:
    """Return whether a design without memory pays what was paid for episodes; it learns nothing."""
    state = copy.deepcopy(design.state_dict())
    again = design.relabel(episodes)
    design.load_state_dict(state)
    return np.allclose(again, paid)


def _of_slot(value: Any, slot: int) -> Any:
    if isinstance(value, dict):
        return {key: part[:, slot : slot + 1] for key, part in value.items()}
    return value[:, slot : slot + 1]


def _joined(parts: list[Any]) -> Any:
    """Concatenate SB3's sample tuples field by field."""

    def join(values: list[Any]) -> Any:
        if values[0] is None:
            return None
        if isinstance(values[0], dict):
            return {key: torch.cat([value[key] for value in values]) for key in values[0]}
        return torch.cat(values)

    return type(parts[0])(*(join(list(values)) for values in zip(*parts, strict=True)))
