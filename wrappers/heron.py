"""`HeronReward`: a reward learned from a ranking of components, on one environment."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import gymnasium as gym

from rewardloom.rewards.heron import Factor, HeronDesign, PreferenceLearning
from rewardloom.wrappers.design import DesignReward

__all__ = ["HeronReward"]


class HeronReward(DesignReward[Any, Any]):
    r"""Pays a reward learned from preferences that a ranking of components gives.

    See `HeronDesign`. Replaces the reward by one with another optimal policy. Writes
    `info["heron"] = {"learned": ..., "refits": ...}` and `info["raw_reward"]`.

    >>> import gymnasium as gym
    >>> from rewardloom.testing import ComponentWorld
    >>> from rewardloom.wrappers import HeronReward
    >>> ranking = ["a", {"component": "c", "sign": -1}]
    >>> learning = {"first_refit": 20, "gradient_steps": 5}
    >>> env = HeronReward(ComponentWorld(), ranking, margins=0.1, center="mean", learning=learning)
    >>> for episode in range(20):
    ...     obs, info = env.reset(seed=episode)
    ...     over = False
    ...     while not over:
    ...         obs, reward, terminated, truncated, info = env.step(1)
    ...         over = terminated or truncated
    >>> info["heron"]["refits"]
    1.0

    | Works with | |
    |---|---|
    | discrete, continuous, Dict observations | yes; not Text |
    | Gymnasium VectorEnv | `rewardloom.wrappers.vector.HeronReward` |
    | PettingZoo ParallelEnv | `rewardloom.wrappers.parallel.HeronReward` |
    | SB3 VecEnv, recurrent policies | `rewardloom.baselines.plugs.DesignVecReward` |
    | SB3 buffers | `rewardloom.baselines.plugs.attach_relabel` |

    Args:
        env: An environment that declares reward components, with its TimeLimit inside.
        ranking: `Factor` objects, mappings of their fields, or names; most important first.
        model: "network", "linear", "weights" or "lexicographic".
        margins: When a factor decides.
        unit: "step", "segment" or "episode".
        segment_length: Steps of a segment.
        inputs: What the network reads.
        center: Which step is paid 0.
        warmup: "raw" or "zero".
        emit: "online" or "relabel".
        alpha: Of model "weights".
        learning: `PreferenceLearning` or a mapping of its fields.
        name: Key of the entry in `info`.
    """

    def __init__(
        self,
        env: gym.Env[Any, Any],
        ranking: Sequence[Factor | Mapping[str, Any] | str],
        *,
        model: str = "network",
        margins: Any = "std",
        unit: str = "step",
        segment_length: int = 25,
        inputs: Sequence[str] | None = None,
        center: str | None = None,
        warmup: str = "raw",
        emit: str = "online",
        alpha: float | None = None,
        learning: PreferenceLearning | Mapping[str, Any] | None = None,
        name: str = "heron",
    ):
        if isinstance(learning, PreferenceLearning):
            learning = dataclasses.asdict(learning)
        arguments: dict[str, Any] = {
            "model": model,
            "margins": margins,
            "unit": unit,
            "segment_length": segment_length,
            "inputs": inputs,
            "center": center,
            "warmup": warmup,
            "emit": emit,
            "alpha": alpha,
            "learning": learning,
        }
        design = HeronDesign(ranking, **arguments)
        recorded = [dataclasses.asdict(factor) for factor in design.factors]
        gym.utils.RecordConstructorArgs.__init__(self, ranking=recorded, name=name, **arguments)
        super().__init__(env, design, name=name)
