"""`ScaleReward`: the world's reward times a constant, on one environment."""

from __future__ import annotations

from typing import Any

import gymnasium as gym

from rewardloom.rewards.scale import ScaleDesign
from rewardloom.wrappers.design import DesignReward

__all__ = ["ScaleReward"]


class ScaleReward(DesignReward[Any, Any]):
    r"""Pays r'_t = factor * r_t; see `ScaleDesign`.

    Changes the reward, and with on_truncation="settle" the `terminated` flag of truncated steps.
    Writes `info["scale"] = {"reward": ...}` and `info["raw_reward"]`.

    >>> import gymnasium as gym
    >>> from rewardloom.wrappers import ScaleReward
    >>> env = ScaleReward(gym.make("CartPole-v1"), 0.1)
    >>> obs, info = env.reset(seed=0)
    >>> env.step(0)[1]
    0.1

    Works with the same spaces and APIs as `WeightReward`, and needs no components.

    Args:
        env: Any environment with its TimeLimit inside.
        factor: Finite and not 0.
        on_truncation: "raw" (the learner bootstraps) or "settle" (the limit is an ending).
        name: Key of the entry in `info`.
    """

    def __init__(
        self,
        env: gym.Env[Any, Any],
        factor: float,
        *,
        on_truncation: str = "raw",
        name: str = "scale",
    ):
        gym.utils.RecordConstructorArgs.__init__(
            self, factor=factor, on_truncation=on_truncation, name=name
        )
        super().__init__(env, ScaleDesign(factor, on_truncation=on_truncation), name=name)
