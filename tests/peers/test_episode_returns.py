"""Our raw episode returns against Gymnasium's and SB3's own accounting."""

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import DummyVecEnv

from rewardloom.testing import ComponentWorld
from rewardloom.wrappers import DeferReward, WeightReward, vector


def test_one_env_agrees_with_record_episode_statistics():
    inside = gym.wrappers.RecordEpisodeStatistics(ComponentWorld())
    env = DeferReward(WeightReward(inside, {"a": 5.0}))
    env.reset(seed=0)
    ends = 0
    for _ in range(200):
        *_, terminated, truncated, info = env.step(1)
        if terminated or truncated:
            assert info["episode_raw_return"] == pytest.approx(info["episode"]["r"], abs=1e-6)
            ends += 1
            env.reset()
    assert ends > 20


def recorded():
    return gym.wrappers.RecordEpisodeStatistics(ComponentWorld())


@pytest.mark.parametrize("mode", [AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP])
def test_a_vector_agrees_with_record_episode_statistics_in_its_environments(mode):
    """Gymnasium's vector form is no oracle: in SAME_STEP mode 1.2 drops each first reward."""
    venv = SyncVectorEnv([recorded] * 3, autoreset_mode=mode)
    venv = vector.WeightReward(vector.DeferReward(venv), {"a": 5.0})
    venv.reset(seed=0)
    ends = 0
    for _ in range(200):
        infos = venv.step(np.ones(3, int))[4]
        table = infos.get("final_info", infos) if mode is AutoresetMode.SAME_STEP else infos
        if "episode" in table:
            over = table["_episode"]
            np.testing.assert_array_equal(infos["_episode_raw_return"], over)
            np.testing.assert_allclose(
                infos["episode_raw_return"][over], table["episode"]["r"][over], atol=1e-6
            )
            ends += over.sum()
    assert ends > 60


def test_sb3s_plug_agrees_with_monitor():
    from rewardloom.baselines.plugs import DesignVecReward
    from rewardloom.rewards import DeferDesign

    venv = DummyVecEnv([lambda: Monitor(ComponentWorld())] * 3)
    venv = DesignVecReward(venv, DeferDesign(), name="defer")
    venv.seed(0)
    venv.reset()
    ends = 0
    for _ in range(200):
        _, rewards, dones, infos = venv.step(np.ones(3, int))
        for i in np.flatnonzero(dones):
            # Monitor rounds to six digits
            assert infos[i]["episode_raw_return"] == pytest.approx(
                infos[i]["episode"]["r"], abs=1e-5
            )
            assert rewards[i] == pytest.approx(infos[i]["episode"]["r"], abs=1e-4)
            ends += 1
    assert ends > 60
