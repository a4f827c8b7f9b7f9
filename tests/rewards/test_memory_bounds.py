"""What designs keep in memory: open episodes and stored ones, both bounded."""

import numpy as np
import pytest
from stable_baselines3 import PPO
from stable_baselines3.common.vec_env import DummyVecEnv

from rewardloom.baselines.plugs import attach_relabel
from rewardloom.errors import ConfigError, RunError
from rewardloom.rewards import HeronDesign, episode_batch, make_design, step_columns
from rewardloom.rewards.design import StepBatch
from rewardloom.rewards.learning.store import EpisodeStore, standardized
from rewardloom.testing import ComponentWorld

NEVER = np.zeros(2, bool)


def tick(width=3):
    obs = np.zeros((2, width), np.float32)
    return StepBatch(
        np.ones(2), np.ones((2, 1)), NEVER, NEVER, ~NEVER, NEVER, obs=obs, action=obs, next_obs=obs
    )


def online(name):
    if name == "heron":
        return HeronDesign(["x"])
    return make_design("redistribute", mode=name, emit="causal")


@pytest.mark.parametrize("name", ["heron", "rrd", "rudder"])
def test_an_episode_without_end_is_one_clear_error(name, monkeypatch):
    monkeypatch.setattr(step_columns, "MOST_TICKS", 100)
    design = online(name)
    design.bind(("x",), 2)
    design.begin(~NEVER)
    for _ in range(100):
        design.step(tick())
    with pytest.raises(RunError, match=r"100 steps are held.*TimeLimit"):
        design.step(tick())


def test_only_what_is_open_counts(monkeypatch):
    """Episodes of 60 steps that end apart: never more than 90 ticks are held."""
    monkeypatch.setattr(step_columns, "MOST_TICKS", 100)
    design = HeronDesign(["x"], model="linear", center="mean", learning={"first_refit": 10**6})
    design.bind(("x",), 2)
    design.begin(~NEVER)
    for t in range(600):
        ended = np.array([t % 60 == 59, t % 60 == 29])
        design.step(tick()._replace(terminated=ended))
        design.begin(ended)


def test_a_rollout_of_a_world_without_end_is_an_error_only_where_a_model_waits(monkeypatch):
    monkeypatch.setattr(step_columns, "MOST_TICKS", 100)

    def learn(design):
        venv = DummyVecEnv([lambda: ComponentWorld(10**6, truncation=0.0)])
        model = PPO("MlpPolicy", venv, n_steps=40, batch_size=40, n_epochs=1, device="cpu")
        attach_relabel(model, design)
        model.learn(160)

    learn(make_design("weight", weights={"a": 1.0}))
    with pytest.raises(RunError, match="TimeLimit"):
        learn(HeronDesign(["a"], model="linear"))


def test_much_memory_of_open_episodes_warns_once(monkeypatch):
    monkeypatch.setattr(step_columns, "MUCH_MEMORY", 300_000)
    design = online("rrd")
    design.bind((), 2)
    design.begin(~NEVER)

    def play():
        for _ in range(400):
            design.step(tick(100))

    with pytest.warns(UserWarning, match=r"open episodes take 0\.0 GiB.*TimeLimit") as caught:
        play()
    assert len(caught) == 1


def test_the_store_is_bounded_in_bytes_and_keeps_the_newest_episode():
    row = 5 * 4 + 8 + 8  # inputs float32, reward and one component float64
    store = EpisodeStore(100, 1000, max_bytes=25 * row)

    def add(length):
        batch = episode_batch([np.ones(length)], [np.ones((length, 1))])
        store.add(batch, np.zeros((length, 5), np.float32))

    for _ in range(4):
        add(10)
    assert (len(store), store.steps) == (2, 20)
    again = EpisodeStore(100, 1000, max_bytes=25 * row)
    again.load_state_dict(store.state_dict())
    add(10)
    assert (len(store), store.steps) == (2, 20)
    add(40)
    assert (len(store), store.steps) == (1, 40)
    assert (len(again), again.steps) == (2, 20)
    store.load_state_dict(again.state_dict())
    add(5)
    assert (len(store), store.steps) == (3, 25)


@pytest.mark.parametrize("name", ["heron", "rrd", "rudder", "attention"])
def test_max_bytes_reaches_the_store(name):
    learning = {"max_bytes": 2000, "first_refit": 1, "gradient_steps": 1, "hidden": [4]}
    if name == "heron":
        design = HeronDesign(["x"], center="mean", learning=learning)
    else:
        design = make_design("redistribute", mode=name, emit="relabel", learning=learning)
    design.bind(("x",), 1)
    rng = np.random.default_rng(0)
    design.relabel(
        episode_batch(
            [rng.normal(size=10) for _ in range(30)],
            [rng.normal(size=(10, 1)) for _ in range(30)],
            obs=rng.normal(size=(300, 3)).astype(np.float32),
            action=np.zeros((300, 1), np.float32),
        )
    )
    assert design.refits == 1
    assert 10 <= design.diagnostics()["steps"] <= 60


@pytest.mark.parametrize("learning", [{"max_bytes": 0}, {"max_bytes": 1.5}])
def test_max_bytes_is_a_whole_number_above_0(learning):
    for make in (
        lambda: HeronDesign(["x"], learning=learning),
        lambda: make_design("redistribute", mode="rrd", learning=learning),
    ):
        with pytest.raises(ConfigError, match="max_bytes"):
            make()


def test_standardizing_by_blocks_is_standardizing():
    rows = np.random.default_rng(0).normal(size=(2500, 3)).astype(np.float32)
    mean, scale = np.array([1.0, 2.0, 3.0]), np.array([0.5, 3.0, 1.0])
    want = ((rows - mean) / scale).astype(np.float32)
    np.testing.assert_array_equal(standardized(rows, mean, scale), want)
