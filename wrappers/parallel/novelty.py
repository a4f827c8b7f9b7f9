"""The PettingZoo twins of the plugs that pay for what is new to a network.

Arguments are those of the single-environment plugs of the same name.
"""

from __future__ import annotations

from typing import Any

from pettingzoo import ParallelEnv

from rewardloom.rewards.novelty import RNDDesign
from rewardloom.wrappers.parallel.design import DesignReward

__all__ = ["RNDReward"]


class RNDReward(DesignReward):
    """`rewardloom.wrappers.RNDReward` for a ParallelEnv with its `options`; one network."""

    def __init__(self, env: ParallelEnv, *args: Any, name: str = "rnd", **options: Any):
        super().__init__(env, RNDDesign(*args, **options), name=name)
