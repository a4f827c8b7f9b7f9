"""Shows how the runs of a comparison go: a live table on a terminal, plain lines elsewhere.

- `Display`, `RunView`: while they run.
- `score_table`: when they have run.
"""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np
from rich.console import Console
from rich.live import Live
from rich.table import Table

from rewardloom.baselines.comparison.pool import Task
from rewardloom.baselines.comparison.results import RunRecord
from rewardloom.baselines.comparison.sections import number
from rewardloom.baselines.comparison.statistics import estimate
from rewardloom.baselines.training.folder import RunFolder

__all__ = ["Display", "RunView", "run_progress", "score_table"]

_REFRESH = 1.0  # seconds between looks at the folders
_LINE = 15.0  # seconds between plain lines about a running run
_TAIL = 16_384  # bytes of episodes.csv that are read
_RECENT = 20  # episodes that the training return is taken over
_STYLE = {"running": "cyan", "evaluating": "cyan", "finished": "green", "failed": "bold red"}


@dataclass
class RunView:
    """What is shown about one run.

    Attributes:
        arm: Its arm.
        seed: Its seed.
        folder: Its folder.
        total: Steps it is trained for.
        task: Its process.
    """

    arm: str
    seed: int
    folder: Path
    total: int
    task: Task
    step: int = 0
    training_return: float | None = None
    _first: tuple[float, int] | None = None
    _rate: float | None = None

    def look(self) -> None:
        """Read the folder again."""
        step, self.training_return = run_progress(self.folder)
        now = monotonic()
        if self.task.state == "running" and step > self.step:
            if self._first is None:
                self._first = (now, step)
            elif now > self._first[0]:
                self._rate = (step - self._first[1]) / (now - self._first[0])
        self.step = step

    @property
    def state(self) -> str:
        """The task's state; "evaluating" once all steps are taken."""
        if self.task.state == "running" and self.step >= self.total:
            return "evaluating"
        return self.task.state

    @property
    def rate(self) -> float | None:
        """Steps per second since the first rollout of this process."""
        return self._rate if self.task.state == "running" else None

    def cells(self) -> tuple[str, ...]:
        """Return the run as a row of text."""
        left = max(self.total - self.step, 0)
        eta = "" if not self.rate or not left else f"{left / self.rate:.0f} s"
        return (
            self.arm,
            str(self.seed),
            self.state,
            f"{min(self.step, self.total):,}/{self.total:,}",
            "" if self.rate is None else f"{self.rate:,.0f}",
            eta,
            "" if self.training_return is None else f"{self.training_return:.4g}",
            self.task.error,
        )


class Display:
    """Follows runs; use as a context manager and call `tick` often.

    Args:
        views: The runs.
        console: Where to write; None takes standard error.
    """

    def __init__(self, views: list[RunView], console: Console | None = None):
        self._views = views
        self._console = console or Console(file=sys.stderr)
        self._live: Live | None = None
        self._next = 0.0
        self._lines: dict[int, tuple[str, float]] = {}

    def __enter__(self) -> Display:
        if self._console.is_terminal:
            self._live = Live(
                self._table(), console=self._console, auto_refresh=False, transient=False
            )
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._show()
        if self._live is not None:
            self._live.stop()

    def tick(self) -> None:
        """Look at the runs once a second and show what changed."""
        if monotonic() >= self._next:
            self._next = monotonic() + _REFRESH
            self._show()

    def _show(self) -> None:
        for view in self._views:
            if view.task.state != "waiting":
                view.look()
        if self._live is not None:
            self._live.update(self._table(), refresh=True)
            return
        for index, view in enumerate(self._views):
            self._line(index, view)

    def _table(self) -> Table:
        done = sum(view.task.state == "finished" for view in self._views)
        table = Table(title=f"{done} of {len(self._views)} runs finished", title_justify="left")
        for name in (
            "arm",
            "seed",
            "state",
            "steps",
            "steps/s",
            "left",
            "raw training return",
            "note",
        ):
            table.add_column(name, justify="left" if name in ("arm", "state", "note") else "right")
        for view in self._views:
            table.add_row(*view.cells(), style=_STYLE.get(view.state, "dim"))
        return table

    def _line(self, index: int, view: RunView) -> None:
        """Print a plain line at each change of state and now and then between."""
        state, shown = self._lines.get(index, ("waiting", 0.0))
        now = monotonic()
        if view.state == state and (state != "running" or now - shown < _LINE):
            return
        self._lines[index] = (view.state, now)
        arm, seed, word, steps, rate, eta, earned, note = view.cells()
        facts: list[Any] = [f"{arm} seed {seed}: {word}", f"{steps} steps"]
        facts += [f"{rate} steps/s"] if rate else []
        facts += [f"{eta} left"] if eta else []
        facts += [f"training return {earned} (raw)"] if earned else []
        facts += [note] if note else []
        print("  ".join(facts), file=self._console.file, flush=True)


def score_table(records: Sequence[RunRecord]) -> Table:
    """Return a table of the arms' evaluations: raw return, its interval, and finished runs."""
    table = Table(title="Raw return without designs", title_justify="left")
    table.add_column("arm")
    for heading in ("IQM", "95 % interval", "runs"):
        table.add_column(heading, justify="right")
    for arm in dict.fromkeys(record.arm for record in records):
        runs = [record for record in records if record.arm == arm]
        scores = [run.scores["raw_return"] for run in runs if run.finished]
        point = between = number(math.nan)
        if scores:
            found = estimate(scores)
            point = number(found.point)
            if math.isfinite(found.low):
                between = f"{number(found.low)} to {number(found.high)}"
        table.add_row(arm, point, between, f"{len(scores)} of {len(runs)}")
    return table


def run_progress(path: Path) -> tuple[int, float | None]:
    """Return a run's step and the mean raw return of its last episodes (None before the first).

    `status.json` is written at checkpoints only, `episodes.csv` after every rollout.
    """
    folder = RunFolder(path)
    if not folder.exists:
        return 0, None
    step = int(folder.read_status()["step"])
    rows = _last_rows(folder.episodes)
    if not rows:
        return step, None
    recent = [raw for _, raw in rows[-_RECENT:]]
    return max(step, int(rows[-1][0])), float(np.mean(recent))


def _last_rows(path: Path) -> list[tuple[float, float]]:
    """Return (step, raw return) of the last whole lines; they are the first two columns."""
    try:
        with open(path, "rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(file.tell() - _TAIL, 0))
            text = file.read().decode()
    except OSError:
        return []
    rows = []
    for line in text.split("\n")[1:-1]:  # the header or a torn line, and what is being written
        step, raw = line.split(",", 2)[:2]
        rows.append((float(step), float(raw)))
    return rows
