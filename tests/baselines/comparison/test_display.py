"""What a comparison prints about its runs where there is no terminal."""

import io

from rich.console import Console

from rewardloom.baselines.comparison.display import Display, RunView
from rewardloom.baselines.comparison.pool import Task


def test_lines_name_the_training_return_apart_from_the_evaluations(make_comparison):
    folder = make_comparison({"plain": [1.0]}, unfinished={("plain", 0)}) / "runs" / "plain"
    task = Task("plain seed 0", ["nothing"], folder / "seed0.log")
    task.state = "running"
    view = RunView("plain", 0, folder / "seed0", 20_000, task)
    shown = io.StringIO()
    with Display([view], Console(file=shown)) as display:
        display.tick()
    line = shown.getvalue().splitlines()[0]
    assert line.startswith("plain seed 0: running  10,000/20,000 steps")
    assert f"  training return {view.training_return:.4g}" in line
    assert "raw return" not in line
