"""`DeferReward`: the episode's return, paid at its end, on one environment."""

from __future__ import annotations

from typing import Any

import gymnasium as gym

from rewardloom.rewards.defer import DeferDesign
from rewardloom.wrappers.design import DesignReward

__all__ = ["DeferReward"]


class DeferReward(DesignReward[Any, Any]):
    r"""Pays 0 until the last step and there the episode's return; see `DeferDesign`.

    Preserves the sum of rewards; the discounted return changes when gamma < 1. Changes the reward,
    and with on_truncation="settle" the `terminated` flag of truncated steps. Writes
    `info["defer"] = {"held": ...}` and `info["raw_reward"]`.

    >>> import gymnasium as gym
    >>> from rewardloom.wrappers import DeferReward
    >>> env = DeferReward(gym.make("CartPole-v1", max_episode_steps=3))
    >>> obs, info = env.reset(seed=0)
    >>> [env.step(0)[1] for _ in range(3)]
    [0.0, 0.0, 3.0]

    Works with the same spaces and APIs as `WeightReward`, and needs no components.

    Args:
        env: Any environment with its TimeLimit inside.
        on_truncation: "raw" (the learner bootstraps) or "settle" (the limit is an ending).
        name: Key of the entry in `info`.
    """

    def __init__(self, env: gym.Env[Any, Any], *, on_truncation: str = "raw", name: str = "defer"):
        gym.utils.RecordConstructorArgs.__init__(self, on_truncation=on_truncation, name=name)
        super().__init__(env, DeferDesign(on_truncation=on_truncation), name=name)
