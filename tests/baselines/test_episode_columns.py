"""What stands for an episode in `episodes.csv`, by hand."""

import csv
from types import SimpleNamespace

import numpy as np
import pytest
from stable_baselines3.common.logger import Logger

from rewardloom.baselines.training.episodes import EpisodeCallback
from rewardloom.baselines.training.tables import EPISODE_COLUMNS, CsvTable
from rewardloom.errors import ConfigError
from rewardloom.rewards import WeightDesign


def telling(**reductions):
    """Return a design that says how its columns are reduced."""
    design = WeightDesign({"a": 1.0})
    design.reductions = reductions
    return design


def episodes(tmp_path, ticks, designs):
    """Return the rows of a run of one environment: ticks are (reward, done, info)."""
    table = CsvTable(tmp_path / "episodes.csv", EPISODE_COLUMNS)
    try:
        callback = EpisodeCallback(table, designs)
    except ConfigError:
        table.close()
        raise
    callback.begin(1)
    for step, (reward, done, info) in enumerate(ticks):
        callback.num_timesteps = step
        callback.locals = {"infos": [info], "rewards": np.array([reward])}
        callback.locals["dones"] = np.array([done])
        callback._on_step()
    table.close()
    with open(tmp_path / "episodes.csv", newline="") as file:
        return list(csv.DictReader(file))


def test_a_design_says_which_columns_are_no_sums(tmp_path):
    ticks = [
        (1.0, done, {"tell": {"pay": 2.0, "level": level, "share": share}})
        for done, level, share in [
            (False, 5.0, 1.0),
            (False, 7.0, 0.0),
            (True, 6.0, 0.5),
            (True, 4.0, 1.0),
        ]
    ]
    found = episodes(tmp_path, ticks, {"tell": telling(level="last", share="mean")})
    columns = ("design_tell_pay", "design_tell_level_last", "design_tell_share_mean", "length")
    assert [[float(row[name]) for name in columns] for row in found] == [
        [6.0, 6.0, 0.5, 3.0],
        [2.0, 4.0, 1.0, 1.0],
    ]
    assert not {"design_tell_level", "design_tell_share"} & set(found[0])


def test_idle_steps_of_a_seat_are_no_part_of_a_mean(tmp_path):
    ticks = [
        (1.0, False, {"tell": {"share": 1.0}}),
        (0.0, False, {"inactive": True, "tell": {"share": 0.0}}),
        (1.0, True, {"tell": {"share": 0.5}}),
    ]
    found = episodes(tmp_path, ticks, {"tell": telling(share="mean")})
    assert float(found[0]["design_tell_share_mean"]) == 0.75


def test_an_unknown_reduction_names_the_column_and_the_nearest(tmp_path):
    with pytest.raises(
        ConfigError, match=r"'median' for 'level' in WeightDesign.reductions.*'mean'"
    ):
        episodes(tmp_path, [], {"tell": telling(level="median")})


class Relabeller:
    """Stands for what rewrites a rollout's rewards."""

    paid = np.zeros((0, 0))


def test_an_episode_paid_in_the_buffer_sums_its_rows_over_rollouts(tmp_path):
    table = CsvTable(tmp_path / "episodes.csv", EPISODE_COLUMNS)
    relabeller = Relabeller()
    callback = EpisodeCallback(table, {}, relabeller=relabeller)
    callback.model = SimpleNamespace(logger=Logger(None, []))
    callback.begin(2)
    # slot 0 ends at the ticks 1 and 4, slot 1 at 3 and 5; rollouts have three ticks
    dones = [[False, False], [True, False], [False, False]]
    dones += [[False, True], [True, False], [False, True]]
    paid = np.array([[1, 10], [2, 20], [4, 40], [8, 80], [16, 160], [32, 320]], float)
    for tick, done in enumerate(dones):
        callback.locals = {"infos": [{}, {}], "rewards": np.zeros(2), "dones": np.array(done)}
        callback._on_step()
        if tick in (2, 5):
            relabeller.paid = paid[tick - 2 : tick + 1]
            callback._on_rollout_end()
    callback.locals["dones"] = np.array([True, False])
    callback._on_step()  # in a rollout that is broken off
    callback._on_training_end()
    table.close()
    with open(tmp_path / "episodes.csv", newline="") as file:
        shaped = [row["shaped_return"] for row in csv.DictReader(file)]
    assert shaped == ["3.0", "150.0", "28.0", "480.0", ""]
