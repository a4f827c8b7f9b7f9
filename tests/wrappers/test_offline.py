"""`relabel` on plain arrays, and `relabel_minari` on real Minari datasets made here."""

import warnings

import gymnasium as gym
import numpy as np
import pytest

from rewardloom.errors import ComponentError, ConfigError
from rewardloom.rewards import (
    DESIGNS,
    CountDesign,
    DeferDesign,
    WeightDesign,
    episode_batch,
    make_design,
    relabel,
)
from rewardloom.testing import COMPONENTS, ComponentWorld
from rewardloom.typing import ComponentNames
from rewardloom.wrappers import DesignReward, relabel_minari

REWARDS = [[1.0, 2.0, 3.0], [4.0]]
COLUMN = [[[1.0], [0.0], [1.0]], [[2.0]]]


class Reads(DeferDesign):
    """Records the batch it relabels."""

    def __init__(self, *needs):
        super().__init__()
        self.needs = frozenset(needs)

    def relabel(self, episodes):
        self.batch = episodes
        return episodes.reward


def test_plain_arrays_are_relabelled_episode_by_episode():
    episodes = episode_batch(REWARDS, COLUMN, truncated=[False, True], terminated=[True, False])
    late = relabel(DeferDesign(), episodes)
    assert [paid.tolist() for paid in late] == [[0, 0, 6], [4]]
    weighted = relabel(WeightDesign({"a": -2.0}), episodes, ("a",))
    assert [paid.tolist() for paid in weighted] == [[-2, 0, -2], [-4]]


def test_an_open_episode_keeps_its_rewards_where_a_payment_depends_on_all_of_it():
    episodes = episode_batch(REWARDS, terminated=[False, True])
    assert [paid.tolist() for paid in relabel(DeferDesign(), episodes)] == [[1, 2, 3], [4]]


def test_no_episodes_are_no_arrays():
    assert [paid.tolist() for paid in relabel(DeferDesign(), episode_batch([]))] == []


LOSSES = {"components": "outcome", "priority": 1, "threshold": -0.5, "aggregation": "max"}
STEPS = {"components": "a"}


def gate():
    return make_design("gate", levels=[LOSSES, STEPS], emit="relabel")


def test_a_terminal_component_is_read_at_the_last_step_only():
    """An outcome of -1 keeps the gate shut, whatever the zeros before it."""
    table = [[1.0, 0.0], [2.0, 0.0], [3.0, -1.0]]
    episodes = episode_batch([[5.0] * 3], [table])
    (plain,) = relabel(gate(), episodes, ("a", "outcome"))
    assert plain.tolist() == [1, 2, 2]
    (paid,) = relabel(gate(), episodes, ComponentNames(("a", "outcome"), ["outcome"]))
    assert paid.tolist() == [0, 0, -1]


@pytest.mark.parametrize(
    ("design", "arrays", "names", "message"),
    [
        (WeightDesign({"a": 1.0}), {}, (), "reads reward components"),
        (WeightDesign({"a": 1.0}), {"components": COLUMN}, (), "Got K = 1 and the names"),
        (WeightDesign({"b": 1.0}), {"components": COLUMN}, ("a",), "'b'"),
        (CountDesign(), {}, (), "needs next_obs"),
        (CountDesign(), {"next_obs": np.zeros((3, 2))}, (), "next_obs has 3 rows"),
        (Reads("obs", "flat"), {"obs": np.zeros((4, 2, 2))}, (), r"rows of numbers.*\(4, 2, 2\)"),
        (Reads("cost"), {}, (), "needs the column 'cost'"),
        (DeferDesign(), {"obs": {"k": np.zeros(5)}}, (), r"obs\['k'\] has 5 rows"),
    ],
)
def test_what_is_missing_is_named(design, arrays, names, message):
    with pytest.raises(ConfigError, match=message):
        relabel(design, episode_batch(REWARDS, **arrays), names)


@pytest.fixture(scope="module")
def minari(tmp_path_factory):
    library = pytest.importorskip("minari", reason="minari needs Python 3.11 or later")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MINARI_DATASETS_PATH", str(tmp_path_factory.mktemp("datasets")))
        yield library


class Recorded(gym.Wrapper):
    """Keeps whole episodes as Minari stores them, infos of the reset included."""

    def __init__(self, env):
        super().__init__(env)
        self.episodes = []

    def reset(self, **kwargs):
        obs, info = self.env.reset(**kwargs)
        zeros = dict.fromkeys(COMPONENTS, 0.0)
        self.rows = {"obs": [obs], "infos": [{**info, "reward_components": zeros}]}
        self.rows |= {"actions": [], "rewards": [], "terminations": [], "truncations": []}
        return obs, info

    def step(self, action):
        obs, reward, terminated, truncated, info = result = self.env.step(action)
        kept = dict(obs=obs, infos=info, actions=action, rewards=reward)
        kept |= {"terminations": terminated, "truncations": truncated}
        for name, value in kept.items():
            self.rows[name].append(value)
        if terminated or truncated:
            self.episodes.append(self.rows)
        return result


def columns(rows):
    if isinstance(rows[0], dict):
        return {key: columns([row[key] for row in rows]) for key in rows[0]}
    return np.array(rows)


def dataset_of(minari, name, env, episodes, *, infos=True):
    """Write recorded episodes as a Minari dataset."""
    from minari.data_collector import EpisodeBuffer

    kept = ("cost", "reward_components")
    buffers = [
        EpisodeBuffer(
            id=k,
            observations=columns(rows["obs"]),
            actions=np.array(rows["actions"]),
            rewards=rows["rewards"],
            terminations=rows["terminations"],
            truncations=rows["truncations"],
            infos=columns([{key: info[key] for key in kept} for info in rows["infos"]])
            if infos
            else {},
        )
        for k, rows in enumerate(episodes)
    ]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*env.* None")  # the world is not registered
        return minari.create_dataset_from_buffers(
            name,
            buffers,
            observation_space=env.observation_space,
            action_space=env.action_space,
            data_format="hdf5",
            algorithm_name="random",
            author="tests",
            author_email="tests@example.org",
            code_permalink="none",
            description="Random episodes.",
        )


def play(env, episodes=6):
    """Return the rewards that a wrapped environment pays, per episode, with fixed actions."""
    rng = np.random.default_rng(4)
    paid = []
    for k in range(episodes):
        env.reset(seed=k)
        paid.append([])
        over = False
        while not over:
            _, reward, terminated, truncated, _ = env.step(int(rng.integers(3)))
            paid[-1].append(reward)
            over = terminated or truncated
    return paid


@pytest.fixture(scope="module", params=[False, True], ids=["box", "dict"])
def recorded(request, minari):
    env = Recorded(ComponentWorld(dict_obs=request.param))
    play(env)
    name = f"recorded{int(request.param)}-v0"
    return dataset_of(minari, name, env, env.episodes), request.param


def works_offline(name):
    """Whether the dataset of this file holds what a design needs, and it pays online too.

    A learned design has seen all episodes before it pays offline, so it pays something else there.
    """
    design = make_design(name, **DESIGNS[name].example)
    learns = design.memory == "model"
    return not design.relabels and not learns and not design.needs & {"caption", "checks"}


@pytest.mark.parametrize("name", [n for n in DESIGNS if works_offline(n)])
def test_a_dataset_is_paid_what_the_wrapper_paid_while_it_was_recorded(name, recorded):
    dataset, dict_obs = recorded
    example = DESIGNS[name].example
    design = make_design(name, **example)
    online = play(DesignReward(ComponentWorld(dict_obs=dict_obs), design, name="design"))
    offline = relabel_minari(dataset, make_design(name, **example))
    assert [len(paid) for paid in offline] == [len(paid) for paid in online]
    for mine, theirs in zip(offline, online, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=0, atol=1e-9)


def test_flat_rows_and_columns_reach_the_design(recorded):
    dataset, dict_obs = recorded
    design = Reads("obs", "next_obs", "action", "flat", "cost", "is_success", "info:cost")
    relabel_minari(dataset, design)
    batch = design.batch
    steps = int(dataset.total_steps)
    width = 3 + (8 if dict_obs else 0)  # a one-hot clock beside the position
    assert batch.obs.shape == batch.next_obs.shape == (steps, width)
    assert batch.action.shape == (steps, 3)
    inner = np.setdiff1d(np.arange(1, steps), batch.offsets)
    np.testing.assert_array_equal(batch.obs[inner], batch.next_obs[inner - 1])
    costs = [episode.infos["cost"][1:] for episode in dataset.iterate_episodes()]
    np.testing.assert_array_equal(batch.extra["cost"], np.concatenate(costs))
    np.testing.assert_array_equal(batch.extra["info:cost"], batch.extra["cost"])
    np.testing.assert_array_equal(batch.extra["is_success"], np.zeros(steps))
    np.testing.assert_array_equal(batch.start["cost"], np.zeros(6))


def test_components_come_from_infos_rewards_or_functions(recorded):
    dataset, _ = recorded
    sources = {
        "price": "cost",
        "own": "reward",
        "nested": "reward_components.a",
        "steps": lambda episode: np.arange(len(episode)),
    }
    weights = {"price": -1.0, "own": 2.0, "nested": 3.0, "steps": 0.5}
    paid = relabel_minari(dataset, WeightDesign(weights), components=sources)
    for mine, episode in zip(paid, dataset.iterate_episodes(), strict=True):
        infos = episode.infos
        want = 2 * episode.rewards - infos["cost"][1:] + 3 * infos["reward_components"]["a"][1:]
        np.testing.assert_allclose(mine, want + 0.5 * np.arange(len(episode)), atol=1e-12)


@pytest.mark.parametrize(
    ("sources", "error", "message"),
    [
        ({"a": "prize"}, ComponentError, r"'a' is missing in episode 0.*record_infos"),
        ({"a": lambda e: np.ones(len(e) + 1)}, ComponentError, "'a' has the shape"),
        ({"a": lambda e: np.full(len(e), np.nan)}, ComponentError, "'a' is nan at step 1"),
        ({"A": "cost"}, ConfigError, "name matches"),
        ({}, ConfigError, "reads reward components"),
    ],
)
def test_bad_components_are_named(recorded, sources, error, message):
    with pytest.raises(error, match=message):
        relabel_minari(recorded[0], WeightDesign({"a": 1.0}), components=sources)


def test_a_dataset_is_told_which_components_are_terminal(recorded):
    dataset, _ = recorded
    paid = relabel_minari(dataset, gate(), terminal_components=["outcome"])
    shut = 0
    for mine, episode in zip(paid, dataset.iterate_episodes(), strict=True):
        a, outcome = (episode.infos["reward_components"][n][1:] for n in ("a", "outcome"))
        want = episode.rewards if episode.truncations[-1] else a * (outcome[-1] > -0.5) + outcome
        np.testing.assert_allclose(mine, want, atol=1e-9)
        shut += len(mine) > 1 and outcome[-1] < 0 and not episode.truncations[-1]
    assert shut
    with pytest.raises(ConfigError, match=r"in terminal_components.*Did you mean 'outcome'"):
        relabel_minari(dataset, gate(), terminal_components=["outcom"])


def test_a_model_takes_each_finished_episode_of_a_dataset_in_once(recorded):
    dataset, _ = recorded
    learning = {"first_refit": 1, "gradient_steps": 2, "hidden": [8]}
    for design in (
        make_design("redistribute", mode="rrd", on_truncation="settle", learning=learning),
        make_design("heron", ranking=["a"], center="mean", learning=learning),
    ):
        paid = relabel_minari(dataset, design)
        assert design.refits == 1
        assert design.diagnostics()["episodes"] == 6
        assert design.diagnostics()["steps"] == sum(map(len, paid)) == dataset.total_steps
        rewards = [episode.rewards for episode in dataset.iterate_episodes()]
        assert not np.allclose(np.concatenate(paid), np.concatenate(rewards))


def test_a_dataset_without_infos_says_what_is_missing(minari):
    env = Recorded(ComponentWorld())
    play(env, 2)
    dataset = dataset_of(minari, "bare-v0", env, env.episodes, infos=False)
    with pytest.raises(ConfigError, match="reads reward components"):
        relabel_minari(dataset, WeightDesign({"a": 1.0}))
    with pytest.raises(ConfigError, match=r"'cost'.*episode 0"):
        relabel_minari(dataset, Reads("cost"))
    late = relabel_minari(dataset, DeferDesign())
    sums = [sum(rows["rewards"]) for rows in env.episodes]
    np.testing.assert_allclose([paid.sum() for paid in late], sums, atol=1e-9)


def test_something_else_than_a_dataset_is_refused():
    with pytest.raises(ConfigError, match=r"takes a minari\.MinariDataset, got dict"):
        relabel_minari({}, DeferDesign())
