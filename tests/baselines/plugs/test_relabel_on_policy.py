"""Relabelling of SB3's rollout buffers, all six, against a GAE computed by hand."""

import gymnasium as gym
import numpy as np
import pytest
from sb3_contrib import MaskablePPO, RecurrentPPO
from stable_baselines3 import A2C, PPO
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize

from rewardloom.baselines.plugs import (
    DesignVecReward,
    attach_relabel,
    load_design,
    save_design,
)
from rewardloom.baselines.plugs.record import TickRecorder
from rewardloom.errors import ConfigError, RunError
from rewardloom.rewards import CountDesign, DeferDesign, RedistributeDesign, WeightDesign
from rewardloom.testing import ComponentWorld

GAMMA, LAMBDA = 0.9, 0.8
LOW_SHARE = "ignore:Only .* of the rollout's steps:UserWarning"


class Masked(ComponentWorld):
    def action_masks(self):
        return np.array([True, self._clock % 2 == 0, True])


class FixedLength(ComponentWorld):
    """Every episode has five steps and hits the time limit."""

    def __init__(self, **kwargs):
        super().__init__(truncation=1.0, **kwargs)

    def reset(self, *, seed=None, options=None):
        out = super().reset(seed=seed)
        self._length = 5
        return out


def model_of(cls, world=ComponentWorld, *, dict_obs=False, n_envs=3, n_steps=20, **kwargs):
    venv = DummyVecEnv([lambda: world(dict_obs=dict_obs)] * n_envs)
    policy = ("MultiInput" if dict_obs else "Mlp") + ("Lstm" if cls is RecurrentPPO else "")
    net = {"policy_kwargs": {"net_arch": [8]}}
    if cls is RecurrentPPO:
        net["policy_kwargs"]["lstm_hidden_size"] = 8
    if cls is not A2C:
        net |= {"n_epochs": 1, "batch_size": n_steps * n_envs}
    return cls(
        policy + "Policy",
        venv,
        n_steps=n_steps,
        gamma=GAMMA,
        gae_lambda=LAMBDA,
        seed=0,
        device="cpu",
        **net,
        **kwargs,
    )


class Spy(BaseCallback):
    """Copies each rollout's buffer after advantages, and what was collected."""

    def __init__(self):
        super().__init__()
        self.rollouts = []
        self.steps = []
        self.last_values = None

    def _on_training_start(self):
        buffer = self.model.rollout_buffer
        compute = type(buffer).compute_returns_and_advantage

        def noted(last_values, dones):
            self.last_values = last_values.clone().numpy().ravel()
            compute(buffer, last_values, dones)

        buffer.compute_returns_and_advantage = noted

    def _on_rollout_start(self):
        self.steps = []

    def _on_step(self):
        infos = self.locals["infos"]
        self.steps.append(
            (
                self.locals["rewards"].copy(),
                self.locals["dones"].copy(),
                np.array([i.get("TimeLimit.truncated", False) for i in infos]),
                np.array([list(i["reward_components"].values()) for i in infos]),
            )
        )
        return True

    def _on_rollout_end(self):
        buffer = self.model.rollout_buffer
        kept = {
            name: getattr(buffer, name).copy()
            for name in ("rewards", "advantages", "returns", "values", "episode_starts")
        }
        raw, dones, limits, components = map(np.array, zip(*self.steps, strict=True))
        self.rollouts.append(
            kept
            | {"raw": raw, "dones": dones, "limits": limits, "components": components}
            | {"last_values": self.last_values}
        )


def gae(rewards, values, episode_starts, last_values, last_dones):
    advantages = np.zeros_like(rewards)
    running = 0.0
    for t in reversed(range(len(rewards))):
        final = t == len(rewards) - 1
        following = last_values if final else values[t + 1]
        alive = 1.0 - (last_dones if final else episode_starts[t + 1])
        delta = rewards[t] + GAMMA * following * alive - values[t]
        running = delta + GAMMA * LAMBDA * alive * running
        advantages[t] = running
    return advantages


def deferred_by_hand(raw, dones, started):
    """Whole episodes of each column pay at their end; cut ones stay raw."""
    new = raw.astype(float).copy()
    for slot in range(raw.shape[1]):
        first = 0 if started[slot] else None
        for t in range(len(raw)):
            if dones[t, slot]:
                if first is not None:
                    new[first:t, slot] = 0.0
                    new[t, slot] = raw[first : t + 1, slot].astype(float).sum()
                first = t + 1
    return new


SIX = [
    (PPO, ComponentWorld, False),
    (PPO, ComponentWorld, True),
    (A2C, ComponentWorld, False),
    (MaskablePPO, Masked, False),
    (MaskablePPO, Masked, True),
    (RecurrentPPO, ComponentWorld, False),
    (RecurrentPPO, ComponentWorld, True),
]
six = pytest.mark.parametrize(
    ("cls", "world", "dict_obs"),
    SIX,
    ids=[f"{c.__name__}-{'dict' if d else 'box'}" for c, _, d in SIX],
)


@six
@pytest.mark.filterwarnings(LOW_SHARE)
def test_an_episode_design_rewrites_whole_episodes_before_the_advantages(cls, world, dict_obs):
    """Fails if relabelling happens after GAE, or if the time-limit bootstrap is redistributed."""
    model = model_of(cls, world, dict_obs=dict_obs)
    attach_relabel(model, DeferDesign())
    spy = Spy()
    model.learn(3 * 60, callback=spy)
    assert len(spy.rollouts) == 3
    limits = 0
    for k, roll in enumerate(spy.rollouts):
        started = roll["episode_starts"][0].astype(bool)
        assert k or started.all()
        new = deferred_by_hand(roll["raw"], roll["dones"], started)
        plain = ~roll["limits"]  # at a time limit SB3's bootstrap lies on top
        np.testing.assert_allclose(roll["rewards"][plain], new[plain], rtol=1e-6, atol=1e-5)
        expected = gae(
            roll["rewards"],
            roll["values"],
            roll["episode_starts"],
            roll["last_values"],
            roll["dones"][-1],
        )
        np.testing.assert_allclose(roll["advantages"], expected, rtol=1e-4, atol=1e-4)
        limits += roll["limits"].sum()
        np.testing.assert_allclose(
            roll["returns"], roll["advantages"] + roll["values"], rtol=1e-5, atol=1e-5
        )
    assert limits > 5


@six
def test_a_step_design_rewrites_every_row(cls, world, dict_obs):
    model = model_of(cls, world, dict_obs=dict_obs)
    attach_relabel(model, WeightDesign({"a": 2.0, "outcome": 1.0}))
    spy = Spy()
    model.learn(2 * 60, callback=spy)
    for roll in spy.rollouts:
        new = roll["components"] @ np.array([2.0, 0.0, 0.0, 1.0])
        plain = ~roll["limits"]
        np.testing.assert_allclose(roll["rewards"][plain], new[plain], rtol=1e-6, atol=1e-6)


def test_the_time_limit_bootstrap_is_put_back_untouched():
    """gamma V(final observation), computed here from the policy, sits on the limit's row only."""
    import torch

    model = model_of(PPO, FixedLength, n_envs=2)
    attach_relabel(model, WeightDesign({"a": 1.0}))
    finals = []

    class Values(Spy):
        def _on_step(self):
            super()._on_step()
            for slot, info in enumerate(self.locals["infos"]):
                if info.get("TimeLimit.truncated"):
                    obs = self.model.policy.obs_to_tensor(info["terminal_observation"])[0]
                    with torch.no_grad():
                        value = self.model.policy.predict_values(obs).item()
                    finals.append((len(self.steps) - 1, slot, GAMMA * value))
            return True

    spy = Values()
    model.learn(40, callback=spy)
    roll = spy.rollouts[0]
    added = roll["rewards"] - roll["components"][:, :, 0]
    want = np.zeros_like(added)
    for t, slot, value in finals:
        want[t, slot] = value
    assert len(finals) == 8
    np.testing.assert_allclose(added, want, atol=1e-5)


def test_settling_truncations_takes_the_bootstrap_out():
    model = model_of(PPO, FixedLength, n_envs=2)
    attach_relabel(model, DeferDesign(on_truncation="settle"))
    spy = Spy()
    model.learn(40, callback=spy)
    roll = spy.rollouts[0]
    new = deferred_by_hand(roll["raw"], roll["dones"], np.ones(2, bool))
    np.testing.assert_allclose(roll["rewards"], new, rtol=1e-6, atol=1e-6)


def test_relabelling_learns_what_the_online_plug_learns():
    """Whole episodes, a deferred design: both roads give the same network."""
    online = model_of(PPO, FixedLength)
    online.set_env(DesignVecReward(online.env, DeferDesign(), name="defer"))
    relabelled = model_of(PPO, FixedLength)
    attach_relabel(relabelled, DeferDesign())
    for model in (online, relabelled):
        model.set_random_seed(3)
        model.learn(180)
    for one, other in zip(online.policy.parameters(), relabelled.policy.parameters(), strict=True):
        np.testing.assert_allclose(
            one.detach().numpy(), other.detach().numpy(), rtol=1e-5, atol=1e-6
        )


def test_a_step_designs_memory_goes_on_across_rollouts():
    model = model_of(PPO, n_envs=1)
    design = CountDesign(1.0, resolution=50.0)
    attach_relabel(model, design)
    model.learn(60)
    assert design.state_dict()["counts"].sum() == 60


def test_a_low_share_of_whole_episodes_warns_once_and_is_logged():
    model = model_of(PPO, lambda **kw: ComponentWorld(60, truncation=0.0, **kw), n_steps=16)
    attach_relabel(model, DeferDesign())
    with pytest.warns(UserWarning, match=r"Only \d+% of the rollout's steps") as caught:
        model.learn(3 * 48)
    assert len(caught) == 1
    assert model.rollout_buffer.relabeller.whole_episode_share < 0.8


def test_failed_episodes_stay_raw():
    model = model_of(PPO, lambda **kw: ComponentWorld(failure=1.0, truncation=0.0, **kw))
    attach_relabel(model, DeferDesign(on_truncation="settle"))
    spy = Spy()
    with pytest.warns(UserWarning, match="Only 0%"):
        model.learn(60, callback=spy)
    roll = spy.rollouts[0]
    inside = ~roll["limits"]
    np.testing.assert_array_equal(roll["rewards"][inside], roll["raw"][inside])
    assert inside.sum() > 20


def test_saving_and_loading_needs_and_takes_a_new_attach(tmp_path):
    model = model_of(PPO)
    design = CountDesign(1.0, resolution=1.0)
    attach_relabel(model, design)
    model.learn(60)
    model.save(tmp_path / "agent.zip")
    assert save_design(tmp_path / "agent.zip", design).name == "agent.design.pt"

    loaded = PPO.load(tmp_path / "agent.zip", env=DummyVecEnv([ComponentWorld] * 3), device="cpu")
    again = CountDesign(1.0, resolution=1.0)
    load_design(tmp_path / "agent.zip", again)
    assert again.state_dict()["counts"].sum() == 60
    attach_relabel(loaded, again)
    loaded.learn(60, reset_num_timesteps=False)
    assert again.state_dict()["counts"].sum() == 120


def test_attaching_twice_replaces_the_first():
    model = model_of(PPO)
    attach_relabel(model, WeightDesign({"a": 1.0}))
    attach_relabel(model, WeightDesign({"b": 1.0}))
    spy = Spy()
    model.learn(60, callback=spy)
    roll = spy.rollouts[0]
    plain = ~roll["limits"]
    want = roll["components"][:, :, 1][plain]
    np.testing.assert_allclose(roll["rewards"][plain], want, rtol=1e-6, atol=1e-6)


@pytest.mark.filterwarnings(LOW_SHARE)
def test_learning_twice_resets_and_goes_on():
    model = model_of(PPO)
    attach_relabel(model, DeferDesign())
    model.learn(60)
    model.learn(120, reset_num_timesteps=False)
    model.learn(60)
    assert model.rollout_buffer.relabeller.whole_episode_share > 0.5


def test_what_cannot_be_relabelled_is_refused():
    normalized = VecNormalize(DummyVecEnv([ComponentWorld] * 2), norm_reward=True)
    model = PPO("MlpPolicy", normalized, n_steps=8, batch_size=16, device="cpu")
    with pytest.raises(ConfigError, match="norm_reward=False"):
        attach_relabel(model, DeferDesign())
    bare = PPO("MlpPolicy", gym.make("CartPole-v1"), n_steps=8, batch_size=8, device="cpu")
    with pytest.raises(ConfigError, match="RewardComponents"):
        attach_relabel(bare, WeightDesign({"a": 1.0}))


def test_a_wrapper_put_above_the_recorder_is_noticed():
    model = model_of(PPO)
    attach_relabel(model, WeightDesign({"a": 1.0}))
    model.env = DesignVecReward(model.env, WeightDesign({"b": 5.0}), name="above")
    with pytest.raises(RunError, match="outermost"):
        model.learn(60)


def test_normalized_observations_are_fine():
    venv = VecNormalize(DummyVecEnv([ComponentWorld] * 2), norm_reward=False)
    model = PPO("MlpPolicy", venv, n_steps=16, batch_size=32, n_epochs=1, device="cpu")
    attach_relabel(model, WeightDesign({"a": 1.0}))
    model.learn(32)


def test_a_design_whose_scores_no_world_gives_is_refused_before_anything_is_learned():
    model = model_of(PPO)
    with pytest.raises(ConfigError, match=r'RedistributeDesign reads scores .*score="info:<key>"'):
        attach_relabel(model, RedistributeDesign("softmax"))
    assert not isinstance(model.env, TickRecorder)
