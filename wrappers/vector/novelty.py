"""The vector twins of the plugs that pay for what is new to a network.

Arguments are those of the single-environment plugs of the same name.
"""

from __future__ import annotations

from typing import Any

import gymnasium as gym

from rewardloom.rewards.novelty import E3BDesign, ICMDesign, NGUDesign, RNDDesign
from rewardloom.wrappers.vector.design import DesignReward

__all__ = ["E3BReward", "ICMReward", "NGUReward", "RNDReward"]


class RNDReward(DesignReward):
    """`rewardloom.wrappers.RNDReward` for a VectorEnv with its `options`; one network."""

    def __init__(
        self,
        env: gym.vector.VectorEnv,
        intrinsic_coef: float = 1.0,
        *,
        name: str = "rnd",
        **options: Any,
    ):
        super().__init__(env, RNDDesign(intrinsic_coef, **options), name=name)


class ICMReward(DesignReward):
    """`rewardloom.wrappers.ICMReward` for a VectorEnv with its `options`; one network."""

    def __init__(
        self,
        env: gym.vector.VectorEnv,
        intrinsic_coef: float = 1.0,
        *,
        name: str = "icm",
        **options: Any,
    ):
        super().__init__(env, ICMDesign(intrinsic_coef, **options), name=name)


class NGUReward(DesignReward):
    """`rewardloom.wrappers.NGUReward` for a VectorEnv with its `options`; one network."""

    def __init__(
        self,
        env: gym.vector.VectorEnv,
        intrinsic_coef: float = 1.0,
        *,
        name: str = "ngu",
        **options: Any,
    ):
        super().__init__(env, NGUDesign(intrinsic_coef, **options), name=name)


class E3BReward(DesignReward):
    """`rewardloom.wrappers.E3BReward` for a VectorEnv with its `options`; one network."""

    def __init__(
        self,
        env: gym.vector.VectorEnv,
        intrinsic_coef: float = 1.0,
        *,
        name: str = "e3b",
        **options: Any,
    ):
        super().__init__(env, E3BDesign(intrinsic_coef, **options), name=name)
