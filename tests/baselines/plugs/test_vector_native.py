"""`VectorEnvToVecEnv` on a native vector that reuses its arrays, and on wrapped vectors."""

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import VecMonitor

import rewardloom.wrappers.vector
from rewardloom.baselines.plugs import DesignVecReward, VectorEnvToVecEnv
from rewardloom.baselines.plugs.vector_infos import split_infos
from rewardloom.errors import ConfigError
from rewardloom.rewards import WeightDesign
from rewardloom.testing import ComponentWorld

N = 3


class Native(gym.vector.VectorEnv):
    """Counts up in one array that it hands out again and again."""

    def __init__(self):
        self.metadata = {"render_modes": ["rgb_array"], "autoreset_mode": AutoresetMode.SAME_STEP}
        self.num_envs = N
        self.render_mode = "rgb_array"
        self.single_observation_space = spaces.Box(-1, 100, (2,), np.float32)
        self.single_action_space = spaces.Discrete(2)
        self.observation_space = gym.vector.utils.batch_space(self.single_observation_space, N)
        self.action_space = gym.vector.utils.batch_space(self.single_action_space, N)
        self.numbers = np.zeros((N, 2), np.float32)
        self.received = []
        self.closings = 0

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.received.append((seed, options))
        self.numbers[:] = 0
        return self.numbers, {}

    def step(self, actions):
        self.numbers += 1
        never = np.zeros(N, bool)
        return self.numbers, self.numbers[:, 0], never, never, {}

    def render(self):
        return tuple(np.full((4, 4, 3), k, np.uint8) for k in range(N))

    def close(self, **kwargs):
        self.closings += 1

    def squares(self, power):
        return np.arange(N) ** power

    def nothing(self):
        return None


def test_observations_and_rewards_are_copies():
    venv = VectorEnvToVecEnv(Native())
    first = venv.reset()
    second, rewards, _, _ = venv.step(np.zeros(N, int))
    rewards += 10
    third = venv.step(np.zeros(N, int))[0]
    assert (first.max(), second.max(), third.max()) == (0.0, 1.0, 2.0)


def test_seed_and_options_arrive_once():
    venv = VectorEnvToVecEnv(Native())
    assert list(venv.seed(3)) == [3, 4, 5]
    venv.set_options({"goal": 1})
    venv.reset()
    venv.reset()
    assert venv.env.received == [(3, {"goal": 1}), (None, None)]
    venv.set_options([{"goal": 1}, {}, {}])
    with pytest.raises(ConfigError, match="one dict of options"):
        venv.reset()


def test_frames_are_tiled_into_one_picture():
    venv = VectorEnvToVecEnv(Native())
    venv.reset()
    picture = venv.render("rgb_array")
    assert picture.shape == (8, 8, 3)
    assert sorted(np.unique(picture)) == [0, 1, 2]


def test_closing_twice_closes_once():
    venv = VectorEnvToVecEnv(Native())
    venv.close()
    venv.close()
    assert venv.env.closings == 1


def test_a_native_vector_answers_for_all_environments_or_refuses():
    venv = VectorEnvToVecEnv(Native())
    assert venv.env_method("squares", 2) == [0, 1, 4]
    assert venv.has_attr("numbers")
    assert not venv.has_attr("action_masks")
    with pytest.raises(ConfigError, match="one entry for each of its 3"):
        venv.env_method("nothing")
    with pytest.raises(ConfigError, match="environments 1 alone"):
        venv.env_method("squares", 2, indices=1)
    with pytest.raises(ConfigError, match="environments \\[0\\] alone"):
        venv.set_attr("closings", 1, indices=[0])
    with pytest.raises(AttributeError):
        venv.get_attr("no_such_thing")


class Bumped(ComponentWorld):
    bumps = 0

    def bump(self):
        self.bumps += 1
        return self.bumps


def same_step(world, kind=SyncVectorEnv):
    return kind([world] * N, autoreset_mode=AutoresetMode.SAME_STEP)


def test_indices_choose_environments_of_a_sync_vector():
    venv = VectorEnvToVecEnv(same_step(Bumped))
    assert venv.env_method("bump", indices=[1]) == [1]
    assert venv.get_attr("bumps") == [0, 1, 0]
    venv.set_attr("bumps", 7, indices=2)
    assert venv.get_attr("bumps") == [0, 1, 7]


def test_an_async_vector_refuses_to_call_some_of_its_environments():
    venv = VectorEnvToVecEnv(same_step(Bumped, AsyncVectorEnv))
    try:
        with pytest.raises(ConfigError, match="SyncVectorEnv"):
            venv.env_method("bump", indices=[1])
        assert venv.env_method("bump") == [1, 1, 1]
        venv.set_attr("bumps", 5)
        assert venv.get_attr("bumps", indices=[0]) == [5]
    finally:
        venv.close()


def test_wrappers_of_the_environments_are_found():
    venv = VectorEnvToVecEnv(same_step(lambda: Monitor(ComponentWorld())))
    assert venv.env_is_wrapped(Monitor) == [True] * N
    assert VectorEnvToVecEnv(Native()).env_is_wrapped(Monitor) == [False] * N


def test_sb3s_own_wrappers_find_the_bridge_inside():
    venv = VectorEnvToVecEnv(same_step(ComponentWorld))
    assert VecMonitor(venv).unwrapped is venv


def test_what_wrappers_of_the_vector_wrote_reaches_the_terminal_info():
    """Also the entries of `episode`, which Gymnasium writes without masks of their own."""
    vector = gym.wrappers.vector.RecordEpisodeStatistics(same_step(ComponentWorld))
    twin = rewardloom.wrappers.vector.WeightReward(vector, {"a": 1.0})
    venv = VectorEnvToVecEnv(twin)
    venv.seed(0)
    venv.reset()
    totals, ends = np.zeros(N), 0
    for _ in range(40):
        _, rewards, dones, infos = venv.step(np.ones(N, int))
        for slot, info in enumerate(infos):
            values = info["reward_components"]
            assert all(type(value) is float for value in values.values())
            assert info["weight"] == {"reward": pytest.approx(values["a"])}
            assert rewards[slot] == pytest.approx(values["a"], rel=1e-6)
            totals[slot] += info["raw_reward"]
            assert ("episode" in info) == dones[slot]
            if dones[slot]:
                assert info["episode_raw_return"] == pytest.approx(totals[slot], abs=1e-9)
                assert set(info["episode"]) == {"r", "l", "t"}
                totals[slot] = 0.0
                ends += 1
    assert ends > 10


def test_equal_names_are_refused_across_the_bridge():
    twin = rewardloom.wrappers.vector.WeightReward(same_step(ComponentWorld), {"a": 1.0})
    with pytest.raises(ConfigError, match="called 'weight'"):
        DesignVecReward(VectorEnvToVecEnv(twin), WeightDesign({"a": 1.0}), name="weight")


def test_the_wrong_autoreset_mode_names_the_call_that_mends_it():
    vector = gym.make_vec("CartPole-v1", num_envs=2, vectorization_mode="vector_entry_point")
    with pytest.raises(ConfigError) as caught:
        VectorEnvToVecEnv(vector)
    call = str(caught.value).split("Make it with\n")[1].split(",\nor let")[0]
    mended = eval(call, {"gym": gym})
    assert VectorEnvToVecEnv(mended).reset().shape == (2, 4)


def test_masks_are_respected_and_final_info_wins():
    infos = {
        "clock": np.array([5, 0]),
        "_clock": np.array([True, False]),
        "note": np.array(["new", None], dtype=object),
        "_note": np.array([True, False]),
        "shared": "no entry per environment",
        "nested": {"deep": np.array([1.5, 2.5]), "_deep": np.array([False, True])},
        "_nested": np.array([True, True]),
        "final_info": {"clock": np.array([9, 0]), "_clock": np.array([True, False])},
        "_final_info": np.array([True, False]),
        "final_obs": np.array([np.zeros(2), None], dtype=object),
        "_final_obs": np.array([True, False]),
    }
    steps, resets = split_infos(infos, 2)
    assert steps == [{"clock": 9, "note": "new", "nested": {}}, {"nested": {"deep": 2.5}}]
    assert resets == [{"clock": 5, "note": "new", "nested": {}}, {"nested": {"deep": 2.5}}]
