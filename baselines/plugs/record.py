"""`TickRecorder`: records what a VecEnv did, so that rewards can be rewritten when an agent learns.

- `Spans`: stretches of recorded ticks that belong to one episode each.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from stable_baselines3.common.vec_env import VecEnv, VecEnvWrapper

from rewardloom.baselines.plugs.infos import Columns, InfoReader, begun_slots, reset_infos
from rewardloom.rewards.design import EpisodeBatch, RewardDesign
from rewardloom.rewards.step_columns import StepColumns

__all__ = ["Spans", "TickRecorder"]


class Spans(NamedTuple):
    """Episodes, or parts of them, within recorded ticks; each (E,).

    Attributes:
        slots: The environments.
        firsts: The tick each episode began with; below 0 where that tick is no longer held.
        ends: One past its last tick.
    """

    slots: np.ndarray
    firsts: np.ndarray
    ends: np.ndarray

    def chosen(self, mask: np.ndarray) -> Spans:
        """Return some of them."""
        return Spans(*(values[mask] for values in self))

    def rows(self) -> tuple[np.ndarray, np.ndarray]:
        """Return slot and tick of every row, span after span."""
        lengths = self.ends - self.firsts
        offsets = np.cumsum(lengths) - lengths
        ticks = np.arange(int(lengths.sum())) + np.repeat(self.firsts - offsets, lengths)
        return np.repeat(self.slots, lengths), ticks


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
        firsts: (N,) the tick with which the episode began that was open at the last `forget` or
            reset; below 0 where that tick is no longer held.
        begun: tick -> the environments whose episode began after it, and the columns at the reset.
        restarted: True from a reset of all environments until `forget`.
        names: The components the design reads.
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
        self._driven = design if drive else None
        self.paid: list[np.ndarray] = []
        self._keeps_obs = "obs" in design.needs
        self._reader = InfoReader(design, venv, columns)
        self.names = self._reader.names
        self.ticks = StepColumns()
        self.firsts = np.zeros(self.num_envs, np.int64)
        self.restarted = False
        self.begun: dict[int, tuple[np.ndarray, Mapping[str, Any] | None]] = {}
        self._open_starts: list[Mapping[str, Any] | None] = [None] * self.num_envs
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
        self.firsts[:] = 0
        self.begun = {}
        self._open_starts = [start] * self.num_envs
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
        begun = begun_slots(dones, infos)
        if begun.any():
            start = self.start_columns(obs, begun)
            if self._driven is not None:
                self._driven.begin(begun, start)
            self.begun[self.ticks.count - 1] = (begun, start)
        self._keep_obs(obs)
        return obs, rewards, dones, infos

    def start_columns(self, obs: Any, slots: np.ndarray) -> dict[str, Any] | None:
        """Return the needed info columns at the resets of some environments."""
        return self._reader.extra(obs, reset_infos(self.venv), self._count, slots)

    def finished(self, since: int) -> Spans:
        """Return the episodes that ended at tick `since` or later, slot by slot in their order."""
        ended = self._ended()
        slots, last = np.nonzero(ended)
        firsts = np.empty_like(last)
        firsts[1:] = last[:-1] + 1
        new_slot = np.ones(len(slots), bool)
        new_slot[1:] = slots[1:] != slots[:-1]
        firsts[new_slot] = self.firsts[slots[new_slot]]
        spans = Spans(slots, self._skip_idle(slots, firsts), last + 1)
        return spans if since == 0 else spans.chosen(last >= since)

    def unfinished(self) -> Spans:
        """Return the episodes that are open now, those without a step left out."""
        ended, count = self._ended(), self.ticks.count
        slots = np.arange(self.num_envs)
        firsts = np.where(ended.any(1), count - np.argmax(ended[:, ::-1], axis=1), self.firsts)
        spans = Spans(slots, self._skip_idle(slots, firsts), np.full(self.num_envs, count))
        return spans.chosen(spans.firsts < count)

    def start_of(self, slot: int, first: int) -> Mapping[str, Any] | None:
        """Return the columns at the reset of the episode that began with a tick."""
        found = self.begun.get(first - 1)
        return self._open_starts[slot] if found is None else found[1]

    def gather(self, spans: Spans) -> EpisodeBatch:
        """Return spans whose ticks are all held as one batch, in their order."""
        starts = (
            [
                self.start_of(slot, first)
                for slot, first in zip(spans.slots.tolist(), spans.firsts.tolist(), strict=True)
            ]
            if self._open_starts[0] is not None
            else [None] * len(spans.slots)
        )
        return self.ticks.episodes(spans.slots, spans.firsts, spans.ends - spans.firsts, starts)

    def forget(self, *, keep_open: bool) -> None:
        """Drop what was read: all ticks, or those that belong to no open episode."""
        firsts = np.full(self.num_envs, self.ticks.count)
        spans = self.unfinished()
        firsts[spans.slots] = spans.firsts
        self._open_starts = [self.start_of(slot, int(f)) for slot, f in enumerate(firsts)]
        passed = max(int(firsts.min()), 0) if keep_open else self.ticks.count
        self.ticks.drop(passed)
        self.firsts = firsts - passed
        self.paid = []
        self.begun = {tick - passed: s for tick, s in self.begun.items() if tick >= passed}
        self.restarted = False

    def _ended(self) -> np.ndarray:
        if not self.ticks.count:
            return np.zeros((self.num_envs, 0), bool)
        return self.ticks.field("terminated") | self.ticks.field("truncated")

    def _skip_idle(self, slots: np.ndarray, firsts: np.ndarray) -> np.ndarray:
        """Move the beginning of episodes past the ticks at which their slot was inactive."""
        if not self.ticks.count:
            return firsts
        active = self.ticks.field("active")
        if active.all():
            return firsts
        count = self.ticks.count
        following = np.where(active, np.arange(count), count)
        following = np.minimum.accumulate(following[:, ::-1], axis=1)[:, ::-1]
        following = np.hstack([following, np.full((self.num_envs, 1), count)])
        return np.where(firsts < 0, firsts, following[slots, np.maximum(firsts, 0)])

    def _keep_obs(self, obs: Any) -> None:
        if self._keeps_obs:
            self._obs = self._reader.obs_rows.batch(obs, copy=True)
