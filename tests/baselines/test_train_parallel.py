"""Training and scoring PettingZoo worlds: `pettingzoo:<module>` in a configuration."""

import csv
import json
import sys
from types import ModuleType, SimpleNamespace

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces
from pettingzoo import ParallelEnv
from pettingzoo.utils import BaseParallelWrapper
from sb3_contrib import MaskablePPO
from stable_baselines3 import PPO

from rewardloom.baselines.comparison.compare import compare
from rewardloom.baselines.comparison.config import CompareConfig
from rewardloom.baselines.comparison.replay import record
from rewardloom.baselines.training import TrainConfig, evaluate, train
from rewardloom.baselines.training.segments import Segments
from rewardloom.errors import ConfigError, MissingDependency, RunError

SPREAD = "pettingzoo:mpe2.simple_spread_v3"
TASK = "rewardloom.baselines.tasks.spread"
SMALL = {"n_steps": 32, "batch_size": 64, "n_epochs": 1}


class TinyGame(ParallelEnv):
    """`left` earns 1 a step and leaves after two, `right` earns 3 a step and leaves after five.

    An agent observes the share of the game that has passed and its own pay. With `masked` only
    action 1 is allowed, and another one is an error; with `uneven` the agents' spaces differ.
    """

    metadata = {"render_modes": [], "name": "tiny_game_v0"}  # noqa: RUF012
    pay = {"left": 1.0, "right": 3.0}  # noqa: RUF012
    stay = {"left": 2, "right": 5}  # noqa: RUF012
    possible_agents = ("left", "right")
    starts = []  # noqa: RUF012 (seeds of all resets)

    def __init__(self, *, masked=False, uneven=False, text=False, failing=False):
        self.masked, self.uneven, self.text, self.failing = masked, uneven, text, failing
        self.agents = []

    def observation_space(self, agent):
        size = 3 if self.uneven and agent == "right" else 2
        return spaces.Text(4) if self.text else spaces.Box(0.0, 5.0, (size,), np.float32)

    def action_space(self, agent):
        return spaces.Discrete(2)

    def reset(self, seed=None, options=None):
        TinyGame.starts.append(seed)
        self.clock, self.agents = 0, list(self.possible_agents)
        return self.observe(self.agents), {agent: self.info() for agent in self.agents}

    def step(self, actions):
        assert set(actions) == set(self.agents)
        assert not self.masked or set(actions.values()) == {1}
        self.clock += 1
        acted = self.agents
        over = {agent: self.stay[agent] == self.clock for agent in acted}
        self.agents = [agent for agent in acted if not over[agent]]
        infos = {agent: self.info() for agent in acted}
        for agent in acted:
            if over[agent]:
                infos[agent] |= {
                    "is_success": agent == "right",
                    "episode_metrics": {"clock": self.clock},
                    "infra_failure": self.failing and agent == "left",
                }
        rewards = {agent: self.pay[agent] for agent in acted}
        return self.observe(acted), rewards, over, dict.fromkeys(acted, False), infos

    def observe(self, agents):
        return {agent: np.array([self.clock / 5, self.pay[agent]], np.float32) for agent in agents}

    def info(self):
        return {"action_mask": np.array([0, 1], np.int8)} if self.masked else {}


class Doubled(BaseParallelWrapper):
    """Doubles all rewards."""

    def __init__(self, env, factor=2.0):
        super().__init__(env)
        self.factor = factor

    def step(self, actions):
        obs, rewards, *rest = self.env.step(actions)
        return obs, {agent: self.factor * reward for agent, reward in rewards.items()}, *rest


@pytest.fixture(autouse=True)
def module(monkeypatch):
    """The module `tiny_game`, which is importable while a test runs."""
    module = ModuleType("tiny_game")
    module.parallel_env = TinyGame
    module.own_pay = lambda step: step.next_obs[1]
    module.Doubled = Doubled
    module.drop = lambda env: None
    monkeypatch.setitem(sys.modules, "tiny_game", module)
    TinyGame.starts.clear()
    return module


def config(**changes):
    fields = {"world": "pettingzoo:tiny_game", "steps": 512, "num_envs": 2, "algo_kwargs": SMALL}
    return TrainConfig.from_dict({**fields, "eval_episodes": 3, **changes})


def rows(folder):
    with open(folder.episodes, newline="") as file:
        return list(csv.DictReader(file))


def test_a_game_is_scored_by_the_mean_over_its_agents(tmp_path):
    result = train(config(), tmp_path / "run", progress=False)
    score = result.evaluation
    assert score["raw_return"]["values"] == [(2 * 1 + 5 * 3) / 2] * 3
    assert score["length"]["values"] == [5] * 3
    assert score["agent_returns"]["left"]["values"] == [2.0] * 3
    assert score["agent_returns"]["right"]["values"] == [15.0] * 3
    assert score["metrics"]["clock"]["mean"] == (2 + 5) / 2
    assert score["is_success"] == 0.5
    assert score == json.loads(result.folder.evaluation.read_text())


def test_every_agent_has_its_own_row_per_episode_without_idle_steps(tmp_path):
    result = train(config(), tmp_path / "run", progress=False)
    assert result.step == 512  # of 4 seats, those of agents that have left included
    found = [
        (row["raw_return"], row["shaped_return"], row["length"]) for row in rows(result.folder)
    ]
    games = 512 // 4 // 5 * 2
    assert sorted(set(found)) == [("15.0", "15.0", "5"), ("2.0", "2.0", "2")]
    assert found.count(("15.0", "15.0", "5")) == games
    assert found.count(("2.0", "2.0", "2")) == games + 2  # of the two games that are still open


def test_batches_and_segments_are_measured_in_seats(tmp_path):
    settings = config(algo_kwargs={"n_steps": 32, "n_epochs": 1}, eval_episodes=0)
    folder = train(settings, tmp_path / "run", progress=False).folder
    model = PPO.load(folder.model)
    assert model.batch_size == 32 * 4
    assert Segments.of(settings, SimpleNamespace(n_steps=100, n_envs=4)) == (400, 800, 20_000)


def test_designs_read_the_components_of_each_agent(tmp_path):
    designs = [{"design": "weight", "weights": {"pay": 10.0}}]
    components = {"pay": "tiny_game:own_pay"}
    result = train(config(designs=designs, components=components), tmp_path / "a", progress=False)
    found = {(row["raw_return"], row["shaped_return"]) for row in rows(result.folder)}
    assert found == {("2.0", "20.0"), ("15.0", "150.0")}
    assert result.evaluation["raw_return"]["mean"] == 8.5


def test_a_design_on_the_buffer_trains_all_agents(tmp_path):
    designs = [{"design": "redistribute", "mode": "uniform", "emit": "relabel"}]
    result = train(config(designs=designs), tmp_path / "run", progress=False)
    assert result.evaluation["raw_return"]["mean"] == 8.5
    assert {row["raw_return"] for row in rows(result.folder)} == {"2.0", "15.0"}


def test_games_start_from_seeds_of_their_own(tmp_path):
    folder = train(config(eval_episodes=0), tmp_path / "run", progress=False).folder
    TinyGame.starts.clear()
    evaluate(folder.path, episodes=9)
    many = [seed for seed in TinyGame.starts if seed]  # a player asks for masks with seed 0
    TinyGame.starts.clear()
    evaluate(folder.path, episodes=2)
    assert len(set(many)) == 9
    assert [seed for seed in TinyGame.starts if seed] == many[:2]


def test_masks_of_agents_bring_maskable_ppo(tmp_path):
    result = train(config(world_kwargs={"masked": True}), tmp_path / "run", progress=False)
    assert result.evaluation["raw_return"]["mean"] == 8.5
    assert MaskablePPO.load(result.folder.model).num_timesteps == 512
    with pytest.raises(ConfigError, match="needs a world with action_masks"):
        train(config(algo="maskable_ppo"), tmp_path / "other", progress=False)


def test_wrappers_are_part_of_the_world(tmp_path):
    wrappers = ["tiny_game:Doubled", {"wrapper": "tiny_game:Doubled", "factor": 5.0}]
    result = train(config(wrappers=wrappers), tmp_path / "run", progress=False)
    assert result.evaluation["raw_return"]["mean"] == 85.0


def test_games_whose_infrastructure_failed_are_no_scores(tmp_path):
    folder = train(config(eval_episodes=0), tmp_path / "run", progress=False).folder
    settings = json.loads(folder.config.read_text()) | {"world_kwargs": {"failing": True}}
    folder.config.write_text(json.dumps(settings))
    with pytest.raises(RunError, match="failed in all 2 evaluation episodes"):
        evaluate(folder.path, episodes=2)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"world": "pettingzoo:"}, "followed by a module that has parallel_env"),
        ({"world": "pettingzoo:tiny-game"}, "followed by a module that has parallel_env"),
        ({"world": "pettingzoo:no_such_game"}, "there is no module 'no_such_game'"),
        (
            {"world": "pettingzoo:mpe2.simple_spred_v3"},
            r"module 'simple_spred_v3' in mpe2\. Did you mean 'simple_spread_v3'",
        ),
        ({"world": "pettingzoo:mpe2.simple_spread_v3.x"}, "Unknown module 'x'"),
        ({"world": "pettingzoo:pettingzoo.mpe.simple_v3"}, "cannot be imported: .* mpe2"),
        ({"world": "pettingzoo:json"}, r"'json' has no parallel_env\(\)"),
        ({"world_kwargs": {"maskd": True}}, "Did you mean 'masked'"),
        ({"world": SPREAD, "world_kwargs": {"local_ration": 0.1}}, "Did you mean 'local_ratio'"),
        ({"world": SPREAD, "world_kwargs": {"local_ratio": 2}}, "refuses the arguments"),
        ({"world_kwargs": {"uneven": True}}, "needs one observation_space"),
        ({"world_kwargs": {"text": True}}, "is a Text space, which PPO cannot read"),
        ({"wrappers": ["gymnasium.wrappers:ClipReward"]}, "is a wrapper of Gymnasium"),
        ({"wrappers": ["tiny_game:Triple"]}, "Cannot import the wrapper"),
        ({"wrappers": ["tiny_game:__name__"]}, "neither a class nor a function"),
        ({"wrappers": ["tiny_game:drop"]}, "returned a NoneType, not a ParallelEnv"),
        ({"wrappers": [{"wrapper": "tiny_game:Doubled", "facto": 1}]}, "Did you mean 'factor'"),
    ],
)
def test_bad_worlds_are_refused_before_the_folder_exists(tmp_path, changes, message):
    with pytest.raises(ConfigError, match=message):
        train(config(**changes), tmp_path / "run", progress=False)
    assert not (tmp_path / "run").exists()


def test_a_world_made_of_something_else_is_refused(tmp_path, module):
    module.parallel_env = lambda: gym.make("CartPole-v1")
    with pytest.raises(ConfigError, match=r"made a \w+, not a ParallelEnv"):
        train(config(), tmp_path / "run", progress=False)


@pytest.mark.parametrize(("package", "command"), [("mpe2", "mpe2"), ("pettingzoo", "rewardloom")])
def test_a_missing_package_names_the_command(tmp_path, monkeypatch, package, command):
    def find_spec(name, path=None, target=None):
        if name.partition(".")[0] == package:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    for name in [name for name in sys.modules if name.partition(".")[0] == package]:
        monkeypatch.delitem(sys.modules, name)
    finder = SimpleNamespace(find_spec=find_spec)
    monkeypatch.setattr(sys, "meta_path", [finder, *sys.meta_path])
    with pytest.raises(MissingDependency, match=f'Run: pip install "?{command}'):
        train(config(world=SPREAD), tmp_path / "run", progress=False)


def test_a_package_that_the_world_imports_is_named(tmp_path, monkeypatch):
    (tmp_path / "half_game.py").write_text("import no_such_engine\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(MissingDependency, match="imports 'no_such_engine'"):
        train(config(world="pettingzoo:half_game"), tmp_path / "run", progress=False)


def test_a_comparison_refuses_an_unknown_game_before_any_process(tmp_path):
    settings = {"world": "pettingzoo:no_such_game", "steps": 64, "arms": {"raw": []}}
    with pytest.raises(ConfigError, match="there is no module 'no_such_game'"):
        compare(CompareConfig.from_dict(settings), tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.fixture(scope="module")
def spread_run(tmp_path_factory):
    settings = config(
        world=SPREAD,
        steps=600,
        world_kwargs={"local_ratio": 0.5},
        components={"near": f"{TASK}:near", "apart": f"{TASK}:apart"},
        designs=[{"design": "heron", "ranking": ["near", "apart"], "model": "lexicographic"}],
    )
    return train(settings, tmp_path_factory.mktemp("spread") / "run", progress=False)


def test_simple_spread_trains_under_a_design(spread_run):
    found = rows(spread_run.folder)
    assert {row["length"] for row in found} == {"25"}
    assert len(found) == 768 // 25 // 6 * 6  # whole games in 2 copies for 3 agents
    assert all(row["raw_return"] != row["shaped_return"] for row in found)
    assert "mpe2" in json.loads(spread_run.folder.versions.read_text())
    score = spread_run.evaluation
    sums = [score["agent_returns"][f"agent_{i}"]["values"] for i in range(3)]
    assert np.mean(sums, axis=0) == pytest.approx(score["raw_return"]["values"])


def test_a_replay_shows_a_game(spread_run, tmp_path, monkeypatch):
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    replay = record(spread_run.folder.path, tmp_path / "replay")
    assert (replay.kind, replay.steps, replay.ended) == ("picture", 25, True)
    assert replay.raw_return < 0
    assert (tmp_path / "replay.webp").is_file()


def test_a_game_without_pictures_says_so(tmp_path):
    folder = train(config(), tmp_path / "run", progress=False).folder
    assert "renders neither" in record(folder.path, tmp_path / "replay").reason
