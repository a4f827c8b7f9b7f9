import csv
import json
import os
import resource
import signal
from types import SimpleNamespace

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces
from stable_baselines3 import PPO

from rewardloom.baselines.comparison.replay import record
from rewardloom.baselines.training import TrainConfig, evaluate, train
from rewardloom.baselines.training.folder import RunFolder, write_json
from rewardloom.baselines.training.segments import Segments
from rewardloom.errors import ConfigError, RunError

SMALL = {"n_steps": 32, "batch_size": 64, "n_epochs": 1}


class TrialWorld(gym.Env):
    """Episodes of five steps; at training step `trigger` it does what `act` says."""

    trigger = -1
    act = staticmethod(lambda: None)
    steps = 0

    observation_space = spaces.Box(-1.0, 1.0, (2,), np.float32)
    action_space = spaces.Discrete(3)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.clock = 0
        self.start = self.np_random.uniform(-1, 1)
        return np.array([self.start, 0], np.float32), {}

    def step(self, action):
        self.clock += 1
        TrialWorld.steps += 1
        if TrialWorld.steps == TrialWorld.trigger:
            TrialWorld.act()
        over = self.clock == 5
        info = {"episode_metrics": {"start": self.start}, "is_success": True} if over else {}
        return np.array([self.start, self.clock / 5], np.float32), 2.0, over, False, info


class MaskedWorld(TrialWorld):
    """Only action 1 is allowed; another one is an error."""

    def action_masks(self):
        return np.array([False, True, False])

    def step(self, action):
        assert action == 1
        return super().step(action)


@pytest.fixture(autouse=True)
def _worlds():
    for name, world in (("Trial-v0", TrialWorld), ("Masked-v0", MaskedWorld)):
        if name not in gym.registry:
            gym.register(name, entry_point=world)
    TrialWorld.steps, TrialWorld.trigger = 0, -1


def config(**changes):
    fields = {
        "world": "Trial-v0",
        "steps": 640,
        "num_envs": 2,
        "algo_kwargs": SMALL,
        "checkpoint_every": 128,
        "eval_episodes": 3,
    }
    return TrainConfig.from_dict({**fields, **changes})


def rows(folder):
    with open(folder.episodes, newline="") as file:
        return list(csv.DictReader(file))


def test_a_run_leaves_a_full_folder(tmp_path):
    result = train(config(), tmp_path / "run", progress=False)
    folder = result.folder
    assert (result.state, result.step, result.resume_step) == ("finished", 640, 512)
    assert folder.read_status() == {"state": "finished", "step": 640}
    assert folder.read_config() == config()
    assert sorted(path.name for path in folder.checkpoints.iterdir()) == ["384", "512"]
    assert any(folder.tensorboard.iterdir())
    versions = json.loads(folder.versions.read_text())
    assert {"rewardloom", "gymnasium", "torch", "numpy", "python", "platform"} <= versions.keys()
    assert sum(result.timing["share"].values()) == pytest.approx(1)
    assert result.timing["steps"] == 640
    assert json.loads(folder.evaluation.read_text()) == result.evaluation


@pytest.mark.parametrize(
    ("steps", "every", "plan"),
    [
        (1_000, 0, (256, 1_024, 10_240)),  # short runs keep their episodes whole
        (1_000_000, 0, (256, 1_000_192, 100_096)),
        (1_024, 257, (256, 1_024, 512)),
    ],
)
def test_steps_are_rounded_up_to_whole_rollouts(steps, every, plan):
    model = SimpleNamespace(n_steps=128, n_envs=2)
    assert Segments.of(config(steps=steps, checkpoint_every=every), model) == plan


def test_each_finished_episode_is_a_row(tmp_path):
    folder = train(config(), tmp_path / "run", progress=False).folder
    found = rows(folder)
    # five segments of 64 steps an environment: 12 whole episodes of 5 each
    assert len(found) == 5 * 2 * 12
    assert {(row["raw_return"], row["shaped_return"], row["length"]) for row in found} == {
        ("10.0", "10.0", "5")
    }
    assert [int(row["step"]) for row in found[:4]] == [10, 10, 20, 20]
    assert {row["metric_is_success"] for row in found} == {"1.0"}
    assert len({row["metric_start"] for row in found}) == len(found)


def test_designs_pay_the_agent_and_are_left_out_of_the_score(tmp_path):
    designs = [{"design": "count", "coef": 100.0}, {"design": "defer"}]
    result = train(config(designs=designs), tmp_path / "run", progress=False)
    for row in rows(result.folder):
        assert float(row["raw_return"]) == 10
        paid = 10 + float(row["design_count_bonus"])
        assert float(row["shaped_return"]) == pytest.approx(paid, rel=1e-5)
        assert float(row["design_defer_held_last"]) == pytest.approx(paid, rel=1e-5)
        assert "design_defer_held" not in row
    assert result.evaluation["raw_return"]["values"] == [10.0] * 3
    assert evaluate(result.folder.path, episodes=2)["raw_return"]["mean"] == 10.0


def test_an_evaluation_starts_each_episode_from_its_own_seed(tmp_path):
    folder = train(config(eval_episodes=0), tmp_path / "run", progress=False).folder
    assert not folder.evaluation.exists()
    many = evaluate(folder.path, episodes=11, seed=4)["metrics"]["start"]["values"]
    assert len(set(many)) == 11
    few = evaluate(folder.path, episodes=3, seed=4)
    assert few["metrics"]["start"]["values"] == many[:3]
    assert few["is_success"] == 1.0
    assert few == evaluate(folder.path, episodes=3, seed=4)
    assert not set(many) & set(evaluate(folder.path, episodes=11)["metrics"]["start"]["values"])
    assert not set(many) & {float(row["metric_start"]) for row in rows(folder)}


def test_a_checkpoint_can_be_evaluated(tmp_path):
    folder = train(config(), tmp_path / "run", progress=False).folder
    assert evaluate(folder.checkpoints / "384" / "model.zip", episodes=1)["episodes"] == 1
    with pytest.raises(RunError, match=r"config\.json"):
        evaluate(folder.checkpoints / "1" / "model.zip")
    with pytest.raises(RunError, match="holds no training run"):
        evaluate(tmp_path)
    with pytest.raises(ConfigError, match="episodes must be >= 1"):
        evaluate(folder.path, episodes=0)


def test_a_run_is_scored_and_shown_where_its_designs_cannot_be_made(tmp_path):
    result = train(config(designs=[{"design": "defer"}]), tmp_path / "run", progress=False)
    folder = result.folder
    settings = folder.read_config().to_dict()
    write_json(folder.config, {**settings, "designs": [{"design": "elsewhere"}]})
    with pytest.raises(ConfigError, match="elsewhere"):
        folder.read_config()
    assert evaluate(folder.path, episodes=3) == result.evaluation
    assert "renders neither" in record(folder.path, tmp_path / "replay").reason


def test_a_world_with_masks_never_sees_a_forbidden_action(tmp_path):
    result = train(config(world="Masked-v0"), tmp_path / "run", progress=False)
    assert result.evaluation["raw_return"]["mean"] == 10
    with pytest.raises(ConfigError, match=r"needs a world with action_masks"):
        train(config(algo="maskable_ppo"), tmp_path / "other", progress=False)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_at_the_next_step_and_leaves_an_agent(tmp_path, number):
    TrialWorld.trigger, TrialWorld.act = 301, staticmethod(lambda: os.kill(os.getpid(), number))
    before = signal.getsignal(number)
    result = train(config(), tmp_path / "run", progress=False)
    assert (result.state, result.signal_number) == ("interrupted", number)
    assert (result.step, result.resume_step) == (302, 256)
    assert result.folder.read_status() == {"state": "interrupted", "step": 302}
    assert PPO.load(result.folder.model).num_timesteps == 302
    assert signal.getsignal(number) is before

    TrialWorld.trigger = -1
    whole = train(config(), tmp_path / "whole", progress=False)
    again = train(config(), tmp_path / "run", resume=True, progress=False)
    assert again.state == "finished"
    assert again.folder.episodes.read_bytes() == whole.folder.episodes.read_bytes()
    assert_same_agent(again.folder, whole.folder)


def assert_same_agent(a, b):
    first, second = (PPO.load(folder.model).get_parameters() for folder in (a, b))
    for name, value in first["policy"].items():
        assert torch.equal(value, second["policy"][name]), name


def test_an_error_in_the_world_marks_the_run_failed(tmp_path):
    def explode():
        raise RuntimeError("boom")

    TrialWorld.trigger, TrialWorld.act = 301, staticmethod(explode)
    with pytest.raises(RuntimeError, match="boom"):
        train(config(), tmp_path / "run", progress=False)
    assert RunFolder(tmp_path / "run").read_status() == {"state": "failed", "step": 300}


@pytest.mark.parametrize("limit", [1, 3_000])
def test_a_full_disk_is_one_line_and_leaves_the_checkpoint(tmp_path, limit):
    """No file may grow over `limit` bytes: the event file (1) or the next agent (3,000) fails."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)

    def fill():
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))

    TrialWorld.trigger, TrialWorld.act = 301, staticmethod(fill)
    try:
        with pytest.raises(RunError, match="disk is full") as caught:
            train(config(), tmp_path / "run", progress=False)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "checkpoint at step 256 is intact" in str(caught.value)
    assert f"--resume {tmp_path / 'run'}" in str(caught.value)
    folder = RunFolder(tmp_path / "run")
    assert sorted(path.name for path in folder.checkpoints.iterdir()) == ["128", "256"]

    TrialWorld.trigger = -1
    again = train(config(), folder.path, resume=True, progress=False)
    whole = train(config(), tmp_path / "whole", progress=False)
    assert again.folder.episodes.read_bytes() == whole.folder.episodes.read_bytes()
    assert_same_agent(again.folder, whole.folder)


def test_a_taken_folder_names_the_ways_out(tmp_path):
    out = tmp_path / "run"
    first = train(config(), out, progress=False)
    with pytest.raises(RunError, match="already holds") as caught:
        train(config(), out, progress=False)
    for way in ("--resume", "--overwrite", "--out"):
        assert way in str(caught.value)
    note = out / "notes.txt"
    note.write_text("mine")
    with pytest.raises(RunError, match=r"other settings \(seed\)"):
        train(config(seed=1), out, resume=True, progress=False)
    assert train(config(), out, resume=True).evaluation == first.evaluation
    second = train(config(seed=1), out, overwrite=True, progress=False)
    assert second.folder.read_config().seed == 1
    assert note.read_text() == "mine"


def test_a_folder_in_use_is_refused(tmp_path):
    folder = train(config(), tmp_path / "run", progress=False).folder
    folder.write_status("running", 0)
    with folder.lock():
        for way in ({"resume": True}, {"overwrite": True}):
            with pytest.raises(RunError, match="Another process is training"):
                train(config(), folder.path, progress=False, **way)
    assert train(config(), folder.path, resume=True, progress=False).state == "finished"


def test_other_peoples_files_are_never_replaced(tmp_path):
    (tmp_path / "thesis.tex").write_text("mine")
    for overwrite in (False, True):
        with pytest.raises(RunError, match="is not empty and holds no run"):
            train(config(), tmp_path, overwrite=overwrite, progress=False)
    with pytest.raises(RunError, match="is not a folder"):
        train(config(), tmp_path / "thesis.tex", progress=False)
    with pytest.raises(RunError, match="holds no training run"):
        train(config(), tmp_path / "none", resume=True, progress=False)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"algo_kwargs": {"n_step": 8}}, "Did you mean 'n_steps'"),
        ({"algo_kwargs": {"n_steps": "many"}}, "n_steps must be an integer"),
        ({"algo_kwargs": {"learning_rate": "cosine_1"}}, "'lin_<start>'"),
        ({"algo_kwargs": {"gamma": "abc"}}, "gamma must be a number, got 'abc'"),
        ({"algo_kwargs": {"gamma": True}}, "gamma must be a number, got True"),
        ({"algo_kwargs": {"n_epochs": 1.5}}, "n_epochs must be an integer, got 1.5"),
        ({"algo_kwargs": {"target_kl": "x"}}, "target_kl must be a number or null"),
        ({"algo_kwargs": {"use_sde": 1}}, "use_sde must be true or false"),
        ({"algo_kwargs": {"clip_range": [1]}}, "clip_range must be a number or a schedule"),
        ({"world": "NetHackStaircase2-v0"}, "'rewardloom:rewardloom/NetHackStaircase2-v0'"),
        (
            {"world": "NetHackStaircase3Continua-v0"},
            "'rewardloom:rewardloom/NetHackStaircase3Continual-v0'",
        ),
        (
            {"wrappers": ["nowhere_at_all:Thing"]},
            "Cannot import the wrapper 'nowhere_at_all:Thing'",
        ),
        ({"wrappers": ["gymnasium.wrappers:Thing"]}, "has no attribute 'Thing'"),
        ({"wrappers": ["math:sqrt"]}, "'math:sqrt' is not a gymnasium.Wrapper class"),
        (
            {"wrappers": [{"wrapper": "gymnasium.wrappers:TimeLimit", "max_episode_step": 3}]},
            "Did you mean 'max_episode_steps'",
        ),
        ({"wrappers": ["gymnasium.wrappers:TimeLimit"]}, "does not fit the world"),
        ({"algo_kwargs": {"policy_kwargs": {"activation_fn": "torch.nn:Tan"}}}, "torch.nn:Tan"),
        ({"algo_kwargs": {"n_steps": 1}, "num_envs": 1}, "PPO cannot be built for Trial-v0"),
        ({"world": "CartPole-v1", "world_kwargs": {"sutton_barto": 1}}, "sutton_barto_reward"),
        ({"world": "nowhere_at_all:Thing-v0"}, "no module 'nowhere_at_all'"),
        ({"world": "Blackjack-v1"}, "Tuple space"),
        ({"device": "toaster"}, "no device 'toaster'"),
    ],
)
def test_a_setting_that_does_not_fit_leaves_no_folder(tmp_path, changes, words):
    with pytest.raises(gym.error.Error, match=words):
        train(config(**changes), tmp_path / "run", progress=False)
    assert not (tmp_path / "run").exists()


def test_wrappers_are_part_of_the_world_in_training_and_evaluation(tmp_path):
    wrappers = [
        {"wrapper": "gymnasium.wrappers:TimeLimit", "max_episode_steps": 3},
        "gymnasium.wrappers:FlattenObservation",
    ]
    result = train(config(wrappers=wrappers), tmp_path / "run", progress=False)
    assert {row["length"] for row in rows(result.folder)} == {"3"}
    assert result.evaluation["length"]["values"] == [3.0] * 3
    assert evaluate(tmp_path / "run", episodes=2)["length"]["values"] == [3.0] * 2


class TextWorld(TrialWorld):
    """Its Dict observation holds a text, as MiniGrid's does."""

    observation_space = spaces.Dict({"at": TrialWorld.observation_space, "say": spaces.Text(9)})

    def reset(self, *, seed=None, options=None):
        obs, info = super().reset(seed=seed)
        return {"at": obs, "say": "go"}, info

    def step(self, action):
        obs, *rest = super().step(action)
        return {"at": obs, "say": "go"}, *rest


def test_a_wrapper_makes_a_world_readable(tmp_path):
    if "Text-v0" not in gym.registry:
        gym.register("Text-v0", entry_point=TextWorld)
    with pytest.raises(ConfigError, match=r"entry 'say'.*give 'wrappers'"):
        train(config(world="Text-v0"), tmp_path / "run", progress=False)
    flat = {"wrapper": "gymnasium.wrappers:FilterObservation", "filter_keys": ["at"]}
    given = config(world="Text-v0", wrappers=[flat])
    assert train(given, tmp_path / "run", progress=False).state == "finished"


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_run_that_fails_before_its_first_step_leaves_no_files(tmp_path, overwrite):
    out = tmp_path / "run"
    if overwrite:
        train(config(), out, progress=False)

    def fail():
        raise ValueError("the simulator is gone")

    TrialWorld.steps, TrialWorld.trigger, TrialWorld.act = 0, 1, staticmethod(fail)
    with pytest.raises(ValueError, match="simulator"):
        train(config(), out, overwrite=overwrite, progress=False)
    assert not out.exists()


class FailingWorld(TrialWorld):
    """The infrastructure fails where the start is positive; such episodes would score 1008."""

    def step(self, action):
        obs, reward, over, truncated, info = super().step(action)
        if over and self.start > 0:
            return obs, 1000.0, False, True, {**info, "infra_failure": True}
        return obs, reward, over, truncated, info


def test_episodes_that_the_infrastructure_failed_are_not_scored(tmp_path):
    if "Failing-v0" not in gym.registry:
        gym.register("Failing-v0", entry_point=FailingWorld)
    given = config(world="Failing-v0", eval_episodes=20)
    score = train(given, tmp_path / "run", progress=False).evaluation
    assert score["episodes"] + score["failed_episodes"] == 20
    assert 0 < score["failed_episodes"] < 20
    assert score["raw_return"]["values"] == [10.0] * score["episodes"]
    assert len(score["metrics"]["start"]["values"]) == score["episodes"]
    assert max(score["metrics"]["start"]["values"]) <= 0


def test_components_reach_a_foreign_world(tmp_path):
    fields = {
        "world": "CartPole-v1",
        "components": {"alive": "reward"},
        "designs": [{"design": "weight", "weights": {"alive": 0.5}}],
    }
    found = rows(train(config(**fields), tmp_path / "run", progress=False).folder)
    assert found
    for row in found:
        assert float(row["shaped_return"]) == float(row["raw_return"]) / 2
        assert row["raw_return"] == f"{int(row['length'])}.0"


def test_progress_is_plain_lines_where_there_is_no_terminal(tmp_path, capsys):
    train(config(), tmp_path / "run")
    lines = capsys.readouterr().err.splitlines()
    assert lines[-1].startswith("640/640 steps")
    assert "training return 10 (raw)" in lines[-1]
