"""What a comparison prints about its runs where there is no terminal."""

import io
import re

from rich.console import Console

from rewardloom.baselines.comparison.compare import comparison_runs, read_comparison
from rewardloom.baselines.comparison.display import Display, RunView, score_table
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
    assert f"  training return {view.training_return:.4g} (raw)" in line
    assert "raw return" not in line


def test_the_scores_at_the_end_have_a_row_per_arm_with_the_interval(make_comparison):
    scores = {"plain": [1.0, 2.0], "count": [1500.0], "none": [5.0]}
    folder = make_comparison(scores, unfinished={("count", 1), ("none", 0)})
    records = comparison_runs(folder, read_comparison(folder)[0])
    shown = io.StringIO()
    Console(file=shown, width=100).print(score_table(records))
    rows = [re.sub(r"[^\S\n]+", " ", line).strip(" │┃") for line in shown.getvalue().splitlines()]
    assert "plain │ 1.5 │ 1 to 2 │ 2 of 2" in rows
    assert "count │ 1,500 │ – │ 1 of 2" in rows
    assert "none │ – │ – │ 0 of 2" in rows
