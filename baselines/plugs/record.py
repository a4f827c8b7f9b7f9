"""`TickRecorder`: records what a VecEnv did, so that rewards can be rewritten when an agent learns.

- `Spans`: stretches of recorded ticks that belong to one episode each.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from stable_baselines3.common.vec_env import VecEnv, VecEnvWrapper

from rewardloom.baselines.plugs.infos import Columns, InfoReader, begun_slots, reset_infos
from rewardloom.rewards.design import (
    EpisodeBatch,
    NoticingDesign,
    RewardDesign,
    StepBatch,
    close_design,
)
from rewardloom.rewards.ragged import span_rows
from rewardloom.rewards.step_columns import StepColumns

__all__ = ["Spans", "TickRecorder"]


class Spans(NamedTuple):
    """Episodes, or parts of them, within recorded ticks; each (E,).

    Attributes:
        slots: The environments.
        firsts: The tick each episode began with; below 0 where that tick is no longer held.
        ends: One past its last tick.
        starts: The columns at its reset, (N,) arrays by name, or None.
    """

    slots: np.ndarray
    firsts: np.ndarray
    ends: np.ndarray
    starts: np.ndarray

    def chosen(self, mask: np.ndarray) -> Spans:
        """Return some of them."""
        return Spans(*(values[mask] for values in self))

    def rows(self) -> tuple[np.ndarray, np.ndarray]:
        """Return slot and tick of every row, span after span."""
        ticks, owners = span_rows(self.firsts, self.ends - self.firsts)
        return self.slots[owners], ticks


class TickRecorder(VecEnvWrapper):
    """Records every step; changes nothing. Must be the outermost wrapper.

    Args:
        venv: What the agent trained on before.
        design: Says what to record.
        columns: As in `DesignVecReward`.
        drive: Also drive the design and keep what it pays.

    Attributes:
        paid: What a driven design paid at each recorded tick, each (N,).
        ticks: The recorded steps; whoever reads them calls `forget`.
        begun: tick -> the environments whose episode began after it, and the columns at the reset;
            -1 stands for a reset of all environments.
        restarted: True from a reset of all environments until `forget`.
        names: The components the design reads.
        recorded_for: The design.
    """

    def __init__(
        self,
        venv: VecEnv,
        design: RewardDesign,
        columns: Columns | None = None,
        *,
        drive: bool = False,
    ):
        super().__init__(venv)
        self.recorded_for = design
        self._driven = design if drive else None
        self._noticed_by = None if drive or not isinstance(design, NoticingDesign) else design
        self.paid: list[np.ndarray] = []
        self._keeps_obs = "obs" in design.needs
        self._reader = InfoReader(design, venv, columns)
        self.names = self._reader.names
        self.ticks = StepColumns()
        self.restarted = False
        self.begun: dict[int, tuple[np.ndarray, Mapping[str, Any] | None]] = {}
        self._first = np.zeros(self.num_envs, np.int64)  # tick of each open episode
        self._starts = np.full(self.num_envs, None, dtype=object)
        self._finished: list[Spans] = []
        self._actions: Any = None
        self._obs: Any = None
        self._count = 0

    def reset(self) -> Any:
        """Reset all environments; what was recorded and is not yet read is dropped."""
        obs = self.venv.reset()
        self._keep_obs(obs)
        everyone = np.ones(self.num_envs, bool)
        start = self.start_columns(obs, everyone)
        if self._driven is not None:
            self._driven.begin(everyone, start)
        self.paid = []
        self.ticks.drop(self.ticks.count)
        self.begun = {-1: (everyone, start)}
        self._first[:] = 0
        self._starts[:] = [start] * self.num_envs
        self._finished = []
        self.restarted = True
        return obs

    def step_async(self, actions: np.ndarray) -> None:
        """Keep the actions and pass them on."""
        self._actions = actions
        self.venv.step_async(actions)

    def step_wait(self) -> Any:
        """Finish the step, record what the design needs, and return it all unchanged."""
        obs, rewards, dones, infos = self.venv.step_wait()
        self._count += 1
        step = (obs, rewards, dones, infos)
        batch = self._reader.batch(self._obs, self._actions, step, self._count)
        self.ticks.append(batch)
        if self._driven is not None:
            self.paid.append(self._driven.step(batch))
        if self._noticed_by is not None:
            self._noticed_by.notice(batch)
        self._close(batch)
        begun = begun_slots(dones, infos)
        if begun.any():
            start = self.start_columns(obs, begun)
            if self._driven is not None:
                self._driven.begin(begun, start)
            self.begun[self.ticks.count - 1] = (begun, start)
            self._starts[begun] = [start] * int(begun.sum())
        self._keep_obs(obs)
        return obs, rewards, dones, infos

    def close(self) -> None:
        """Close the environments, and what the design holds open."""
        close_design(self.recorded_for)
        super().close()

    def start_columns(self, obs: Any, slots: np.ndarray) -> dict[str, Any] | None:
        """Return the needed info columns at the resets of some environments."""
        return self._reader.extra(obs, reset_infos(self.venv), self._count, slots)

    def finished(self, since: int) -> Spans:
        """Return the episodes that ended at tick `since` or later, slot by slot in their order."""
        nothing = np.zeros(0, np.int64)
        parts = [Spans(nothing, nothing, nothing, nothing.astype(object)), *self._finished]
        spans = Spans(*map(np.concatenate, zip(*parts, strict=True)))
        spans = spans.chosen(spans.ends > since)
        return spans.chosen(np.lexsort((spans.ends, spans.slots)))

    def unfinished(self) -> Spans:
        """Return the episodes that are open now, those without a step left out."""
        slots = np.arange(self.num_envs)
        ends = np.full(self.num_envs, self.ticks.count)
        return Spans(slots, self._first, ends, self._starts).chosen(self._first < ends)

    def gather(self, spans: Spans) -> EpisodeBatch:
        """Return spans whose ticks are all held as one batch, in their order."""
        lengths = spans.ends - spans.firsts
        return self.ticks.episodes(spans.slots, spans.firsts, lengths, spans.starts.tolist())

    def forget(self, *, keep_open: bool) -> None:
        """Drop what was read: all ticks, or those that belong to no open episode."""
        passed = max(int(self._first.min()), 0) if keep_open else self.ticks.count
        self.ticks.drop(passed)
        self._first -= passed
        self._finished = []
        self.paid = []
        self.begun = {}
        self.restarted = False

    def _close(self, batch: StepBatch) -> None:
        """Note the episodes that end with the newest tick; idle slots have none open."""
        ended = batch.terminated | batch.truncated
        slots, count = np.flatnonzero(ended), self.ticks.count
        if len(slots):
            ends = np.full(len(slots), count)
            self._finished.append(Spans(slots, self._first[slots], ends, self._starts[slots]))
        self._first[ended | ~batch.active] = count

    def _keep_obs(self, obs: Any) -> None:
        if self._keeps_obs:
            self._obs = self._reader.obs_rows.batch(obs, copy=True)
