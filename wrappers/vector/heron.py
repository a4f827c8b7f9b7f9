"""`HeronReward` for a `VectorEnv`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import gymnasium as gym

from rewardloom.rewards.heron import Factor, HeronDesign
from rewardloom.wrappers.vector.design import DesignReward

__all__ = ["HeronReward"]


class HeronReward(DesignReward):
    """`rewardloom.wrappers.HeronReward` for a VectorEnv with its `options`; one model."""

    def __init__(
        self,
        env: gym.vector.VectorEnv,
        ranking: Sequence[Factor | Mapping[str, Any] | str],
        *,
        name: str = "heron",
        **options: Any,
    ):
        super().__init__(env, HeronDesign(ranking, **options), name=name)
