"""`IntrinsicReward`: pay for what the step's caption says, on one environment."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import gymnasium as gym

from rewardloom.rewards.intrinsic import Annotator, GoalLike, IntrinsicDesign, Rules
from rewardloom.wrappers.design import DesignReward

__all__ = ["IntrinsicReward"]


class IntrinsicReward(DesignReward[Any, Any]):
    r"""Pays extrinsic_coef * r_t + intrinsic_coef * v(c_t) / (N(c_t)^a M(c_t)^b).

    c_t is the step's caption, v its worth to a reward model taught by an annotator, N how often it
    was shown in this episode and M how often at all; see `IntrinsicDesign`. What is learned is
    this environment's own and outlives episodes: in a vector of environments use the twin, which
    shares it. Changes the reward only; writes `info["intrinsic"]` (reward, value, count, known)
    and `info["raw_reward"]`. `close` stops the annotator's thread.

    >>> import gymnasium as gym
    >>> from rewardloom.wrappers import IntrinsicReward
    >>> env = IntrinsicReward(
    ...     gym.make("FrozenLake-v1", is_slippery=False),
    ...     rules=[{"id": "down", "regex": "below", "weights": {"walk": 1}}],
    ...     goal="walk",
    ...     intrinsic_coef=1.0,
    ...     caption_fn=lambda obs, info: "You are below." if obs >= 4 else "",
    ... )
    >>> obs, info = env.reset(seed=0)
    >>> env.step(1)[1]
    1.0

    Works with the same spaces and APIs as `WeightReward`, and needs no components.

    Args:
        env: An environment that gives `info["caption"]` at reset and every step, or any other with
            a `caption_fn`.
        goal: What is helpful: of the lexicon "score", "combat", "gold", "stairs" or "explore"; a
            goal of your `rules`; for a language model also a `Goal` of your own.
        model: "retrieval", "classification" or "ranking".
        annotator: Who annotates; None takes the lexicon. See `IntrinsicDesign`.
        rules: Rules of your own for the lexicon: a list or the path of a JSON file.
        extrinsic_coef: Weight of the reward below; 0 trains on captions only.
        intrinsic_coef: Weight of a caption's worth.
        count_exponent: a; 3 pays 1, 1/8, 1/27 for repetitions within an episode.
        lifetime_exponent: b; 0 does not count for life.
        count_key: What makes two captions the same: "raw", "template" or a function.
        learning: Settings of the reward model.
        asynchronous: Whether a thread annotates while the agent goes on.
        max_pending: Asynchronous: captions that wait at most.
        batch_size: Asynchronous: captions given to the annotator at once.
        max_tries: Times that a caption is asked in all if the annotator gives no label.
        caption_fn: (obs, info) -> caption. With it, or an annotator object, the spec has no
            JSON form.
        name: Key of the entry in `info`.
    """

    def __init__(
        self,
        env: gym.Env[Any, Any],
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
        arguments = {
            "goal": goal,
            "model": model,
            "annotator": annotator,
            "rules": rules,
            "extrinsic_coef": extrinsic_coef,
            "intrinsic_coef": intrinsic_coef,
            "count_exponent": count_exponent,
            "lifetime_exponent": lifetime_exponent,
            "count_key": count_key,
            "learning": learning,
            "asynchronous": asynchronous,
            "max_pending": max_pending,
            "batch_size": batch_size,
            "max_tries": max_tries,
        }
        gym.utils.RecordConstructorArgs.__init__(
            self, caption_fn=caption_fn, name=name, **arguments
        )
        columns = {"caption": caption_fn} if caption_fn else None
        super().__init__(env, IntrinsicDesign(**arguments), name=name, columns=columns)
