"""`rewardloom evaluate --instances`, from the words to the files."""

import json
import subprocess
import sys

import pytest

from rewardloom.baselines.branching.agents import MostInfeasibleAgent, RandomAgent, save_agent
from rewardloom.baselines.branching.results import read_trials
from rewardloom.baselines.branching.statistics import summarize
from rewardloom.baselines.cli import main


def test_policies_are_compared_shown_and_written(capsys, tmp_path):
    for seed in (0, 1):
        save_agent(RandomAgent(seed), tmp_path / f"chance-{seed}")
    save_agent(MostInfeasibleAgent(), tmp_path / "nearest")
    out = tmp_path / "results"
    status = main(
        ["evaluate", str(tmp_path / "nearest"), "--group", f"chance={tmp_path}/chance-*",
         "--rules", "pscost,mostinf", "--instances", "micro:tiny:2", "--instances",
         "micro:train:1", "--solver-seeds", "2", "--node-limit", "100", "--out", str(out)]
    )  # fmt: skip
    shown = capsys.readouterr()
    assert status == 0
    for word in ("micro:tiny:2", "micro:train:1", "all instances", "chance (2)", "nearest",
                 "pscost", "random", "unsolved"):  # fmt: skip
        assert word in shown.out, word
    assert "36/36" in shown.err
    trials = read_trials(out / "results.csv")
    assert len(trials) == (1 + 2 + 2 + 1) * 3 * 2
    summary = json.loads((out / "summary.json").read_text())
    assert summary["settings"]["node_limit"] == 100
    assert set(summary["results"]) == {"micro:tiny:2", "micro:train:1", "all instances"}
    rows = {row["policy"]: row for row in summary["results"]["all instances"]}
    assert list(rows) == ["pscost", "mostinf", "nearest", "chance", "random"]
    assert rows["chance"]["training_seeds"] == 2
    assert rows["nearest"]["nodes"] == rows["mostinf"]["nodes"]
    again = {s.policy: s for s in summarize(trials, node_limit=100)}
    assert rows["chance"]["nodes"]["mean"] == again["chance"].metrics["nodes"].mean.point
    one = {row["policy"]: row for row in summary["results"]["micro:train:1"]}
    assert one["pscost"]["nodes"]["interval"] == [None, None]


def test_instances_that_need_no_decision_are_told(capsys, tmp_path):
    program = tmp_path / "easy.lp"
    program.write_text("Minimize\n x\nSubject To\n c: x >= 1\nBounds\n x <= 3\nGeneral\n x\nEnd\n")
    assert main(["evaluate", "--instances", str(program), "--solver-seeds", "1"]) == 0
    assert "1 of 1 instances were solved without a decision" in " ".join(
        capsys.readouterr().out.split()
    )


MICRO = ("--instances", "micro:tiny:1", "--solver-seeds", "1")


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        ((), "Give one RUN"),
        (("a", "b"), "Give one RUN"),
        (("a", "--rules", "pscost"), "--rules compares policies that branch"),
        (("a", "--group", "x=y"), "--group compares policies"),
        ((*MICRO, "--episodes", "3"), "--episodes has no meaning with --instances"),
        ((*MICRO, "--deterministic"), "--deterministic has no meaning"),
        ((*MICRO, "--rules", "pscots"), "Did you mean 'pscost'"),
        ((*MICRO, "--group", "x"), "NAME=DIR"),
        ((*MICRO, "--group", "x="), "NAME=DIR"),
        ((*MICRO, "--group", "x=none-*"), "No folder fits 'none-*'"),
        ((*MICRO, "--group", "x=none"), "There is no folder none"),
        ((*MICRO, "--group", "x=nearest,nearest"), "names a folder twice"),
        ((*MICRO, "none"), "There is no folder none"),
        ((*MICRO, "empty"), "holds no agent"),
        ((*MICRO, "nearest", "nearest"), "two of the policy 'nearest'"),
        ((*MICRO, "--preset", "lite"), "Did you mean 'light'"),
        ((*MICRO, "--node-limit", "0"), "node_limit"),
        ((*MICRO, "--time-limit", "0"), "time_limit"),
        ((*MICRO, "--reference", "pscost"), "Unknown policy 'pscost' as --reference"),
        ((*MICRO, "--jobs", "0"), "jobs"),
        ((*MICRO, "--out", "file"), "is a file"),
        (("--instances", "set_cver:tiny:1"), "Did you mean 'set_cover'"),
        (("--instances", "empty"), "holds no instance"),
    ],
)
def test_a_wrong_setting_is_one_line_and_nothing_is_run(capsys, tmp_path, monkeypatch, argv, words):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("")
    save_agent(MostInfeasibleAgent(), tmp_path / "nearest")
    assert main(["evaluate", *argv]) == 2
    shown = capsys.readouterr()
    assert not shown.out
    assert shown.err.count("\n") == 1
    assert words in shown.err


def test_the_commands_modules_load_neither_torch_nor_scip():
    code = (
        "import sys, rewardloom.baselines.commands.evaluate as e, "
        "rewardloom.baselines.commands.branching as b;"
        "heavy = {'torch', 'pyscipopt', 'rich'} & set(sys.modules); sys.exit(str(heavy) if heavy "
        "else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_an_agent_without_instances_is_told_what_it_needs(capsys, tmp_path):
    save_agent(MostInfeasibleAgent(), tmp_path / "nearest")
    assert main(["evaluate", str(tmp_path / "nearest")]) == 2
    message = capsys.readouterr().err
    assert "rewardloom branching" in message
    assert "--instances SET" in message
