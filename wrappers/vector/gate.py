"""`GateReward` for a `VectorEnv`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import gymnasium as gym

from rewardloom.rewards.gate import GateDesign, Level
from rewardloom.wrappers.vector.design import DesignReward

__all__ = ["GateReward"]


class GateReward(DesignReward):
    """`rewardloom.wrappers.GateReward` for a VectorEnv."""

    def __init__(
        self,
        env: gym.vector.VectorEnv,
        levels: Sequence[Level | Mapping[str, Any]],
        *,
        emit: str = "deferred",
        gamma: float = 1.0,
        max_length: int | None = None,
        on_truncation: str = "raw",
        name: str = "gate",
    ):
        design = GateDesign(
            levels, emit=emit, gamma=gamma, max_length=max_length, on_truncation=on_truncation
        )
        super().__init__(env, design, name=name)
