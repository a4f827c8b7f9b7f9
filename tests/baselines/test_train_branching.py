"""Training on a world that steps its copies by itself."""

import csv

import pytest

from rewardloom.baselines.training.config import TrainConfig
from rewardloom.baselines.training.run import train
from rewardloom.baselines.training.timing import Clock
from rewardloom.baselines.training.worlds import make_training_worlds, make_world
from rewardloom.envs.branching.vector import MilpBranchingVector
from rewardloom.errors import ConfigError

WORLD = "rewardloom:rewardloom/MilpBranchingMicro-v0"
WRAPPED = {"wrappers": ["gymnasium.wrappers:OrderEnforcing"]}


def settings(**changes):
    return TrainConfig(
        world=WORLD,
        steps=1024,
        num_envs=2,
        eval_episodes=2,
        algo_kwargs={"n_steps": 64, "batch_size": 32, "n_epochs": 1},
        **changes,
    )


def episodes(folder):
    with open(folder / "episodes.csv", newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("designs", [[], [{"design": "scale", "factor": 0.01}]])
def test_worlds_that_search_at_once_train_as_worlds_in_turn(tmp_path, designs):
    together = settings(designs=designs)
    in_turn = settings(designs=designs, **WRAPPED)
    train(together, tmp_path / "together")
    train(in_turn, tmp_path / "in_turn")
    assert len(episodes(tmp_path / "together")) >= 2
    assert episodes(tmp_path / "together") == episodes(tmp_path / "in_turn")


@pytest.mark.parametrize(("changes", "native"), [({}, True), (WRAPPED, False)])
def test_wrappers_of_single_worlds_rule_the_native_vector_out(changes, native):
    worlds = make_training_worlds(settings(**changes), Clock())
    try:
        inner = worlds.venv
        while hasattr(inner, "venv"):
            inner = inner.venv
        assert isinstance(getattr(inner, "env", None), MilpBranchingVector) == native
    finally:
        worlds.venv.close()


def test_a_graph_is_not_sent_to_a_wrapper_that_leaves_it_one():
    with pytest.raises(ConfigError, match="choose another observation") as caught:
        make_world(settings(world_kwargs={"observation": "graph"}))
    assert "FlattenObservation" not in str(caught.value)
