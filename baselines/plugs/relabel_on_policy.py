"""Rewrites the rewards of an on-policy rollout before SB3 computes its advantages.

- `OnPolicyRelabeller`: what it does to one rollout.
- `relabelling_rollout_buffer`: the buffer class that calls it, for any of SB3's six.

SB3 computes returns before any callback could see the rollout, hard-wires RecurrentPPO's buffer
class and pickles `rollout_buffer_kwargs` with the model; so the live buffer's class is replaced.
"""

from __future__ import annotations

import functools
import itertools
import warnings
from typing import Any

import numpy as np
from stable_baselines3.common.buffers import RolloutBuffer
from stable_baselines3.common.logger import Logger

from rewardloom.baselines.plugs.record import Span, Tick, TickRecorder, gather_episodes
from rewardloom.errors import RunError
from rewardloom.rewards.design import RewardDesign
from rewardloom.typing import BoolN

__all__ = ["OnPolicyRelabeller", "relabelling_rollout_buffer"]

_LOW_SHARE = 0.8


class OnPolicyRelabeller:
    """Rewrites the rewards of rollouts with one design.

    A step design is replayed over every row, its open episodes going on across rollouts. An
    episode design rewrites the episodes that lie whole in the rollout; those cut by its border,
    and those an infrastructure failure ended, stay raw.

    Args:
        recorder: The outermost wrapper of the model's environments.
        design: Already bound.

    Attributes:
        whole_episode_share: Share of the last rollout's rows that were rewritten.
    """

    def __init__(self, recorder: TickRecorder, design: RewardDesign):
        self.recorder = recorder
        self.design = design
        self.whole_episode_share = 1.0
        self._warned = False

    def rewrite(self, buffer: RolloutBuffer, logger: Logger | None) -> None:
        """Replace `buffer.rewards`, keeping SB3's time-limit bootstrap where it belongs.

        Raises:
            RunError: the buffer does not hold what the recorder saw.
        """
        ticks = self.recorder.take()
        steps = ticks[-buffer.buffer_size :]
        batches = [tick.batch for tick in steps]
        if len(ticks) <= buffer.buffer_size or any(batch is None for batch in batches):
            raise RunError(
                f"The rollout has {buffer.buffer_size} steps, but the recording wrapper saw "
                f"{len(ticks) - 1}. Keep it the outermost environment of the model and call "
                "attach_relabel again after set_env or load."
            )
        raw = np.array([batch.reward for batch in batches if batch is not None])
        bootstrap = self._bootstrap(buffer, raw, batches)
        if self.design.depends != "episode":
            new = self._replayed(ticks, len(steps))
        else:
            new = self._relabelled(ticks[-len(steps) - 1], steps, raw)
            self._warn_if_low()
        buffer.rewards[:] = new + bootstrap
        if logger is not None:
            logger.record("relabel/whole_episode_share", self.whole_episode_share)
            logger.record("relabel/reward_mean", float(new.mean()))

    def _bootstrap(self, buffer: RolloutBuffer, raw: np.ndarray, batches: list[Any]) -> np.ndarray:
        """Return what SB3 added to the raw rewards: gamma V(final obs) at time limits."""
        limits = np.array([batch.truncated for batch in batches])
        failed = np.array([batch.failed for batch in batches])
        added = buffer.rewards - raw.astype(np.float32)
        if added[~limits].any():
            raise RunError(
                "The stored rewards differ from those the recording wrapper saw, so something "
                "above it changes rewards. It must be the outermost wrapper."
            )
        kept = limits & failed if self.design.settles_truncation else limits
        return np.where(kept, added, 0.0)

    def _replayed(self, ticks: list[Tick], count: int) -> np.ndarray:
        """Drive the design through all ticks; return the rewards of the last `count`."""
        paid = []
        for k, tick in enumerate(ticks):
            # the border was driven with the rollout before, unless it is a reset
            if tick.batch is not None and k > 0:
                paid.append(self.design.step(tick.batch))
            if tick.begun.any() and (k > 0 or tick.batch is None):
                self.design.begin(tick.begun, tick.start)
        return np.array(paid[-count:])

    def _relabelled(self, border: Tick, steps: list[Tick], raw: np.ndarray) -> np.ndarray:
        new = raw.copy()
        spans = _whole_episodes(border, steps)
        self.whole_episode_share = 0.0
        if spans:
            paid = self.design.relabel(gather_episodes(steps, spans))
            at = 0
            for span in spans:
                length = span.last - span.first + 1
                new[span.first : span.last + 1, span.slot] = paid[at : at + length]
                at += length
            self.whole_episode_share = at / raw.size
        return new

    def _warn_if_low(self) -> None:
        if self.whole_episode_share < _LOW_SHARE and not self._warned:
            self._warned = True
            warnings.warn(
                f"Only {self.whole_episode_share:.0%} of the rollout's steps lie in whole "
                f"episodes; {type(self.design).__name__} leaves the rest raw. Use a larger "
                "n_steps, best a multiple of the episode's length.",
                stacklevel=2,
            )


def _whole_episodes(border: Tick, steps: list[Tick]) -> list[Span]:
    """Return the episodes that lie within the rollout and did not fail, in the order they end."""
    spans = []
    begun: list[tuple[BoolN, Any]] = [(border.begun, border.start)]
    begun += [(tick.begun, tick.start) for tick in steps]
    starts_at = np.array([mask for mask, _ in begun])
    for slot in range(starts_at.shape[1]):
        marks = np.flatnonzero(starts_at[:, slot]).tolist()
        for first, after in itertools.pairwise(marks):
            batch = steps[after - 1].batch
            if batch is not None and not batch.failed[slot]:
                spans.append(Span(slot, first, after - 1, begun[first][1]))
    return sorted(spans, key=lambda span: (span.last, span.slot))


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
