"""`E3BReward`: a bonus for embeddings that point where the episode has not been, on one env."""

from __future__ import annotations

from typing import Any

import gymnasium as gym

from rewardloom.rewards.novelty import E3BDesign
from rewardloom.rewards.novelty.settings import Learning, plain_learning
from rewardloom.wrappers.design import DesignReward

__all__ = ["E3BReward"]


class E3BReward(DesignReward[Any, Any]):
    r"""Pays extrinsic_coef * r_t + intrinsic_coef * phi^T C^{-1} phi / scale.

    phi embeds the state reached, learned online, and C is the sum of phi phi^T over the episode
    so far plus ridge * I (Henaff et al. 2022); see `E3BDesign`. The networks are
    this environment's own and outlive episodes: in a vector of environments use the twin, which
    shares them. Changes the reward only; writes `info["e3b"]` (bonus, raw) and
    `info["raw_reward"]`.

    >>> import gymnasium as gym
    >>> from rewardloom.wrappers import E3BReward
    >>> env = E3BReward(gym.make("CartPole-v1"), 0.5, learning={"warmup_steps": 2})
    >>> obs, info = env.reset(seed=0)
    >>> bonuses = [env.step(0)[4]["e3b"]["bonus"] for _ in range(3)]
    >>> [bonus > 0 for bonus in bonuses]  # the first two steps only gather statistics
    [False, False, True]

    | Works with | |
    |---|---|
    | discrete, continuous, Dict spaces, images | yes, flat; not Text |
    | Gymnasium VectorEnv | `rewardloom.wrappers.vector.E3BReward` |
    | PettingZoo ParallelEnv | `rewardloom.wrappers.parallel.E3BReward` |
    | SB3 VecEnv, recurrent policies | `rewardloom.baselines.plugs.DesignVecReward` |
    | SB3 buffers | `rewardloom.baselines.plugs.attach_relabel` |

    Args:
        env: Any environment whose observations and actions are numbers.
        intrinsic_coef: Weight of the bonus, at least 0.
        extrinsic_coef: Weight of the reward below; 0 trains on the bonus alone.
        ridge: Above 0.
        normalize: Whether the bonus is divided by the scale.
        discount: Of the sums that give the scale.
        learning: `NoveltyLearning` or a mapping of its fields.
        name: Key of the entry in `info`.
    """

    def __init__(
        self,
        env: gym.Env[Any, Any],
        intrinsic_coef: float = 1.0,
        *,
        extrinsic_coef: float = 1.0,
        ridge: float = 0.1,
        normalize: bool = True,
        discount: float = 0.99,
        learning: Learning = None,
        name: str = "e3b",
    ):
        arguments: dict[str, Any] = {
            "intrinsic_coef": intrinsic_coef,
            "extrinsic_coef": extrinsic_coef,
            "ridge": ridge,
            "normalize": normalize,
            "discount": discount,
            "learning": plain_learning(learning),
        }
        gym.utils.RecordConstructorArgs.__init__(self, name=name, **arguments)
        super().__init__(env, E3BDesign(**arguments), name=name)
