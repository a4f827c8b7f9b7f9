"""Real comparisons on CartPole, through the command line."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

SETTINGS = {
    "world": "CartPole-v1",
    "steps": 256,
    "num_envs": 2,
    "seeds": 2,
    "jobs": 2,
    "eval_episodes": 2,
    "algo_kwargs": {"n_steps": 64, "batch_size": 64, "n_epochs": 1},
    "arms": {"plain": [], "count": ["count:coef=0.1,resolution=0.25"]},
}


def command(*words):
    return [sys.executable, "-m", "rewardloom.baselines.cli", "compare", *map(str, words)]


def run(*words):
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        command(*words), capture_output=True, text=True, check=False, env=environment
    )


def write_config(tmp_path, **changes):
    path = tmp_path / "compare.json"
    path.write_text(json.dumps({**SETTINGS, **changes}))
    return path


@pytest.mark.slow
def test_two_arms_over_two_seeds_make_one_report(tmp_path):
    out = tmp_path / "out"
    done = run("--config", write_config(tmp_path), "--out", out)
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith(f"Report: {out / 'report.html'}\n")
    assert "2 of 2" in done.stdout
    assert "plain seed 1: finished" in done.stderr
    page = (out / "report.html").read_text()
    for words in ("plain", "count", "count: bonus", "2 seeds per arm", "data:image/webp;base64,"):
        assert words in page
    assert len((out / "results.csv").read_text().splitlines()) == 5

    before = (out / "runs" / "plain" / "seed0" / "model.zip").stat().st_mtime_ns
    again = run("--resume", out)
    assert again.returncode == 0, again.stderr
    assert (out / "runs" / "plain" / "seed0" / "model.zip").stat().st_mtime_ns == before
    refused = run("--config", write_config(tmp_path), "--out", out)
    assert refused.returncode == 1
    assert f"Continue it with --resume {out}" in refused.stderr


@pytest.mark.slow
def test_a_failing_arm_is_shown_and_the_other_reported(tmp_path):
    arms = {"plain": [], "broken": {"algo_kwargs": {"n_stepz": 3}}}
    out = tmp_path / "out"
    done = run("--config", write_config(tmp_path, arms=arms, seeds=1), "--out", out)
    assert done.returncode == 1
    assert "broken seed 0 failed" in done.stderr
    assert "Did you mean 'n_steps'" in done.stderr
    assert "broken seed 0</b> is left out" in (out / "report.html").read_text()


def test_ctrl_c_stops_the_children_and_resume_finishes(tmp_path):
    out = tmp_path / "out"
    config = write_config(tmp_path, steps=40_000, seeds=1)
    process = subprocess.Popen(
        command("--config", config, "--out", out),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    status = [out / "runs" / arm / "seed0" / "status.json" for arm in SETTINGS["arms"]]
    deadline = time.monotonic() + 60
    while not all(path.exists() for path in status) and time.monotonic() < deadline:
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert f"Continue with: rewardloom compare --resume {out}" in err
    left = subprocess.run(
        ["pgrep", "-f", str(out)], capture_output=True, text=True, check=False
    ).stdout
    assert left == ""
    states = [json.loads(path.read_text())["state"] for path in status]
    assert "running" not in states
    done = run("--resume", out)
    assert done.returncode == 0, done.stderr
    assert (out / "report.html").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "Give the folder"),
        (("--out", "x"), "WORLD is missing"),
        (("CartPole-v1", "--steps", "9", "--out", "x"), "--arm NAME is missing"),
        (("CartPole-v1", "--arm", "a", "--arm", "a", "--out", "x"), "given twice"),
        (("CartPole-v1", "--seed", "3", "--out", "x"), "compare takes --seeds"),
        (("CartPole-v1", "--design", "count", "--out", "x"), "compare takes --arm"),
        (("CartPole-v9", "--arm", "a", "--steps", "9", "--out", "x"), "CartPole"),
        (
            ("NetHackStaircase2-v0", "--arm", "a", "--steps", "9", "--out", "x"),
            "rewardloom:rewardloom/",
        ),
        (("CartPole-v1", "--arm", "a", "--success-level", "x", "--out", "x"), "--success-level"),
        (("--resume", "x", "--steps", "9"), "takes the settings from the folder"),
        (("--resume", "nowhere"), "holds no comparison"),
        (("CartPole-v1", "--arm", "a", "--seeds", "x", "--steps", "9", "--out", "y"), "--seeds"),
    ],
)
def test_wrong_words_are_one_clear_line(words, message, tmp_path, monkeypatch, capsys):
    from rewardloom.baselines.cli import main

    monkeypatch.chdir(tmp_path)
    assert main(["compare", *words]) in (1, 2)
    err = capsys.readouterr().err
    assert message in err
    assert err.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_the_scores_and_the_report_are_the_last_words(make_comparison, capsys):
    from rewardloom.baselines.cli import main

    folder = make_comparison({"plain": [1.0, 2.0], "count": [3.0, 4.0]})
    assert main(["compare", "--report-only", str(folder)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == f"Report: {folder / 'report.html'}"
    assert any("count" in line and "3 to 4" in line for line in lines)
