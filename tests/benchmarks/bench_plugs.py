"""What a reward design's plug adds to a step of an environment that does nothing."""

import gymnasium as gym
import numpy as np
from blocks import block_times
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from rewardloom.testing import NullEnv, NullVectorEnv
from rewardloom.wrappers import CountReward, DeferReward, RewardComponents, WeightReward, vector

WEIGHTS = {"a": 1.0, "b": 0.5, "outcome": 3.0}
SINGLE = {
    "WeightReward": lambda: WeightReward(NullEnv(), WEIGHTS),
    "DeferReward": lambda: DeferReward(NullEnv()),
    "CountReward": lambda: CountReward(NullEnv(), resolution=0.1),
}
TWINS = {
    "WeightReward": lambda env: vector.WeightReward(env, WEIGHTS),
    "DeferReward": vector.DeferReward,
    "CountReward": vector.CountReward,
}


def stepper(env, action):
    env.reset(seed=0)
    return lambda: env.step(action)


def single():
    actions = {"null": stepper(NullEnv(), 0)}
    actions |= {name: stepper(make(), 0) for name, make in SINGLE.items()}
    actions["RewardComponents"] = stepper(RewardComponents(NullEnv(), x="reward"), 0)
    plain = gym.wrappers.TransformReward(NullEnv(), lambda reward: reward)
    actions["gymnasium TransformReward"] = stepper(plain, 0)
    times = block_times(actions, 4000)
    for name, seconds in times.items():
        if name != "null":
            yield {
                "name": f"{name}, one env",
                "value": 1e6 * (seconds - times["null"]),
                "unit": "us/step",
                "bound": 8.0 if name in SINGLE else None,
            }


def twins(num_envs=256):
    idle = np.zeros(num_envs, int)
    actions = {"null": stepper(NullVectorEnv(num_envs), idle)}
    for name, make in TWINS.items():
        actions[name] = stepper(make(NullVectorEnv(num_envs)), idle)
    plain = gym.wrappers.vector.TransformReward(NullVectorEnv(num_envs), lambda r: r)
    actions["gymnasium TransformReward"] = stepper(plain, idle)
    times = block_times(actions, 400)
    for name, seconds in times.items():
        if name != "null":
            yield {
                "name": f"{name}, native vector of {num_envs}",
                "value": 1e6 * (seconds - times["null"]),
                "unit": "us/step",
                "bound": 30.0 if name in TWINS else None,
            }


def sync_vectors(num_envs=256):
    idle = np.zeros(num_envs, int)

    def envs():
        return SyncVectorEnv([NullEnv] * num_envs, autoreset_mode=AutoresetMode.SAME_STEP)

    actions = {"null": stepper(envs(), idle)}
    actions |= {name: stepper(make(envs()), idle) for name, make in TWINS.items()}
    times = block_times(actions, 40)
    for name in TWINS:
        yield {
            "name": f"{name}, SyncVectorEnv of {num_envs}",
            "value": 100 * (times[name] / times["null"] - 1),
            "unit": "%",
            "bound": 5.0,
        }


def run():
    """Return the rows of the table."""
    return [*single(), *twins(), *sync_vectors()]
