"""`RawReturnCallback`: logs what the task paid beside what the agent was paid."""

from __future__ import annotations

from collections import deque
from numbers import Real
from typing import Any

import numpy as np
from stable_baselines3.common.callbacks import BaseCallback

from rewardloom.baselines.plugs.relabel_off_policy import (
    RelabelDictReplayBuffer,
    RelabelNStepReplayBuffer,
    RelabelReplayBuffer,
)
from rewardloom.wrappers.plug import design_names

__all__ = ["RawReturnCallback"]

_RELABELLED = (RelabelReplayBuffer, RelabelDictReplayBuffer, RelabelNStepReplayBuffer)


class RawReturnCallback(BaseCallback):
    """Logs the raw return of finished episodes, and what each design did in them.

    Beside SB3's `rollout/ep_rew_mean`, which is of the shaped rewards where a Monitor stands above
    the designs, and of the raw ones where it stands below:

    - `rollout/ep_raw_rew_mean`: mean of `info["episode_raw_return"]`; without it (a relabelled
      model without plugs) the sum of the rewards that were collected.
    - `rollout/ep_shaped_rew_mean`: mean sum of the rewards that the agent collected.
    - `design/<name>/<column>`: mean over episodes of the sum of a design's column.

    - `relabel/valid_row_share`: share of a relabelled replay buffer's rows that can be sampled.
      What `attach_relabel` does to rollouts is logged without this callback: under `relabel/`,
      `whole_episode_share` and `reward_mean`.

    Means are over the last episodes, as many as SB3's own.

    Args:
        verbose: As in SB3.
    """

    def __init__(self, verbose: int = 0):
        super().__init__(verbose)
        self._names: tuple[str, ...] = ()
        self._recent: deque[dict[str, float]] = deque()
        self._open: list[dict[str, float]] = []

    def _on_training_start(self) -> None:
        self._names = tuple(dict.fromkeys(design_names(self.training_env)))
        self._recent = deque(self._recent, maxlen=self.model._stats_window_size)
        self._open = [{} for _ in range(self.training_env.num_envs)]

    def _on_step(self) -> bool:
        rewards, dones, infos = (self.locals[key] for key in ("rewards", "dones", "infos"))
        for slot, (reward, info) in enumerate(zip(rewards.tolist(), infos, strict=True)):
            sums = self._open[slot]
            _add(sums, "rollout/ep_shaped_rew_mean", reward)
            _add(sums, "rollout/ep_raw_rew_mean", info.get("raw_reward", reward))
            for name in self._names:
                for column, value in info.get(name, {}).items():
                    if isinstance(value, Real):
                        _add(sums, f"design/{name}/{column}", float(value))
            if dones[slot]:
                self._finish(slot, info)
        return True

    def _finish(self, slot: int, info: dict[str, Any]) -> None:
        sums, self._open[slot] = self._open[slot], {}
        if "episode_raw_return" in info:
            sums["rollout/ep_raw_rew_mean"] = float(info["episode_raw_return"])
        self._recent.append(sums)

    def _on_rollout_end(self) -> None:
        for key in dict.fromkeys(key for sums in self._recent for key in sums):
            values = [sums[key] for sums in self._recent if key in sums]
            self.logger.record(key, float(np.mean(values)))
        buffer = getattr(self.model, "replay_buffer", None)
        if isinstance(buffer, _RELABELLED):
            self.logger.record("relabel/valid_row_share", buffer.valid_share)


def _add(sums: dict[str, float], key: str, value: float) -> None:
    sums[key] = sums.get(key, 0.0) + value
