"""`RedistributeReward` for a `VectorEnv`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gymnasium as gym

from rewardloom.rewards.redistribute import Learning, RedistributeDesign
from rewardloom.wrappers.vector.design import DesignReward

__all__ = ["RedistributeReward"]


class RedistributeReward(DesignReward):
    """`rewardloom.wrappers.RedistributeReward` for a VectorEnv, with one model."""

    def __init__(
        self,
        env: gym.vector.VectorEnv,
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
        design = RedistributeDesign(
            mode,
            emit=emit,
            beta=beta,
            anneal_steps=anneal_steps,
            preserve=preserve,
            on_truncation=on_truncation,
            score=score,
            temperature=temperature,
            sign=sign,
            gamma=gamma,
            normalize=normalize,
            learning=learning,
        )
        super().__init__(env, design, name=name)
