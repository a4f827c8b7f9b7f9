"""`HeronReward` for a `ParallelEnv`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pettingzoo import ParallelEnv

from rewardloom.rewards.heron import Factor, HeronDesign
from rewardloom.wrappers.parallel.design import DesignReward

__all__ = ["HeronReward"]


class HeronReward(DesignReward):
    """`rewardloom.wrappers.HeronReward` for a ParallelEnv with its `options`; one model."""

    def __init__(
        self,
        env: ParallelEnv,
        ranking: Sequence[Factor | Mapping[str, Any] | str],
        *,
        name: str = "heron",
        **options: Any,
    ):
        super().__init__(env, HeronDesign(ranking, **options), name=name)
