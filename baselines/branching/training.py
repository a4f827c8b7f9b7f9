"""Trains an agent into a folder.

- `train_into`: agent, configuration and log of one training.
- `TrainingLog`: a CSV file that grows with what a learner tells.
"""

from __future__ import annotations

import csv
import dataclasses
import math
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from time import monotonic
from typing import Any

from rewardloom.baselines.branching.agents import BranchingAgent, save_agent
from rewardloom.baselines.training.folder import write_json
from rewardloom.errors import ConfigError, RunError

__all__ = ["TrainingLog", "train_into"]

_FILES = ("agent.json", "agent.pt", "config.json", "log.csv")
_LINE = 5.0  # seconds between lines of progress


def train_into(
    folder: Path,
    learner: str,
    config: Any,
    train: Callable[[Any, Callable[[dict[str, float]], None]], BranchingAgent],
    *,
    overwrite: bool = False,
    progress: bool = True,
) -> BranchingAgent:
    """Train and write `config.json` and `log.csv` as it goes, and the agent at its end.

    An agent that is to be replaced stays until the new one is there: all is written to a folder
    beside it, called like it with `.partial` behind, which a training that breaks off leaves.

    Args:
        folder: Where; it is made if need be.
        learner: Name of the learner, kept in `config.json`.
        config: A dataclass that is JSON but for mappings.
        train: Called with the config and a function that takes each row of the log.
        overwrite: Replace the files of an agent that is already there.
        progress: Tell the latest row on standard error every five seconds.

    Returns:
        The agent.

    Raises:
        RunError: The folder is not empty.
        ConfigError: As `train` raises it; a new folder is gone again then.
    """
    place = folder
    if _taken(folder, overwrite=overwrite):
        whole = folder.resolve()
        place = whole.with_name(f"{whole.name}.partial")
        _taken(place, overwrite=True)
        _clear(place)
    place.mkdir(parents=True, exist_ok=True)
    write_json(place / "config.json", {"learner": learner, "config": _as_json(config)})
    log = TrainingLog(place / "log.csv", progress=progress)
    try:
        agent = train(config, log)
    except ConfigError:  # nothing was learned: leave no folder that is in the way
        _clear(place)
        raise
    log.tell()
    save_agent(agent, place)
    if place != folder:
        _replace(folder, place)
    return agent


def _taken(folder: Path, *, overwrite: bool) -> bool:
    """Return whether something is in the folder; refuse what must not be replaced."""
    if folder.exists() and not folder.is_dir():
        raise RunError(f"{folder} is not a folder; choose another --out.")
    taken = {entry.name for entry in folder.iterdir()} if folder.is_dir() else set()
    if taken and not (overwrite and "config.json" in taken and taken <= set(_FILES)):
        raise RunError(
            f"{folder} is not empty; choose another --out, or replace an agent with --overwrite."
        )
    return bool(taken)


def _clear(folder: Path) -> None:
    """Remove a folder with an agent, if there is one."""
    for name in _FILES:
        (folder / name).unlink(missing_ok=True)
    if folder.is_dir():
        folder.rmdir()


def _replace(folder: Path, new: Path) -> None:
    """Put the files of a new agent in place of the old one's."""
    for name in _FILES:
        if (new / name).exists():
            os.replace(new / name, folder / name)
        else:
            (folder / name).unlink(missing_ok=True)
    new.rmdir()


class TrainingLog:
    """Writes what a learner tells, a row each time, and the seconds since the log began.

    A row with a new name rewrites the file with one more column; what a row lacks is empty.

    Args:
        file: A CSV file.
        progress: Also tell the latest row on standard error every five seconds.
    """

    def __init__(self, file: Path, *, progress: bool = False):
        self._file = file
        self._progress = progress
        self._rows: list[dict[str, float]] = []
        self._names: list[str] = []
        self._begin = self._told = monotonic()

    def __call__(self, row: Mapping[str, float]) -> None:
        """Add a row."""
        full = {"seconds": round(monotonic() - self._begin, 3), **row}
        self._rows.append(full)
        new = [name for name in full if name not in self._names]
        self._names += new
        rows = self._rows if new else [full]
        with open(self._file, "w" if new else "a", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, self._names)
            if new:
                writer.writeheader()
            writer.writerows(rows)
        if monotonic() - self._told >= _LINE:
            self.tell()

    def tell(self) -> None:
        """Print the latest row."""
        self._told = monotonic()
        if self._progress and self._rows:
            shown = (f"{name} {value:.5g}" for name, value in self._rows[-1].items())
            print("  ".join(shown), file=sys.stderr, flush=True)


def _as_json(value: Any) -> Any:
    """Return dataclasses and mappings as dicts; infinite numbers as text."""
    if dataclasses.is_dataclass(value):
        return {f.name: _as_json(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): _as_json(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_as_json(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value
