"""`CountReward`: a bonus for seldom visited states, on one environment."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium as gym

from rewardloom.rewards.count import CountDesign
from rewardloom.wrappers.design import DesignReward

__all__ = ["CountReward"]


class CountReward(DesignReward[Any, Any]):
    r"""Pays extrinsic_coef * r_t + coef * n(s_{t+1})^{-exponent}; see `CountDesign`.

    The counts are this environment's own and outlive episodes: in a vector of environments use
    the twin, which shares them. Changes the reward only; writes
    `info["count"] = {"bonus": ..., "visits": ...}` and `info["raw_reward"]`.

    >>> import gymnasium as gym
    >>> from rewardloom.wrappers import CountReward
    >>> env = CountReward(gym.make("FrozenLake-v1", is_slippery=False), coef=1.0)
    >>> obs, info = env.reset(seed=0)
    >>> [round(env.step(0)[1], 6) for _ in range(2)]  # it bumps into the wall twice: n = 1, then 2
    [1.0, 0.707107]

    Works with the same spaces and APIs as `WeightReward`, and needs no components.

    Args:
        env: Any environment.
        coef: Weight of the bonus, at least 0.
        extrinsic_coef: Weight of the reward below; 0 trains on the bonus alone.
        exponent: At least 0; 1/2 is MBIE-EB's.
        resolution: Width of the bins that observations fall into; None counts exact values.
        obs_keys: For Dict observations, the entries that make a state; None takes all.
        name: Key of the entry in `info`.
    """

    def __init__(
        self,
        env: gym.Env[Any, Any],
        coef: float = 0.1,
        *,
        extrinsic_coef: float = 1.0,
        exponent: float = 0.5,
        resolution: float | None = None,
        obs_keys: Sequence[str] | None = None,
        name: str = "count",
    ):
        arguments: dict[str, Any] = {
            "coef": coef,
            "extrinsic_coef": extrinsic_coef,
            "exponent": exponent,
            "resolution": resolution,
            "obs_keys": obs_keys,
        }
        gym.utils.RecordConstructorArgs.__init__(self, name=name, **arguments)
        super().__init__(env, CountDesign(**arguments), name=name)
