"""`attach_relabel` on the stacks users build: what it records, and what it refuses."""

import numpy as np
import pytest
from gymnasium import spaces
from stable_baselines3 import DQN, PPO, TD3
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.vec_env import DummyVecEnv, SubprocVecEnv, VecMonitor, VecNormalize

from rewardloom.baselines.plugs import DesignVecReward, attach_relabel
from rewardloom.errors import ConfigError, RunError
from rewardloom.rewards import CountDesign, DeferDesign, WeightDesign
from rewardloom.testing import ComponentWorld


def ppo(venv, **kwargs):
    size = 20 * venv.num_envs
    return PPO(
        "MlpPolicy", venv, n_steps=20, batch_size=size, n_epochs=1, seed=0, device="cpu", **kwargs
    )


class Rollouts(BaseCallback):
    def __init__(self):
        super().__init__()
        self.seen = []

    def _on_step(self):
        return True

    def _on_rollout_end(self):
        buffer = self.model.rollout_buffer
        self.seen.append((buffer.rewards.copy(), buffer.advantages.copy()))


def test_a_design_with_memory_pays_relabelled_what_it_pays_online():
    """Over four rollouts, episodes cut by their borders included; bootstraps too."""
    runs = []
    for relabelled in (False, True):
        venv, design = DummyVecEnv([ComponentWorld] * 3), CountDesign(1.0, resolution=0.5)
        if not relabelled:
            venv = DesignVecReward(venv, design, name="count")
        model = ppo(venv)
        if relabelled:
            attach_relabel(model, design)
        rollouts = Rollouts()
        model.learn(240, callback=rollouts)
        runs.append(rollouts.seen)
    assert len(runs[0]) == 4
    for online, again in zip(*runs, strict=True):
        np.testing.assert_allclose(again[0], online[0], rtol=1e-6, atol=1e-6)
        np.testing.assert_allclose(again[1], online[1], rtol=1e-5, atol=1e-5)


def test_worlds_in_other_processes_are_relabelled_too():
    venv = SubprocVecEnv([ComponentWorld] * 2)
    try:
        design = CountDesign(1.0, resolution=0.5)
        model = ppo(venv)
        attach_relabel(model, design)
        model.learn(80)
        assert design.state_dict()["counts"].sum() == 80
    finally:
        venv.close()


def test_evaluating_on_the_training_environments_leaves_no_trace():
    design = CountDesign(1.0, resolution=0.5)
    model = ppo(DummyVecEnv([ComponentWorld] * 3))
    attach_relabel(model, design)
    model.learn(60)
    evaluate_policy(model, model.get_env(), n_eval_episodes=6, warn=False)
    model.learn(60)
    assert design.state_dict()["counts"].sum() == 120


class Actions:
    """Pays the first entry of the action that reached the world."""

    needs = frozenset({"obs", "action", "next_obs"})
    depends = "episode"
    memory = "none"
    relabels = False
    settles_truncation = False

    def bind(self, names, num_slots):
        self.episodes = []

    def begin(self, slots, extra=None):
        pass

    def step(self, batch):
        return batch.reward

    def relabel(self, episodes):
        self.episodes.append(episodes)
        return episodes.action[:, 0].astype(float)

    def summary(self):
        return {}

    def state_dict(self):
        return {}

    def load_state_dict(self, state):
        pass


def test_the_design_sees_the_worlds_actions_not_the_scaled_ones_of_the_buffer():
    class Pushed(ComponentWorld):
        def __init__(self):
            super().__init__()
            self.action_space = spaces.Box(-2.0, 2.0, (1,), np.float32)

        def step(self, action):
            return super().step(1)

    design = Actions()
    model = TD3(
        "MlpPolicy",
        DummyVecEnv([Pushed] * 2),
        learning_starts=60,
        batch_size=16,
        buffer_size=300,
        policy_kwargs={"net_arch": [8]},
        seed=0,
        device="cpu",
    )
    attach_relabel(model, design)
    model.learn(160)
    buffer = model.replay_buffer
    stored = buffer.actions[buffer._valid][:, 0]
    assert np.abs(stored).max() > 0.5
    np.testing.assert_allclose(buffer.rewards[buffer._valid], 2 * stored, rtol=1e-5, atol=1e-6)
    for episodes in design.episodes:
        inside = np.ones(len(episodes.reward), bool)
        inside[episodes.offsets[:-1]] = False  # the first observation of an episode
        np.testing.assert_array_equal(
            episodes.obs[inside], episodes.next_obs[np.flatnonzero(inside) - 1]
        )


def test_new_environments_need_a_new_attach():
    model = ppo(DummyVecEnv([ComponentWorld] * 3))
    attach_relabel(model, DeferDesign())
    model.set_env(DummyVecEnv([ComponentWorld] * 3))
    with pytest.raises(RunError, match="attach_relabel again after set_env"):
        model.learn(60)


def test_wrapping_above_an_earlier_attach_is_refused():
    model = ppo(DummyVecEnv([ComponentWorld] * 3))
    attach_relabel(model, DeferDesign())
    model.set_env(VecMonitor(model.env))
    with pytest.raises(ConfigError, match="Wrap the environments first"):
        attach_relabel(model, DeferDesign())


def test_normalized_rewards_are_refused_wherever_they_are_in_the_stack():
    venv = VecMonitor(VecNormalize(DummyVecEnv([ComponentWorld] * 2)))
    for model in (
        ppo(venv),
        DQN("MlpPolicy", venv, device="cpu", buffer_size=200),
    ):
        with pytest.raises(ConfigError, match="norm_reward=False"):
            attach_relabel(model, WeightDesign({"a": 1.0}))


def test_normalization_put_above_the_recorder_is_noticed():
    model = ppo(DummyVecEnv([ComponentWorld] * 3))
    attach_relabel(model, WeightDesign({"a": 1.0}))
    model.set_env(VecNormalize(model.env))
    with pytest.raises(RunError, match="outermost"):
        model.learn(60)
