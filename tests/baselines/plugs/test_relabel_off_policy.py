"""Relabelling of SB3's replay buffers: plain, Dict and n-step."""

import numpy as np
import pytest
from gymnasium import spaces
from stable_baselines3 import DQN, SAC
from stable_baselines3.common.buffers import ReplayBuffer
from stable_baselines3.common.vec_env import DummyVecEnv
from stable_baselines3.her.her_replay_buffer import HerReplayBuffer

from rewardloom.baselines.plugs import (
    RelabelDictReplayBuffer,
    RelabelNStepReplayBuffer,
    RelabelReplayBuffer,
    attach_relabel,
)
from rewardloom.errors import ConfigError, RunError
from rewardloom.rewards import CountDesign, DeferDesign, WeightDesign
from rewardloom.testing import ComponentWorld


class Continuous(ComponentWorld):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.action_space = spaces.Box(-2.0, 2.0, (1,), np.float32)

    def step(self, action):
        return super().step(1)


def model_of(cls=DQN, world=ComponentWorld, *, n_envs=2, buffer_size=400, starts=50, **kwargs):
    world_kwargs = kwargs.pop("world_kwargs", {})
    venv = DummyVecEnv([lambda: world(**world_kwargs)] * n_envs)
    policy = "MultiInputPolicy" if world_kwargs.get("dict_obs") else "MlpPolicy"
    return cls(
        policy,
        venv,
        buffer_size=buffer_size,
        learning_starts=starts,
        batch_size=16,
        policy_kwargs={"net_arch": [8]},
        seed=0,
        device="cpu",
        **kwargs,
    )


KINDS = {
    "plain": (RelabelReplayBuffer, {}),
    "dict": (RelabelDictReplayBuffer, {"world_kwargs": {"dict_obs": True}}),
    "n-step": (RelabelNStepReplayBuffer, {"n_steps": 3}),
    "sac": (RelabelReplayBuffer, {"cls": SAC, "world": Continuous}),
}
kinds = pytest.mark.parametrize(("cls", "kwargs"), KINDS.values(), ids=list(KINDS))


def raw_rows(kwargs, steps):
    """What the same run stores without relabelling."""
    model = model_of(**kwargs)
    model.learn(steps)
    buffer = model.replay_buffer
    return buffer.rewards.copy(), buffer.dones.astype(bool), buffer.timeouts.astype(bool)


@kinds
def test_finished_episodes_are_rewritten_and_open_ones_wait(cls, kwargs):
    """Before learning starts the actions are random and seeded: both runs collect the same."""
    kwargs = {**kwargs, "starts": 10_000}
    raw, dones, _ = raw_rows(kwargs, 200)
    model = model_of(**kwargs)
    attach_relabel(model, DeferDesign())
    model.learn(200)
    buffer = model.replay_buffer
    assert type(buffer) is cls
    for slot in range(2):
        first = 0
        for t in range(100):
            if dones[t, slot]:
                want = np.zeros(t - first + 1)
                want[-1] = raw[first : t + 1, slot].astype(float).sum()
                np.testing.assert_allclose(
                    buffer.rewards[first : t + 1, slot], want, rtol=1e-6, atol=1e-5
                )
                assert buffer._valid[first : t + 1, slot].all()
                first = t + 1
        np.testing.assert_array_equal(buffer.rewards[first:100, slot], raw[first:100, slot])
        assert not buffer._valid[first:, slot].any()


@kinds
def test_learning_runs_through_several_turns_of_the_ring(cls, kwargs):
    model = model_of(buffer_size=64, **kwargs)
    attach_relabel(model, WeightDesign({"a": 1.0}))
    model.learn(300)
    buffer = model.replay_buffer
    assert buffer.full
    episodes = {}
    for row in range(buffer.buffer_size):
        for slot in range(2):
            if buffer._valid[row, slot]:
                key = (slot, buffer._start[row, slot], buffer._length[row, slot])
                episodes.setdefault(key, []).append(row)
    assert len(episodes) > 4
    for (slot, start, length), rows in episodes.items():
        whole = (start + np.arange(length)) % buffer.buffer_size
        assert sorted(whole) == rows  # torn ones are gone
        assert buffer.dones[whole[-1], slot] == 1
        assert not buffer.dones[whole[:-1], slot].any()


@kinds
def test_only_valid_rows_are_sampled(cls, kwargs):
    """Every valid row carries the reward 7, every other one a huge one."""
    model = model_of(buffer_size=100, gamma=0.5, **kwargs)
    attach_relabel(model, DeferDesign())
    model.learn(230)
    buffer = model.replay_buffer
    buffer.rewards[:] = np.where(buffer._valid, 7.0, 1e9)
    for size in (1, 16, 500):
        batch = buffer.sample(size)
        assert len(batch.rewards) == size
        assert batch.rewards.max() <= 7.0 * 1.75
        obs = batch.observations
        assert len(obs["position"] if isinstance(obs, dict) else obs) == size


def test_n_step_returns_stay_inside_an_episode():
    model = model_of(n_steps=3, gamma=0.5, n_envs=2)
    attach_relabel(model, WeightDesign({"a": 1.0}))
    model.learn(120)
    buffer = model.replay_buffer
    buffer.rewards[:] = 1.0
    returns = buffer.sample(400).rewards.numpy().ravel()
    assert set(np.round(returns, 3)) == {1.0, 1.5, 1.75}  # one, two or three steps to the end


def test_a_settled_time_limit_is_an_ending():
    for on_truncation, kept in (("raw", True), ("settle", False)):
        model = model_of(world_kwargs={"truncation": 1.0})
        attach_relabel(model, DeferDesign(on_truncation=on_truncation))
        model.learn(100)
        buffer = model.replay_buffer
        assert bool(buffer.timeouts[buffer._valid].any()) is kept


def test_failed_episodes_are_never_sampled():
    model = model_of(world_kwargs={"failure": 1.0, "truncation": 0.0}, starts=20)
    attach_relabel(model, DeferDesign())
    with pytest.raises(RunError, match="No episode has ended"):
        model.learn(200)


def test_no_finished_episode_names_learning_starts():
    model = model_of(world_kwargs={"max_length": 90, "truncation": 0.0}, starts=4)
    attach_relabel(model, DeferDesign())
    with pytest.raises(RunError, match=r"learning_starts \(now 4\)"):
        model.learn(200)


def test_an_episode_longer_than_the_buffer_is_one_clear_error():
    model = model_of(
        world_kwargs={"max_length": 200, "truncation": 0.0}, buffer_size=20, starts=10_000
    )
    attach_relabel(model, DeferDesign())
    with pytest.raises(RunError, match="buffer_size"):
        model.learn(2000)


def test_a_saved_buffer_needs_and_takes_a_new_attach(tmp_path):
    model = model_of()
    attach_relabel(model, DeferDesign())
    model.learn(120)
    model.save_replay_buffer(tmp_path / "rows")
    other = model_of()
    other.load_replay_buffer(tmp_path / "rows")
    assert type(other.replay_buffer) is RelabelReplayBuffer
    with pytest.raises(RunError, match="attach_relabel"):
        other.learn(20)
    attach_relabel(other, DeferDesign())
    valid = other.replay_buffer._valid.sum()
    assert valid == model.replay_buffer._valid.sum()
    other.learn(120)
    assert other.replay_buffer._valid.sum() > valid


def test_a_designs_memory_counts_each_step_once():
    design = CountDesign(1.0, resolution=100.0)
    model = model_of(n_envs=1, starts=10_000)
    attach_relabel(model, design)
    model.learn(100)
    assert design.state_dict()["counts"].sum() == model.replay_buffer._valid.sum()


def test_refusals():
    overlapping = model_of(
        replay_buffer_class=ReplayBuffer,
        optimize_memory_usage=True,
        replay_buffer_kwargs={"handle_timeout_termination": False},
    )
    with pytest.raises(ConfigError, match="optimize_memory_usage=False"):
        attach_relabel(overlapping, DeferDesign())
    model = model_of()
    model.replay_buffer.__class__ = HerReplayBuffer
    with pytest.raises(ConfigError, match="HerReplayBuffer cannot be relabelled"):
        attach_relabel(model, DeferDesign())
