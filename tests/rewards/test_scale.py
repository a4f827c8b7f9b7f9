"""The scale design: numbers by hand, its time limit on a plug, bad factors."""

import gymnasium as gym
import numpy as np
import pytest
from stable_baselines3.common.vec_env import DummyVecEnv

from rewardloom.baselines.plugs import DesignVecReward
from rewardloom.errors import ConfigError
from rewardloom.rewards import ScaleDesign, StepBatch, episode_batch

NONE = np.zeros(2, bool)


def test_rewards_are_multiplied_by_hand():
    design = ScaleDesign(-0.5)
    design.bind((), 2)
    active = np.array([True, False])
    paid = design.step(StepBatch(np.array([3.0, 8.0]), np.zeros((2, 0)), NONE, NONE, active, NONE))
    assert paid.tolist() == [-1.5, 0.0]
    assert design.summary()["reward"].tolist() == [-1.5, 0.0]
    assert design.relabel(episode_batch([[2, 4], [6]])).tolist() == [-1.0, -2.0, -3.0]


@pytest.mark.parametrize(("on_truncation", "bootstraps"), [("raw", True), ("settle", False)])
def test_a_settled_time_limit_is_not_bootstrapped(on_truncation, bootstraps):
    venv = DesignVecReward(
        DummyVecEnv([lambda: gym.make("Pendulum-v1", max_episode_steps=3)]),
        ScaleDesign(0.5, on_truncation=on_truncation),
        name="scale",
    )
    venv.reset()
    steps = [venv.step(np.zeros((1, 1), np.float32)) for _ in range(3)]
    for _, rewards, _, infos in steps:
        assert rewards[0] == pytest.approx(infos[0]["raw_reward"] / 2, rel=1e-6)
    _, _, dones, infos = steps[-1]
    assert dones[0]
    assert infos[0]["TimeLimit.truncated"] is bootstraps


@pytest.mark.parametrize("factor", [0, True, "2", float("nan"), float("inf"), None])
def test_what_is_no_factor_is_refused(factor):
    with pytest.raises(ConfigError, match="factor must be a finite number other than 0"):
        ScaleDesign(factor)


def test_an_unknown_truncation_policy_is_refused():
    with pytest.raises(ConfigError, match="Did you mean 'settle'"):
        ScaleDesign(1.0, on_truncation="setle")
