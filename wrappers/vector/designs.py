"""The vector twins of the single-environment plugs.

Arguments are those of the single-environment plugs of the same name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import gymnasium as gym

from rewardloom.rewards.count import CountDesign
from rewardloom.rewards.defer import DeferDesign
from rewardloom.rewards.intrinsic import Annotator, GoalLike, IntrinsicDesign, Rules
from rewardloom.rewards.scale import ScaleDesign
from rewardloom.rewards.weight import WeightDesign
from rewardloom.wrappers.vector.design import DesignReward

__all__ = ["CountReward", "DeferReward", "IntrinsicReward", "ScaleReward", "WeightReward"]


class WeightReward(DesignReward):
    """`rewardloom.wrappers.WeightReward` for a VectorEnv."""

    def __init__(
        self, env: gym.vector.VectorEnv, weights: Mapping[str, float], *, name: str = "weight"
    ):
        super().__init__(env, WeightDesign(weights), name=name)


class ScaleReward(DesignReward):
    """`rewardloom.wrappers.ScaleReward` for a VectorEnv."""

    def __init__(
        self,
        env: gym.vector.VectorEnv,
        factor: float,
        *,
        on_truncation: str = "raw",
        name: str = "scale",
    ):
        super().__init__(env, ScaleDesign(factor, on_truncation=on_truncation), name=name)


class DeferReward(DesignReward):
    """`rewardloom.wrappers.DeferReward` for a VectorEnv."""

    def __init__(
        self, env: gym.vector.VectorEnv, *, on_truncation: str = "raw", name: str = "defer"
    ):
        super().__init__(env, DeferDesign(on_truncation=on_truncation), name=name)


class CountReward(DesignReward):
    """`rewardloom.wrappers.CountReward` for a VectorEnv; the counts are shared by all slots."""

    def __init__(
        self,
        env: gym.vector.VectorEnv,
        coef: float = 0.1,
        *,
        extrinsic_coef: float = 1.0,
        exponent: float = 0.5,
        resolution: float | None = None,
        obs_keys: Sequence[str] | None = None,
        name: str = "count",
    ):
        design = CountDesign(
            coef,
            extrinsic_coef=extrinsic_coef,
            exponent=exponent,
            resolution=resolution,
            obs_keys=obs_keys,
        )
        super().__init__(env, design, name=name)


class IntrinsicReward(DesignReward):
    """`rewardloom.wrappers.IntrinsicReward` for a VectorEnv.

    The reward model and the counts for life are shared by all slots.
    """

    def __init__(
        self,
        env: gym.vector.VectorEnv,
        goal: GoalLike = "score",
        *,
        model: str = "retrieval",
        annotator: Annotator | str | Mapping[str, Any] | None = None,
        rules: Rules | None = None,
        extrinsic_coef: float = 1.0,
        intrinsic_coef: float = 0.4,
        count_exponent: float = 3.0,
        lifetime_exponent: float = 0.0,
        count_key: str | Callable[[str], str] = "raw",
        learning: Mapping[str, Any] | None = None,
        asynchronous: bool = False,
        max_pending: int = 10_000,
        batch_size: int = 100,
        max_tries: int = 3,
        caption_fn: Callable[[Any, dict[str, Any]], str] | None = None,
        name: str = "intrinsic",
    ):
        design = IntrinsicDesign(
            goal,
            model=model,
            annotator=annotator,
            rules=rules,
            extrinsic_coef=extrinsic_coef,
            intrinsic_coef=intrinsic_coef,
            count_exponent=count_exponent,
            lifetime_exponent=lifetime_exponent,
            count_key=count_key,
            learning=learning,
            asynchronous=asynchronous,
            max_pending=max_pending,
            batch_size=batch_size,
            max_tries=max_tries,
        )
        columns = {"caption": caption_fn} if caption_fn else None
        super().__init__(env, design, name=name, columns=columns)
