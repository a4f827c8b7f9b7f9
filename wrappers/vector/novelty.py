"""The vector twins of the plugs that pay for what is new to a network.

Arguments are those of the single-environment plugs of the same name.
"""

from __future__ import annotations

from typing import Any

import gymnasium as gym

from rewardloom.rewards.novelty import RNDDesign
from rewardloom.wrappers.vector.design import DesignReward

__all__ = ["RNDReward"]


class RNDReward(DesignReward):
    """`rewardloom.wrappers.RNDReward` for a VectorEnv with its `options`; one network."""

    def __init__(self, env: gym.vector.VectorEnv, *args: Any, name: str = "rnd", **options: Any):
        super().__init__(env, RNDDesign(*args, **options), name=name)
