"""`RedistributeReward`: an episode's return, spread over its steps, on one environment."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gymnasium as gym

from rewardloom.rewards.redistribute import Learning, RedistributeDesign
from rewardloom.wrappers.design import DesignReward

__all__ = ["RedistributeReward"]


class RedistributeReward(DesignReward[Any, Any]):
    r"""Pays r'_t = (1 - beta) r_t + beta u_t, where the u_t of an episode spread its return R.

    See `RedistributeDesign`. Preserves the sum of an episode's rewards, except in the modes that
    say otherwise. Changes the reward, and with on_truncation="settle" the `terminated` flag of
    truncated steps. Writes `info["redistribute"] = {"change": ..., "settlement": ...}` and
    `info["raw_reward"]`.

    Modes that pay at once work as a wrapper. Those with emit="relabel" pass the raw reward here and
    pay in a training buffer: give the design to `rewardloom.baselines.plugs.attach_relabel`.

    >>> import gymnasium as gym
    >>> from rewardloom.wrappers import DeferReward, RedistributeReward, RewardComponents
    >>> env = gym.make("CartPole-v1", max_episode_steps=3)
    >>> env = RewardComponents(env, alive="reward")
    >>> env = DeferReward(env, on_truncation="settle")
    >>> env = RedistributeReward(env, "difference", score="alive")
    >>> obs, info = env.reset(seed=0)
    >>> [env.step(0)[1] for _ in range(3)]
    [1.0, 0.0, 2.0]

    | Works with | |
    |---|---|
    | discrete, continuous, Dict, image observations | yes |
    | Gymnasium VectorEnv | `rewardloom.wrappers.vector.RedistributeReward` |
    | PettingZoo ParallelEnv | `rewardloom.wrappers.parallel.RedistributeReward` |
    | SB3 VecEnv, recurrent policies | `rewardloom.baselines.plugs.DesignVecReward` |
    | SB3 buffers | `rewardloom.baselines.plugs.attach_relabel`, any `emit` |

    Args:
        env: Any environment with its TimeLimit inside.
        mode: How the return is spread; see `RedistributeDesign`.
        emit: "causal" or "relabel"; None takes the mode's first.
        beta: Share that is redistributed.
        anneal_steps: Steps over which beta falls to 0; 0 keeps it.
        preserve: "sum" or "none"; None takes the mode's own.
        on_truncation: "raw", "settle" or "bootstrap".
        score: "info:<key>" or a component's name, in modes that read one.
        temperature: Of softmax.
        sign: Of softmax: "credit" or "blame".
        gamma: Of potential.
        normalize: Of ircr: "mean" or "sum".
        learning: `Learning` or a mapping of its fields, in learned modes.
        name: Key of the entry in `info`.
    """

    def __init__(
        self,
        env: gym.Env[Any, Any],
        mode: str,
        *,
        emit: str | None = None,
        beta: float = 1.0,
        anneal_steps: int = 0,
        preserve: str | None = None,
        on_truncation: str = "raw",
        score: str | None = None,
        temperature: float | None = None,
        sign: str | None = None,
        gamma: float | None = None,
        normalize: str | None = None,
        learning: Learning | Mapping[str, Any] | None = None,
        name: str = "redistribute",
    ):
        arguments: dict[str, Any] = {
            "emit": emit,
            "beta": beta,
            "anneal_steps": anneal_steps,
            "preserve": preserve,
            "on_truncation": on_truncation,
            "score": score,
            "temperature": temperature,
            "sign": sign,
            "gamma": gamma,
            "normalize": normalize,
            "learning": learning.to_config() if isinstance(learning, Learning) else learning,
        }
        gym.utils.RecordConstructorArgs.__init__(self, mode=mode, name=name, **arguments)
        super().__init__(env, RedistributeDesign(mode, **arguments), name=name)
