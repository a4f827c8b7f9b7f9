"""`ICMReward`: a bonus for steps whose outcome is hard to predict, on one environment."""

from __future__ import annotations

from typing import Any

import gymnasium as gym

from rewardloom.rewards.novelty import ICMDesign
from rewardloom.rewards.novelty.settings import Learning, plain_learning
from rewardloom.wrappers.design import DesignReward

__all__ = ["ICMReward"]


class ICMReward(DesignReward[Any, Any]):
    r"""Pays extrinsic_coef * r_t + intrinsic_coef * (eta / 2) |phi^_{t+1} - phi_{t+1}|^2 / scale.

    phi_{t+1} embeds the state reached and phi^_{t+1} is predicted from the state before and the
    action, both learned online (Pathak et al. 2017); see `ICMDesign`. The networks are
    this environment's own and outlive episodes: in a vector of environments use the twin, which
    shares them. Changes the reward only; writes `info["icm"]` (bonus, raw) and
    `info["raw_reward"]`.

    >>> import gymnasium as gym
    >>> from rewardloom.wrappers import ICMReward
    >>> env = ICMReward(gym.make("CartPole-v1"), 0.5, learning={"warmup_steps": 2})
    >>> obs, info = env.reset(seed=0)
    >>> bonuses = [env.step(0)[4]["icm"]["bonus"] for _ in range(3)]
    >>> [bonus > 0 for bonus in bonuses]  # the first two steps only gather statistics
    [False, False, True]

    | Works with | |
    |---|---|
    | discrete, continuous, Dict spaces, images | yes, flat; not Text |
    | Gymnasium VectorEnv | `rewardloom.wrappers.vector.ICMReward` |
    | PettingZoo ParallelEnv | `rewardloom.wrappers.parallel.ICMReward` |
    | SB3 VecEnv, recurrent policies | `rewardloom.baselines.plugs.DesignVecReward` |
    | SB3 buffers | `rewardloom.baselines.plugs.attach_relabel` |

    Args:
        env: Any environment whose observations and actions are numbers.
        intrinsic_coef: Weight of the bonus, at least 0.
        extrinsic_coef: Weight of the reward below; 0 trains on the bonus alone.
        eta: Above 0.
        beta: Weight of the forward model's loss, in [0, 1].
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
        eta: float = 1.0,
        beta: float = 0.2,
        normalize: bool = True,
        discount: float = 0.99,
        learning: Learning = None,
        name: str = "icm",
    ):
        arguments: dict[str, Any] = {
            "intrinsic_coef": intrinsic_coef,
            "extrinsic_coef": extrinsic_coef,
            "eta": eta,
            "beta": beta,
            "normalize": normalize,
            "discount": discount,
            "learning": plain_learning(learning),
        }
        gym.utils.RecordConstructorArgs.__init__(self, name=name, **arguments)
        super().__init__(env, ICMDesign(**arguments), name=name)
