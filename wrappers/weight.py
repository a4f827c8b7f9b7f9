"""`WeightReward`: a weighted sum of reward components, on one environment."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gymnasium as gym

from rewardloom.rewards.weight import WeightDesign
from rewardloom.wrappers.design import DesignReward

__all__ = ["WeightReward"]


class WeightReward(DesignReward[Any, Any]):
    r"""Pays r_t = sum_k w_k c_k(t) instead of the world's reward; see `WeightDesign`.

    Changes the reward only; writes `info["weight"] = {"reward": ...}` and `info["raw_reward"]`.

    >>> import gymnasium as gym
    >>> from rewardloom.wrappers import RewardComponents, WeightReward
    >>> env = RewardComponents(gym.make("CartPole-v1"), alive="reward")
    >>> env = WeightReward(env, {"alive": 0.5})
    >>> obs, info = env.reset(seed=0)
    >>> env.step(0)[1]
    0.5

    | Works with | |
    |---|---|
    | discrete, continuous, Dict observations | yes |
    | Gymnasium VectorEnv | `rewardloom.wrappers.vector.WeightReward` |
    | PettingZoo ParallelEnv | `rewardloom.wrappers.parallel.WeightReward` |
    | SB3 VecEnv, recurrent policies | `rewardloom.baselines.plugs.DesignVecReward` |

    Args:
        env: An environment that declares reward components.
        weights: component name -> weight; components not named weigh 0.
        name: Key of the entry in `info`.
    """

    def __init__(
        self, env: gym.Env[Any, Any], weights: Mapping[str, float], *, name: str = "weight"
    ):
        gym.utils.RecordConstructorArgs.__init__(self, weights=weights, name=name)
        super().__init__(env, WeightDesign(weights), name=name)
