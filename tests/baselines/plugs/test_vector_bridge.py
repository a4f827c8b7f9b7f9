"""`VectorEnvToVecEnv`: Gymnasium vectors trained with SB3."""

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv
from sb3_contrib import MaskablePPO
from stable_baselines3 import PPO
from stable_baselines3.common.vec_env import DummyVecEnv

from rewardloom import reward_component_names
from rewardloom.baselines.plugs import DesignVecReward, VectorEnvToVecEnv, attach_relabel
from rewardloom.errors import ConfigError
from rewardloom.rewards import DeferDesign, WeightDesign
from rewardloom.testing import COMPONENTS, ComponentWorld, NullVectorEnv


def same_step(kind=SyncVectorEnv, world=ComponentWorld, count=3, **kwargs):
    return kind([lambda: world(**kwargs)] * count, autoreset_mode=AutoresetMode.SAME_STEP)


@pytest.mark.parametrize("kind", [SyncVectorEnv, AsyncVectorEnv])
@pytest.mark.parametrize("dict_obs", [False, True])
def test_it_gives_what_sb3s_own_vector_gives(kind, dict_obs):
    ours = VectorEnvToVecEnv(same_step(kind, dict_obs=dict_obs))
    theirs = DummyVecEnv([lambda: ComponentWorld(dict_obs=dict_obs)] * 3)

    def equal(one, other):
        if dict_obs:
            assert one.keys() == other.keys()
            return all(np.array_equal(one[k], other[k]) for k in one)
        return np.array_equal(one, other)

    try:
        for venv in (ours, theirs):
            venv.seed(4)
        assert equal(ours.reset(), theirs.reset())
        assert [i["caption"] for i in ours.reset_infos] == [
            i["caption"] for i in theirs.reset_infos
        ]
        ends = 0
        for _ in range(60):
            actions = np.ones(3, int)
            obs, rewards, dones, infos = ours.step(actions)
            want = theirs.step(actions)
            assert equal(obs, want[0])
            np.testing.assert_array_equal(rewards, want[1])
            np.testing.assert_array_equal(dones, want[2])
            for i, (info, other) in enumerate(zip(infos, want[3], strict=True)):
                assert info["reward_components"] == other["reward_components"]
                assert info["caption"] == other["caption"]
                if dones[i]:
                    ends += 1
                    assert info["TimeLimit.truncated"] == other["TimeLimit.truncated"]
                    assert equal(info["terminal_observation"], other["terminal_observation"])
                    assert ours.reset_infos[i]["caption"] == theirs.reset_infos[i]["caption"]
                    assert info["is_success"] == other["is_success"]
        assert ends > 20
    finally:
        ours.close()


@pytest.mark.parametrize("kind", [SyncVectorEnv, AsyncVectorEnv])
def test_designs_and_training_work_on_top(kind):
    venv = VectorEnvToVecEnv(same_step(kind))
    assert reward_component_names(venv) == COMPONENTS
    try:
        shaped = DesignVecReward(venv, WeightDesign({"a": 1.0}), name="weight")
        model = PPO("MlpPolicy", shaped, n_steps=64, batch_size=48, n_epochs=1, device="cpu")
        attach_relabel(model, DeferDesign())
        model.learn(2 * 192)
    finally:
        venv.close()


def test_a_native_vector_trains():
    vector = gym.make_vec(
        "CartPole-v1",
        num_envs=4,
        vectorization_mode="vector_entry_point",
        vector_kwargs={},
    )
    if vector.metadata["autoreset_mode"] is not AutoresetMode.SAME_STEP:
        with pytest.raises(ConfigError, match="SAME_STEP"):
            VectorEnvToVecEnv(vector)
    venv = VectorEnvToVecEnv(NullVectorEnv(4))
    assert reward_component_names(venv) == COMPONENTS
    model = PPO("MlpPolicy", venv, n_steps=8, batch_size=32, n_epochs=1, device="cpu")
    model.learn(64)


class Masked(ComponentWorld):
    def action_masks(self):
        return np.array([False, True, False])


class NativeMasked(NullVectorEnv):
    def action_masks(self):
        return np.tile([False, True], (self.num_envs, 1))


@pytest.mark.parametrize(
    "make",
    [
        lambda: same_step(world=Masked),
        lambda: same_step(AsyncVectorEnv, world=Masked),
        lambda: NativeMasked(3),
    ],
)
def test_masked_worlds_train_with_maskable_ppo(make):
    venv = VectorEnvToVecEnv(make())
    try:
        model = MaskablePPO("MlpPolicy", venv, n_steps=16, batch_size=48, n_epochs=1, device="cpu")
        model.learn(48)
        assert (model.rollout_buffer.actions == 1).all()
    finally:
        venv.close()


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda: VectorEnvToVecEnv(gym.make("CartPole-v1")), "takes a gymnasium.vector.VectorEnv"),
        (lambda: VectorEnvToVecEnv(SyncVectorEnv([ComponentWorld])), "AutoresetMode.SAME_STEP"),
        (lambda: DesignVecReward(NullVectorEnv(2), DeferDesign(), name="x"), "SB3 VecEnv"),
        (
            lambda: DesignVecReward(
                DummyVecEnv([lambda: gym.make("CartPole-v1")]), WeightDesign({"a": 1}), name="x"
            ),
            "RewardComponents",
        ),
        (
            lambda: DesignVecReward(
                DesignVecReward(DummyVecEnv([ComponentWorld]), DeferDesign(), name="defer"),
                DeferDesign(),
                name="defer",
            ),
            "called 'defer'",
        ),
    ],
)
def test_bad_arguments_are_one_clear_error(build, words):
    with pytest.raises(ConfigError, match=words):
        build()
