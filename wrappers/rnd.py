"""`RNDReward`: a bonus for states whose random features are hard to predict, on one environment."""

from __future__ import annotations

from typing import Any

import gymnasium as gym

from rewardloom.rewards.novelty import RNDDesign
from rewardloom.rewards.novelty.settings import Learning, plain_learning
from rewardloom.wrappers.design import DesignReward

__all__ = ["RNDReward"]


class RNDReward(DesignReward[Any, Any]):
    r"""Pays extrinsic_coef * r_t + intrinsic_coef * |f^(s_{t+1}) - f(s_{t+1})|^2 / scale.

    f is a fixed random network, f^ learns online to predict it (Burda et al. 2018); see
    `RNDDesign`. The networks are
    this environment's own and outlive episodes: in a vector of environments use the twin, which
    shares them. Changes the reward only; writes `info["rnd"]` (bonus, raw) and
    `info["raw_reward"]`.

    >>> import gymnasium as gym
    >>> from rewardloom.wrappers import RNDReward
    >>> env = RNDReward(gym.make("CartPole-v1"), 0.5, learning={"warmup_steps": 2})
    >>> obs, info = env.reset(seed=0)
    >>> bonuses = [env.step(0)[4]["rnd"]["bonus"] for _ in range(3)]
    >>> [bonus > 0 for bonus in bonuses]  # the first two steps only gather statistics
    [False, False, True]

    | Works with | |
    |---|---|
    | discrete, continuous, Dict spaces, images | yes, flat; not Text |
    | Gymnasium VectorEnv | `rewardloom.wrappers.vector.RNDReward` |
    | PettingZoo ParallelEnv | `rewardloom.wrappers.parallel.RNDReward` |
    | SB3 VecEnv, recurrent policies | `rewardloom.baselines.plugs.DesignVecReward` |
    | SB3 buffers | `rewardloom.baselines.plugs.attach_relabel` |

    Args:
        env: Any environment whose observations are numbers.
        intrinsic_coef: Weight of the bonus, at least 0.
        extrinsic_coef: Weight of the reward below; 0 trains on the bonus alone.
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
        discount: float = 0.99,
        learning: Learning = None,
        name: str = "rnd",
    ):
        arguments: dict[str, Any] = {
            "intrinsic_coef": intrinsic_coef,
            "extrinsic_coef": extrinsic_coef,
            "discount": discount,
            "learning": plain_learning(learning),
        }
        gym.utils.RecordConstructorArgs.__init__(self, name=name, **arguments)
        super().__init__(env, RNDDesign(**arguments), name=name)
