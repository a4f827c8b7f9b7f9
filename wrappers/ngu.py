"""`NGUReward`: a bonus for states far from those of the episode, and new over training."""

from __future__ import annotations

from typing import Any

import gymnasium as gym

from rewardloom.rewards.novelty import NGUDesign
from rewardloom.rewards.novelty.settings import Learning, plain_learning
from rewardloom.wrappers.design import DesignReward

__all__ = ["NGUReward"]


class NGUReward(DesignReward[Any, Any]):
    r"""Pays extrinsic_coef * r_t + intrinsic_coef * e_t * min(max(alpha_t, 1), L) / scale.

    e_t is large where the state reached is far from those of the episode, alpha_t where a random
    network cannot be predicted yet (Badia et al. 2020); see `NGUDesign`. The networks are
    this environment's own and outlive episodes: in a vector of environments use the twin, which
    shares them. Changes the reward only; writes `info["ngu"]` (bonus, raw, episodic, lifelong) and
    `info["raw_reward"]`.

    >>> import gymnasium as gym
    >>> from rewardloom.wrappers import NGUReward
    >>> env = NGUReward(gym.make("CartPole-v1"), 0.5, learning={"warmup_steps": 2})
    >>> obs, info = env.reset(seed=0)
    >>> bonuses = [env.step(0)[4]["ngu"]["bonus"] for _ in range(3)]
    >>> [bonus > 0 for bonus in bonuses]  # the first two steps only gather statistics
    [False, False, True]

    | Works with | |
    |---|---|
    | discrete, continuous, Dict spaces, images | yes, flat; not Text |
    | Gymnasium VectorEnv | `rewardloom.wrappers.vector.NGUReward` |
    | PettingZoo ParallelEnv | `rewardloom.wrappers.parallel.NGUReward` |
    | SB3 VecEnv, recurrent policies | `rewardloom.baselines.plugs.DesignVecReward` |
    | SB3 buffers | `rewardloom.baselines.plugs.attach_relabel` |

    Args:
        env: Any environment whose observations and actions are numbers.
        intrinsic_coef: Weight of the bonus, at least 0.
        extrinsic_coef: Weight of the reward below; 0 trains on the bonus alone.
        neighbors: Nearest states of the episode that count.
        kernel_epsilon: Above 0.
        cluster_distance: Distances up to this count as none.
        pseudo_count: c, above 0.
        max_similarity: Nothing is paid above it.
        max_lifelong: L, at least 1.
        memory_size: States kept of an episode.
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
        neighbors: int = 10,
        kernel_epsilon: float = 1e-4,
        cluster_distance: float = 0.008,
        pseudo_count: float = 1e-3,
        max_similarity: float = 8.0,
        max_lifelong: float = 5.0,
        memory_size: int = 5000,
        normalize: bool = True,
        discount: float = 0.99,
        learning: Learning = None,
        name: str = "ngu",
    ):
        arguments: dict[str, Any] = {
            "intrinsic_coef": intrinsic_coef,
            "extrinsic_coef": extrinsic_coef,
            "neighbors": neighbors,
            "kernel_epsilon": kernel_epsilon,
            "cluster_distance": cluster_distance,
            "pseudo_count": pseudo_count,
            "max_similarity": max_similarity,
            "max_lifelong": max_lifelong,
            "memory_size": memory_size,
            "normalize": normalize,
            "discount": discount,
            "learning": plain_learning(learning),
        }
        gym.utils.RecordConstructorArgs.__init__(self, name=name, **arguments)
        super().__init__(env, NGUDesign(**arguments), name=name)
