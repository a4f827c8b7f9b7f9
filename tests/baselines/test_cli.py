import json
import subprocess
import sys

import pytest

from rewardloom.baselines.cli import COMMANDS, main
from rewardloom.baselines.commands.envs import world_rows
from rewardloom.registration import WORLDS

TRAIN = ["train", "CartPole-v1", "--steps", "256", "--num-envs", "2", "--set", "n_steps=64",
         "--eval-episodes", "2", "--no-progress"]  # fmt: skip


def fails(capsys, *argv):
    """Run a command that must fail; return its status and its one line on standard error."""
    status = main(argv)
    out, err = capsys.readouterr()
    assert not out
    assert err.endswith("\n")
    assert err.count("\n") == 1
    assert err.startswith("rewardloom")
    return status, err


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["trian"], "Did you mean 'train'"),
        (["train", "--stepz", "5"], "Did you mean --steps"),
        (["train", "--step=5"], "Did you mean --steps"),
        (["train", "A-v0", "B-v0"], "'B-v0'"),
        (["train", "--steps", "abc"], "--steps"),
        (["train", "CartPole-v1", "--out", "x"], "--steps N is missing"),
        (["train", "--steps", "5", "--out", "x"], "WORLD is missing"),
        (["train", "CartPole-v1", "--steps", "5"], "--out DIR"),
        (["train", "--resume", "x", "--seed", "1"], "its own settings"),
        (["train", "--resume", "x", "--out", "y"], "--resume"),
        ([*TRAIN, "--out", "x", "--design", "cuont"], "Did you mean 'count'"),
        ([*TRAIN, "--out", "x", "--design", "count:coeff=1"], "Did you mean 'coef'"),
        ([*TRAIN, "--out", "x", "--set", "gama=1"], "Did you mean 'gamma'"),
        ([*TRAIN, "--out", "x", "--set", "gamma"], "key=value in --set"),
        ([*TRAIN, "--out", "x", "--algo", "pop"], "Did you mean 'ppo'"),
        ([*TRAIN, "--out", "x", "--seed", "-1"], "'seed'"),
        ([*TRAIN, "--out", "x", "--device", "toaster"], "toaster"),
        ([*TRAIN, "--out", "x", "--config", "none.json"], "none.json"),
        (["train", "CartPol-v1", "--steps", "5", "--out", "x"], "CartPole"),
        (["train", "rewardloom/NetHackScor-v0", "--steps", "5", "--out", "x"], "NetHackScore"),
        (["evaluate"], "RUN"),
    ],
)
def test_a_wrong_setting_is_one_line_and_status_2(capsys, tmp_path, monkeypatch, argv, words):
    monkeypatch.chdir(tmp_path)
    status, line = fails(capsys, *argv)
    assert status == 2
    assert words in line
    assert not (tmp_path / "x").exists()


def test_a_run_that_is_not_there_is_status_1(capsys, tmp_path):
    for argv in (["train", "--resume", str(tmp_path)], ["evaluate", str(tmp_path)]):
        status, line = fails(capsys, *argv)
        assert status == 1
        assert "holds no training run" in line


def test_training_evaluating_and_the_taken_folder(capsys, tmp_path):
    out = str(tmp_path / "run")
    assert main([*TRAIN, "--out", out, "--design", "count:coef=0.5,resolution=1"]) == 0
    told = capsys.readouterr().out
    assert "256 steps" in told
    assert "learning" in told
    assert "2 evaluation episodes without designs" in told
    settings = json.loads((tmp_path / "run" / "config.json").read_text())
    assert settings["designs"] == [{"design": "count", "coef": 0.5, "resolution": 1}]
    assert settings["algo_kwargs"] == {"n_steps": 64}

    status, line = fails(capsys, *TRAIN, "--out", out)
    assert status == 1
    assert "--overwrite" in line
    assert main(["train", "--resume", out]) == 0
    capsys.readouterr()

    result = tmp_path / "result.json"
    assert main(["evaluate", out, "--episodes", "3", "--out", str(result)]) == 0
    shown, full = json.loads(capsys.readouterr().out), json.loads(result.read_text())
    assert len(full["raw_return"]["values"]) == 3
    assert shown["raw_return"]["mean"] == full["raw_return"]["mean"]
    assert "values" not in shown["raw_return"]


def test_flags_win_over_the_file(tmp_path, capsys):
    file = tmp_path / "base.json"
    base = {"world": "Nowhere-v0", "steps": 256, "seed": 5, "algo_kwargs": {"n_epochs": 1}}
    file.write_text(json.dumps({**base, "num_envs": 2, "eval_episodes": 0}))
    command = ["train", "CartPole-v1", "--config", str(file), "--set", "n_steps=64"]
    assert main([*command, "--out", str(tmp_path / "run"), "--no-progress"]) == 0
    settings = json.loads((tmp_path / "run" / "config.json").read_text())
    assert (settings["world"], settings["seed"]) == ("CartPole-v1", 5)
    assert settings["algo_kwargs"] == {"n_epochs": 1, "n_steps": 64}


def test_help_names_every_command_and_loads_no_torch():
    code = (
        "import sys; from rewardloom.baselines.cli import main; status = main(['--help']);"
        "heavy = {'torch', 'stable_baselines3', 'rich', 'matplotlib', 'nle'} & set(sys.modules);"
        "sys.exit(f'loaded {heavy}' if heavy else status)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for command in COMMANDS:
        assert command in done.stdout


def test_no_command_shows_the_help(capsys):
    assert main([]) == 0
    assert "COMMAND" in capsys.readouterr().out


def test_envs_lists_worlds_and_designs(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    assert main(["envs"]) == 0
    listing = capsys.readouterr().out
    for name in (*WORLDS, "count", "CountReward"):
        assert name in listing


def test_a_world_says_what_it_needs():
    rows = {row.id: row for row in world_rows()}
    row = rows["rewardloom/NetHackScore-v0"]
    assert row.components
    assert set(row.terminal) <= set(row.components)
    assert row.needs.startswith("nle")
    assert rows["rewardloom/MilpBranching-v0"].needs.startswith("pyscipopt")


def test_modules_in_the_folder_of_the_user_are_found(tmp_path):
    """As `compare` finds them, whose runs are started with python -m."""
    (tmp_path / "courier.py").write_text("")
    code = "import sys; from rewardloom.baselines.cli import main; sys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-P", "-c", code] if sys.version_info >= (3, 11) else None
    if command is None:
        pytest.skip("python -P, which leaves the folder out as a console script does, is of 3.11")
    done = subprocess.run(
        [*command, "train", "courier:Courier-v0", "--steps", "8", "--out", "run"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert "Courier" in done.stderr
    assert "no module" not in done.stderr
