"""`RawReturnCallback`: logs what the task paid beside what the agent was paid."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from numbers import Real
from typing import Any

import numpy as np
from stable_baselines3.common.callbacks import BaseCallback

from rewardloom.baselines.plugs.record import TickRecorder
from rewardloom.baselines.plugs.relabel_off_policy import (
    RelabelDictReplayBuffer,
    RelabelNStepReplayBuffer,
    RelabelReplayBuffer,
)
from rewardloom.components import inner_layer
from rewardloom.rewards.design import Reduction, SpeakingDesign
from rewardloom.wrappers.plug import design_reductions

__all__ = ["RawReturnCallback"]

_RELABELLED = (RelabelReplayBuffer, RelabelDictReplayBuffer, RelabelNStepReplayBuffer)


class RawReturnCallback(BaseCallback):
    """Logs the raw return of finished episodes, and what each design did in them.

    Beside SB3's `rollout/ep_rew_mean`, which is of the shaped rewards where a Monitor stands above
    the designs, and of the raw ones where it stands below:

    - `rollout/ep_raw_rew_mean`: mean of `info["episode_raw_return"]`; without it (a relabelled
      model without plugs) the sum of the rewards that were collected.
    - `rollout/ep_shaped_rew_mean`: mean sum of the rewards that the agent collected.
    - `design/<name>/<column>`: mean over episodes of the sum of a design's column; with "_mean" or
      "_last" behind it what else the design's `reductions` ask for.
    - `design/<name>/<key>`: the diagnostics of a design around the VecEnv, under `relabel/<key>`
      those of a design on the training buffer: where it trains a model after each refit, else after
      each rollout in which an episode ended. Designs inside the environments keep theirs.
    - `relabel/valid_row_share`: share of a relabelled replay buffer's rows that can be sampled.
      What `attach_relabel` does to rollouts is logged without this callback: under `relabel/`,
      `whole_episode_share` and `reward_mean`.

    Means are over the last episodes, as many as SB3's own.

    Args:
        verbose: As in SB3.
    """

    def __init__(self, verbose: int = 0):
        super().__init__(verbose)
        self._reductions: dict[str, Mapping[str, Reduction]] = {}
        self._speaking: dict[str, SpeakingDesign] = {}
        self._heard: dict[str, int] = {}  # refits when a design was last asked
        self._recent: deque[dict[str, float]] = deque()
        self._open: list[dict[str, float]] = []
        self._lengths: list[int] = []
        self._some_ended = False

    def _on_training_start(self) -> None:
        self._reductions = design_reductions(self.training_env)
        self._speaking = _speaking_designs(self.training_env)
        self._heard = {key: design.refits for key, design in self._speaking.items()}
        self._recent = deque(self._recent, maxlen=self.model._stats_window_size)
        self._open = [{} for _ in range(self.training_env.num_envs)]
        self._lengths = [0] * self.training_env.num_envs

    def _on_step(self) -> bool:
        rewards, dones, infos = (self.locals[key] for key in ("rewards", "dones", "infos"))
        for slot, (reward, info) in enumerate(zip(rewards.tolist(), infos, strict=True)):
            if "inactive" in info:  # the seat of an agent that left a game that goes on
                continue
            sums = self._open[slot]
            self._lengths[slot] += 1
            _add(sums, "rollout/ep_shaped_rew_mean", reward)
            _add(sums, "rollout/ep_raw_rew_mean", info.get("raw_reward", reward))
            self._add_columns(sums, info)
        for slot in np.flatnonzero(dones).tolist():
            self._finish(slot, infos[slot])
        return True

    def _add_columns(self, sums: dict[str, float], info: dict[str, Any]) -> None:
        for name, how in self._reductions.items():
            for column, value in info.get(name, {}).items():
                if not isinstance(value, Real):
                    continue
                key, reduction = f"design/{name}/{column}", how.get(column, "sum")
                if reduction == "last":
                    sums[f"{key}_last"] = float(value)
                else:
                    _add(sums, key if reduction == "sum" else f"{key}_mean", float(value))

    def _finish(self, slot: int, info: dict[str, Any]) -> None:
        sums, self._open[slot] = self._open[slot], {}
        length, self._lengths[slot] = self._lengths[slot], 0
        self._some_ended = True
        for name, how in self._reductions.items():
            for column in (column for column, reduction in how.items() if reduction == "mean"):
                key = f"design/{name}/{column}_mean"
                if key in sums:
                    sums[key] /= length
        if "episode_raw_return" in info:
            sums["rollout/ep_raw_rew_mean"] = float(info["episode_raw_return"])
        self._recent.append(sums)

    def _on_rollout_end(self) -> None:
        for key in dict.fromkeys(key for sums in self._recent for key in sums):
            values = [sums[key] for sums in self._recent if key in sums]
            self.logger.record(key, float(np.mean(values)))
        self._ask_designs()
        buffer = getattr(self.model, "replay_buffer", None)
        if isinstance(buffer, _RELABELLED):
            self.logger.record("relabel/valid_row_share", buffer.valid_share)

    def _ask_designs(self) -> None:
        for key, design in self._speaking.items():
            learned = design.memory == "model"
            if design.refits != self._heard[key] if learned else self._some_ended:
                self._heard[key] = design.refits
                for fact, value in design.diagnostics().items():
                    self.logger.record(f"{key}/{fact}", value)
        self._some_ended = False


def _speaking_designs(env: Any) -> dict[str, SpeakingDesign]:
    """Return prefix of the log's keys -> design, for the designs around a VecEnv that speak."""
    found: dict[str, SpeakingDesign] = {}
    layer = env
    while layer is not None:
        if isinstance(layer, TickRecorder):
            key, design = "relabel", layer.recorded_for
        else:
            key, design = (
                f"design/{getattr(layer, 'design_name', '')}",
                getattr(layer, "design", None),
            )
        if isinstance(design, SpeakingDesign):
            found.setdefault(key, design)
        layer = inner_layer(layer)
    return found


def _add(sums: dict[str, float], key: str, value: float) -> None:
    sums[key] = sums.get(key, 0.0) + value
