"""Redistribution through plugs: modes that pay at once online, the others in training buffers."""

import functools
import itertools

import numpy as np
import pytest

from rewardloom.rewards import make_design
from rewardloom.testing import COMPONENTS, ComponentWorld, reference_rewards, reference_ticks

ACTIONS = np.random.default_rng(0).integers(0, 3, (60, 4))
WORLD = functools.partial(ComponentWorld, failure=0.1)
CAUSAL = {
    "difference": {"score": "a"},
    "settled": {"mode": "difference", "score": "a", "on_truncation": "settle"},
    "bootstrapped": {"mode": "difference", "score": "a", "on_truncation": "bootstrap"},
    "blended": {"mode": "difference", "score": "info:cost", "beta": 0.3},
    "potential": {"score": "a", "gamma": 0.9},
    "potential, settled": {"mode": "potential", "score": "info:cost", "on_truncation": "settle"},
}


def episodes_of(ticks):
    """Return the finished episodes of one slot as a batch."""
    from rewardloom.rewards import episode_batch

    episodes, rows = [], []
    for tick in ticks:
        if tick.batch is not None:
            rows.append(tick.batch)
            if tick.batch.terminated[0] or tick.batch.truncated[0]:
                episodes.append(rows)
                rows = []
    ends = [rows[-1] for rows in episodes]
    return episode_batch(
        [[row.reward[0] for row in rows] for rows in episodes],
        [[row.components[0] for row in rows] for rows in episodes],
        terminated=[end.terminated[0] for end in ends],
        truncated=[end.truncated[0] for end in ends],
        failed=[end.failed[0] for end in ends],
        extra={"info:cost": np.array([row.extra["cost"][0] for rows in episodes for row in rows])},
    )


def with_info_column(tick):
    if tick.batch is None:
        return tick
    extra = {**tick.batch.extra, "info:cost": tick.batch.extra["cost"]}
    return tick._replace(batch=tick.batch._replace(extra=extra))


@pytest.mark.parametrize("case", CAUSAL)
def test_relabelling_equals_stepping(case):
    ticks = [with_info_column(t) for t in reference_ticks(WORLD, 1, ACTIONS[:, :1], seed=7)]
    batch = episodes_of(ticks)
    assert batch.truncated.any()
    assert batch.failed.any()
    assert batch.terminated.any()
    design = make_design("redistribute", **{"mode": case, **CAUSAL[case]})
    stepped = reference_rewards(design, ticks, COMPONENTS, 1)[: len(batch.reward), 0]
    design.bind(COMPONENTS, 1)
    np.testing.assert_allclose(design.relabel(batch), stepped, rtol=0, atol=1e-9)


@pytest.mark.parametrize("mode", ["uniform", "ircr", "rrd", "occlusion", "attention"])
def test_modes_of_buffers_pass_the_raw_reward_online(mode):
    ticks = list(reference_ticks(WORLD, 4, ACTIONS, idle_after_end=True))
    design = make_design("redistribute", mode=mode)
    assert design.relabels
    paid = reference_rewards(design, ticks, COMPONENTS, 4)
    raw = [np.where(t.batch.active, t.batch.reward, 0.0) for t in ticks if t.batch is not None]
    np.testing.assert_array_equal(paid, raw)
    assert set(design.summary()) == {"change", "settlement"}


@pytest.mark.parametrize("mode", ["rrd", "rudder"])
@pytest.mark.parametrize("dict_obs", [False, True])
def test_learned_modes_train_on_a_vector(mode, dict_obs):
    from gymnasium.vector import SyncVectorEnv

    from rewardloom.wrappers.vector import RedistributeReward

    make = functools.partial(ComponentWorld, dict_obs=dict_obs, truncation=0.0)
    learning = {"hidden": [8], "gradient_steps": 2, "refit_every": 20, "first_refit": 3}
    venv = RedistributeReward(SyncVectorEnv([make] * 4), mode, emit="causal", learning=learning)
    venv.reset(seed=1)
    paid, raw, sums = np.zeros(4), np.zeros(4), []
    for actions in ACTIONS:
        _, rewards, terminated, _, infos = venv.step(actions)
        paid, raw = paid + rewards, raw + infos["raw_reward"]
        sums += list(zip(paid[terminated], raw[terminated], strict=True))
        paid[terminated] = raw[terminated] = 0.0
    assert venv.design.refits >= 3
    np.testing.assert_allclose(*np.array(sums).T, atol=1e-9)


def test_ppo_learns_from_redistributed_rewards():
    """Every whole episode of the rollout sums to its raw return, and its steps are alike."""
    from stable_baselines3 import PPO
    from stable_baselines3.common.vec_env import DummyVecEnv

    from rewardloom.baselines.plugs import attach_relabel

    venv = DummyVecEnv([functools.partial(ComponentWorld, truncation=0.0)] * 2)
    model = PPO("MlpPolicy", venv, n_steps=64, batch_size=32, n_epochs=1, device="cpu", seed=0)
    attach_relabel(model, make_design("redistribute", mode="uniform"))
    model.learn(64)
    rewards, starts = model.rollout_buffer.rewards, model.rollout_buffer.episode_starts
    firsts = np.flatnonzero(starts[:, 0])
    for first, end in itertools.pairwise(firsts):
        assert len(set(rewards[first:end, 0].tolist())) == 1


@pytest.mark.parametrize("mode", ["rrd", "rudder", "occlusion"])
def test_ppo_trains_the_models(mode):
    from stable_baselines3 import PPO
    from stable_baselines3.common.vec_env import DummyVecEnv

    from rewardloom.baselines.plugs import attach_relabel

    venv = DummyVecEnv([ComponentWorld] * 2)
    model = PPO("MlpPolicy", venv, n_steps=64, batch_size=32, n_epochs=1, device="cpu", seed=0)
    learning = {"hidden": [8], "gradient_steps": 2, "refit_every": 60, "first_refit": 3}
    design = make_design("redistribute", mode=mode, learning=learning, on_truncation="bootstrap")
    attach_relabel(model, design)
    model.learn(256)
    assert design.refits >= 2
    assert np.isfinite(model.rollout_buffer.rewards).all()
