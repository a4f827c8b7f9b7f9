"""`IntrinsicReward`: pay for what the step's caption says, on one environment."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gymnasium as gym

from rewardloom.rewards.intrinsic import Annotator, IntrinsicDesign, Rules
from rewardloom.wrappers.design import DesignReward

__all__ = ["IntrinsicReward"]


class IntrinsicReward(DesignReward[Any, Any]):
    r"""Pays extrinsic_coef * r_t + intrinsic_coef * y(c_t) / N(c_t)^count_exponent.

    c_t is the step's caption, y its label and N how often it was shown in this episode; see
    `IntrinsicDesign`. The table of labels is this environment's own and outlives episodes: in a
    vector of environments use the twin, which shares it. Changes the reward only; writes
    `info["intrinsic"]` (reward, label, count, label_known) and `info["raw_reward"]`.

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
        goal: What the lexicon finds helpful: "score", "combat", "gold", "stairs" or "explore", or
            a goal of your `rules`.
        annotator: Who labels captions; None takes the lexicon.
        rules: Rules of your own for the lexicon: a list or the path of a JSON file.
        extrinsic_coef: Weight of the reward below; 0 trains on captions only.
        intrinsic_coef: Weight of the label.
        count_exponent: 3 pays 1, 1/8, 1/27 for repetitions within an episode.
        caption_fn: (obs, info) -> caption. With it, or an annotator, the spec has no JSON form.
        name: Key of the entry in `info`.
    """

    def __init__(
        self,
        env: gym.Env[Any, Any],
        goal: str = "score",
        *,
        annotator: Annotator | None = None,
        rules: Rules | None = None,
        extrinsic_coef: float = 1.0,
        intrinsic_coef: float = 0.4,
        count_exponent: float = 3.0,
        caption_fn: Callable[[Any, dict[str, Any]], str] | None = None,
        name: str = "intrinsic",
    ):
        arguments = {
            "goal": goal,
            "annotator": annotator,
            "rules": rules,
            "extrinsic_coef": extrinsic_coef,
            "intrinsic_coef": intrinsic_coef,
            "count_exponent": count_exponent,
        }
        gym.utils.RecordConstructorArgs.__init__(
            self, caption_fn=caption_fn, name=name, **arguments
        )
        columns = {"caption": caption_fn} if caption_fn else None
        super().__init__(env, IntrinsicDesign(**arguments), name=name, columns=columns)
