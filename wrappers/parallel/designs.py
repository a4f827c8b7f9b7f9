"""The PettingZoo twins of `WeightReward`, `DeferReward` and `CountReward`.

Arguments are those of the single-environment plugs of the same name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pettingzoo import ParallelEnv

from rewardloom.rewards.count import CountDesign
from rewardloom.rewards.defer import DeferDesign
from rewardloom.rewards.weight import WeightDesign
from rewardloom.wrappers.parallel.design import DesignReward

__all__ = ["CountReward", "DeferReward", "WeightReward"]


class WeightReward(DesignReward):
    """`rewardloom.wrappers.WeightReward` for a ParallelEnv."""

    def __init__(self, env: ParallelEnv, weights: Mapping[str, float], *, name: str = "weight"):
        super().__init__(env, WeightDesign(weights), name=name)


class DeferReward(DesignReward):
    """`rewardloom.wrappers.DeferReward` for a ParallelEnv; each agent has its own episode."""

    def __init__(self, env: ParallelEnv, *, on_truncation: str = "raw", name: str = "defer"):
        super().__init__(env, DeferDesign(on_truncation=on_truncation), name=name)


class CountReward(DesignReward):
    """`rewardloom.wrappers.CountReward` for a ParallelEnv; the counts are shared by all agents."""

    def __init__(
        self,
        env: ParallelEnv,
        coef: float = 0.1,
        *,
        exponent: float = 0.5,
        resolution: float | None = None,
        obs_keys: Sequence[str] | None = None,
        name: str = "count",
    ):
        design = CountDesign(coef, exponent=exponent, resolution=resolution, obs_keys=obs_keys)
        super().__init__(env, design, name=name)
