"""Rewrites the rewards of an on-policy rollout before SB3 computes its advantages.

- `OnPolicyRelabeller`: what it does to one rollout.
- `relabelling_rollout_buffer`: the buffer class that calls it, for any of SB3's six.

SB3 computes returns before any callback could see the rollout, hard-wires RecurrentPPO's buffer
class and pickles `rollout_buffer_kwargs` with the model; so the live buffer's class is replaced.
"""

from __future__ import annotations

import functools
import warnings
from typing import Any

import numpy as np
from stable_baselines3.common.buffers import RolloutBuffer
from stable_baselines3.common.logger import Logger

from rewardloom.baselines.plugs.record import Spans, TickRecorder
from rewardloom.errors import RunError
from rewardloom.rewards.design import RewardDesign, rewrites_truncated

__all__ = ["OnPolicyRelabeller", "relabelling_rollout_buffer"]

_LOW_SHARE = 0.8


class OnPolicyRelabeller:
    """Rewrites the rewards of rollouts with one design.

    By what a payment depends on: the rows of a "row" design are relabelled at once with the newest
    model. A "step" design was driven while the rollout was collected, or with statistics as memory
    is driven now (labels that arrived meanwhile count), its open episodes going on across
    rollouts. An "episode" design rewrites the episodes that lie whole in the rollout; those cut by
    its border, and those an infrastructure failure ended, stay raw (a learned design still learns
    from the cut ones).

    SB3 throws away a rollout that a callback stops. Where `learn` goes on without a reset
    (reset_num_timesteps=False), designs with memory have learned from its steps and episodes all
    the same when the next rollout is paid; a reset drops them.

    Args:
        recorder: The outermost wrapper of the model's environments.
        design: Already bound.

    Attributes:
        whole_episode_share: Share of the last rollout's rows that were rewritten; idle ones
            (`ParallelToVecEnv`) do not count.
        paid: (steps, N) rewards of the last rollout, without SB3's time-limit bootstrap.
    """

    def __init__(self, recorder: TickRecorder, design: RewardDesign):
        self.recorder = recorder
        self.design = design
        self.whole_episode_share = 1.0
        self.paid = np.zeros((0, 0))
        self._warned = False

    def rewrite(self, buffer: RolloutBuffer, logger: Logger | None) -> None:
        """Replace `buffer.rewards`, keeping SB3's time-limit bootstrap where it belongs.

        Raises:
            RunError: the buffer does not hold what the recorder saw.
        """
        recorder, steps = self.recorder, buffer.buffer_size
        if recorder.ticks.count < steps:
            raise RunError(
                f"The rollout has {steps} steps, but the recording wrapper saw "
                f"{recorder.ticks.count}. Keep it the outermost environment of the model and call "
                "attach_relabel again after set_env or load."
            )
        since = recorder.ticks.count - steps
        raw = recorder.ticks.field("reward")[:, since:]
        bootstrap = self._bootstrap(buffer, raw, since)
        if recorder.paid:
            new = np.array(recorder.paid[-steps:]).T
        elif self.design.depends == "step":
            new = self._driven_through(since)
        else:
            new = self._relabelled(raw, since)
            self._warn_if_low()
        self.paid = new.T
        buffer.rewards[:] = self.paid if bootstrap is None else self.paid + bootstrap
        # a driven design keeps its open steps itself
        recorder.forget(keep_open=self.design.memory == "model" and not recorder.paid)
        if logger is not None:
            logger.record("relabel/whole_episode_share", self.whole_episode_share)
            logger.record("relabel/reward_mean", float(new.mean()))

    def _bootstrap(self, buffer: RolloutBuffer, raw: np.ndarray, since: int) -> np.ndarray | None:
        """Return what SB3 added to the raw rewards: gamma V(final obs) at time limits."""
        ticks = self.recorder.ticks
        limits = ticks.field("truncated")[:, since:].T
        added = buffer.rewards - raw.T.astype(np.float32)
        if not added.any():
            return None
        if added[~limits].any():
            raise RunError(
                "The stored rewards differ from those the recording wrapper saw, so something "
                "above it changes rewards. It must be the outermost wrapper."
            )
        settles = self.design.settles_truncation
        kept = limits & ticks.field("failed")[:, since:].T if settles else limits
        return np.where(kept, added, 0.0)

    def _driven_through(self, since: int) -> np.ndarray:
        """Drive the design through what it has not seen; return the rewards since a tick."""
        recorder, paid = self.recorder, []
        if recorder.restarted:
            self.design.begin(*recorder.begun[-1])
        for index in range(recorder.ticks.count):
            paid.append(self.design.step(recorder.ticks.tick(index)))
            if index in recorder.begun:
                self.design.begin(*recorder.begun[index])
        return np.array(paid[since:]).T

    def _relabelled(self, raw: np.ndarray, since: int) -> np.ndarray:
        recorder, design = self.recorder, self.design
        learns, rows_alone = design.memory == "model", design.depends == "row"
        # a rollout that a callback stopped lies before this one: episodes in it were not read yet
        spans = recorder.finished(0 if learns else since)
        if not learns:
            if rows_alone:
                spans = spans._replace(firsts=np.maximum(spans.firsts, since))
            spans = spans.chosen(spans.firsts >= since)
        if rows_alone:
            opened = recorder.unfinished()
            opened = opened._replace(firsts=np.maximum(opened.firsts, since))
            spans = Spans(*map(np.concatenate, zip(spans, opened, strict=True)))
        new = raw.copy()
        self.whole_episode_share = 0.0
        if len(spans.slots):
            episodes = recorder.gather(spans)
            counts = rows_alone | ((spans.firsts >= since) & ~episodes.failed)
            if not rewrites_truncated(design):
                counts &= episodes.terminated | ~episodes.truncated
            self._write(new, spans, design.relabel(episodes), counts, since)
        return new

    def _write(
        self, new: np.ndarray, spans: Spans, paid: np.ndarray, counts: np.ndarray, since: int
    ) -> None:
        """Put the rewards of the spans that count into the rollout."""
        slots, ticks = spans.rows()
        rows = np.repeat(counts, spans.ends - spans.firsts) & (ticks >= since)
        new[slots[rows], ticks[rows] - since] = paid[rows]
        played = self.recorder.ticks.field("active")[:, since:]
        self.whole_episode_share = int(rows.sum()) / max(int(played.sum()), 1)

    def _warn_if_low(self) -> None:
        if self.whole_episode_share < _LOW_SHARE and not self._warned:
            self._warned = True
            cure = "Use a larger n_steps, best a multiple of the episode's length."
            if not rewrites_truncated(self.design):
                cure += (
                    " Episodes that a time limit ends stay raw too, unless the design's "
                    "on_truncation= says otherwise."
                )
            warnings.warn(
                f"Only {self.whole_episode_share:.0%} of the rollout's steps lie in whole "
                f"episodes that {type(self.design).__name__} rewrites; the rest stays raw. {cure}",
                stacklevel=2,
            )


class _RelabelsRewards:
    """Mixed into a rollout buffer's class by `relabelling_rollout_buffer`."""

    relabeller: OnPolicyRelabeller
    relabel_model: Any

    def compute_returns_and_advantage(self, last_values: Any, dones: Any) -> None:
        """Rewrite the rewards, then compute returns and advantages as SB3 does."""
        logger = getattr(self.relabel_model, "_logger", None)
        self.relabeller.rewrite(self, logger)  # pyright: ignore[reportArgumentType] (a mixin)
        super().compute_returns_and_advantage(last_values, dones)  # pyright: ignore


@functools.cache
def relabelling_rollout_buffer(cls: type[RolloutBuffer]) -> type[RolloutBuffer]:
    """Return a subclass of a rollout buffer class that relabels; one per class."""
    return type(f"Relabel{cls.__name__}", (_RelabelsRewards, cls), {"__module__": __name__})
