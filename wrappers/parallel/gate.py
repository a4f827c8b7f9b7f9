"""`GateReward` for a `ParallelEnv`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pettingzoo import ParallelEnv

from rewardloom.rewards.gate import GateDesign, Level
from rewardloom.wrappers.parallel.design import DesignReward

__all__ = ["GateReward"]


class GateReward(DesignReward):
    """`rewardloom.wrappers.GateReward` for a ParallelEnv; each agent has its own episode."""

    def __init__(
        self,
        env: ParallelEnv,
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
