"""`GateReward`: rewards that count only where what matters more went well, on one environment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import gymnasium as gym

from rewardloom.rewards.gate import GateDesign, Level
from rewardloom.wrappers.design import DesignReward

__all__ = ["GateReward"]


class GateReward(DesignReward[Any, Any]):
    r"""Pays r'_t = sum_i g_i r_i(t), g_i = 1 where all levels above level i are open, else 0.

    See `GateDesign`. Preserves what its `emit` says of the gated return; that return itself is a
    new reward. Changes the reward, and with on_truncation="settle" the `terminated` flag of
    truncated steps. Writes `info["gate"]`, zeros before an episode's last step and there its
    summary, and `info["raw_reward"]`.

    >>> import gymnasium as gym
    >>> from rewardloom.rewards import Level
    >>> from rewardloom.wrappers import GateReward, RewardComponents
    >>> env = gym.make("CartPole-v1", max_episode_steps=3)
    >>> env = RewardComponents(env, alive="reward", moved=lambda t: abs(float(t.next_obs[0])))
    >>> levels = [Level("alive", priority=1, threshold=2, aggregation="sum"), Level("moved", cap=0)]
    >>> env = GateReward(env, levels, on_truncation="settle")
    >>> obs, info = env.reset(seed=0)
    >>> [env.step(0)[1] for _ in range(3)]
    [0.0, 0.0, 3.0]

    | Works with | |
    |---|---|
    | discrete, continuous, Dict observations | yes |
    | Gymnasium VectorEnv | `rewardloom.wrappers.vector.GateReward` |
    | PettingZoo ParallelEnv | `rewardloom.wrappers.parallel.GateReward` |
    | SB3 VecEnv, recurrent policies | `rewardloom.baselines.plugs.DesignVecReward` |
    | SB3 buffers | `rewardloom.baselines.plugs.attach_relabel`, any `emit` |

    Args:
        env: An environment that declares reward components, with its TimeLimit inside.
        levels: `Level` objects or mappings of their fields.
        emit: "deferred", "causal" or "relabel".
        gamma: The learner's discount, for emit="causal".
        max_length: The longest episode, for emit="causal" with gamma < 1.
        on_truncation: "raw" or "settle".
        name: Key of the entry in `info`.
    """

    def __init__(
        self,
        env: gym.Env[Any, Any],
        levels: Sequence[Level | Mapping[str, Any]],
        *,
        emit: str = "deferred",
        gamma: float = 1.0,
        max_length: int | None = None,
        on_truncation: str = "raw",
        name: str = "gate",
    ):
        arguments: dict[str, Any] = {
            "emit": emit,
            "gamma": gamma,
            "max_length": max_length,
            "on_truncation": on_truncation,
        }
        design = GateDesign(levels, **arguments)
        recorded = [level.to_config() for level in design.levels]
        gym.utils.RecordConstructorArgs.__init__(self, levels=recorded, name=name, **arguments)
        super().__init__(env, design, name=name)
