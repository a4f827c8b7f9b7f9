"""`rewardloom branching`: a learner's agent, configuration and log in a folder."""

import csv
import dataclasses
import json

import pytest

from rewardloom.baselines.branching.agents import RandomAgent, load_agent, save_agent
from rewardloom.baselines.branching.scorer import ScorerAgent
from rewardloom.baselines.branching.training import TrainingLog, train_into
from rewardloom.baselines.cli import main
from rewardloom.errors import ConfigError, RunError

SHORT = ("--family", "micro", "--size", "tiny", "--set", "decisions=40", "--set",
         "epochs=2", "--set", "expert_share=0.5")  # fmt: skip


def test_an_agent_is_trained_and_can_be_scored(capsys, tmp_path):
    out = tmp_path / "agents" / "imitation-3"
    command = ["branching", "imitation", *SHORT, "--seed", "3", "--out", str(out)]
    assert main([*command, "--world-set", "preset=pure"]) == 0
    shown = capsys.readouterr()
    assert str(out) in shown.out
    assert "loss" in shown.err
    written = json.loads((out / "config.json").read_text())
    assert written["learner"] == "imitation"
    assert written["config"]["seed"] == 3
    assert written["config"]["decisions"] == 40
    assert written["config"]["world_kwargs"] == {
        "preset": "pure",
        "family": "micro",
        "size": "tiny",
    }
    rows = list(csv.DictReader((out / "log.csv").read_text().splitlines()))
    assert [float(row["epoch"]) for row in rows if row["epoch"]] == [1, 2]
    assert float(rows[0]["seconds"]) <= float(rows[-1]["seconds"])
    assert load_agent(out).observation == "candidates"

    assert main(["evaluate", str(out), "--instances", "micro:tiny:1", "--solver-seeds", "1"]) == 0
    assert "imitation-3" in capsys.readouterr().out

    assert main(command) == 1
    assert "--overwrite" in capsys.readouterr().err
    assert main([*command, "--overwrite", "--no-progress"]) == 0
    assert not capsys.readouterr().err
    assert "preset" not in json.loads((out / "config.json").read_text())["config"]["world_kwargs"]
    assert load_agent(out).observation == "candidates"
    assert [entry.name for entry in out.parent.iterdir()] == ["imitation-3"]


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        ((), "LEARNER"),
        (("imitate", "--out", "x"), "Did you mean 'imitation'"),
        (("imitation",), "--out DIR"),
        (("imitation", "--out", "x", "--set", "learning_rat=1"), "Did you mean 'learning_rate'"),
        (("imitation", "--out", "x", "--set", "learning_rate=fast"), "learning_rate"),
        (("imitation", "--out", "x", "--set", "seed=1"), "--seed N"),
        (("imitation", "--out", "x", "--set", "world_kwargs={}"), "--family"),
        (("imitation", "--out", "x", "--family", "mico"), "Did you mean 'micro'"),
        (("imitation", "--out", "x", "--family", "micro", "--world-set", "family=micro"), "twice"),
    ],
)
def test_a_wrong_setting_is_one_line_and_leaves_no_folder(
    capsys, tmp_path, monkeypatch, argv, words
):
    monkeypatch.chdir(tmp_path)
    assert main(["branching", *argv]) == 2
    shown = capsys.readouterr()
    assert shown.err.count("\n") == 1
    assert words in shown.err
    assert not (tmp_path / "x").exists()


@dataclasses.dataclass(frozen=True)
class NoSettings:
    """The config of a learner that has none."""


def learner(error=None):
    def train(config, log):
        log({"nodes": 1.0})
        if error is not None:
            raise error
        return RandomAgent()

    return train


def test_an_agent_stays_until_the_one_that_replaces_it_is_there(tmp_path):
    out, partial = tmp_path / "agent", tmp_path / "agent.partial"
    save_agent(ScorerAgent(4), out)
    (out / "config.json").write_text("{}")
    before = {entry.name: entry.read_bytes() for entry in out.iterdir()}

    def again(error=None):
        train_into(out, "none", NoSettings(), learner(error), overwrite=True, progress=False)

    for error, log_stays in ((ConfigError("no"), False), (RuntimeError("broke"), True)):
        with pytest.raises(type(error), match=str(error)):
            again(error)
        assert {entry.name: entry.read_bytes() for entry in out.iterdir()} == before
        assert (partial / "log.csv").exists() == partial.exists() == log_stays
    again()
    assert not partial.exists()
    assert {entry.name for entry in out.iterdir()} == {"agent.json", "config.json", "log.csv"}
    assert isinstance(load_agent(out), RandomAgent)
    partial.mkdir()
    (partial / "notes.txt").write_text("mine")
    with pytest.raises(RunError, match=r"agent\.partial is not empty"):
        again()


def test_other_peoples_files_are_not_overwritten(capsys, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "config.json").write_text("{}")
    command = ["branching", "imitation", *SHORT, "--out", str(tmp_path), "--overwrite"]
    assert main(command) == 1
    assert "is not empty" in capsys.readouterr().err
    assert (tmp_path / "notes.txt").read_text() == "mine"
    assert main(["branching", "imitation", "--out", str(tmp_path / "notes.txt")]) == 1
    assert "is not a folder" in capsys.readouterr().err


def test_a_log_gets_a_column_when_a_new_name_comes(tmp_path, capsys):
    log = TrainingLog(tmp_path / "log.csv", progress=True)
    log({"loss": 2.0})
    log({"loss": 1.0, "nodes": 7})
    log({"nodes": 8})
    rows = list(csv.DictReader((tmp_path / "log.csv").read_text().splitlines()))
    assert [(row["loss"], row["nodes"]) for row in rows] == [("2.0", ""), ("1.0", "7"), ("", "8")]
    assert list(rows[0]) == ["seconds", "loss", "nodes"]
    assert not capsys.readouterr().err
    log.tell()
    assert "nodes 8" in capsys.readouterr().err


def test_a_device_that_is_not_here_is_told_before_anything_is_made(capsys, tmp_path):
    out = tmp_path / "agent"
    command = ["branching", "imitation", "--family", "micro", "--set", "device=cuda:77"]
    assert main([*command, "--out", str(out)]) == 2
    assert "cuda:77" in capsys.readouterr().err
    assert not out.exists()
