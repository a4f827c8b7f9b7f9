"""Reads the finished runs of a comparison and boils them down to numbers.

- `RunRecord`, `read_run`: one run as it lies in its folder.
- `ArmResult`, `arm_results`: an arm's estimates and curves over its finished runs.
- `split_diagnostic`: the design and the key in the name of a diagnostic's curve.
- `write_results`: `results.csv`, one row per run.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from rewardloom.baselines.comparison.levels import steps_to_level
from rewardloom.baselines.comparison.statistics import (
    Array,
    Curve,
    Estimate,
    bin_episodes,
    estimate,
    interpolated_curve,
    learning_curve,
    mean,
)
from rewardloom.baselines.training.folder import RunFolder

__all__ = [
    "DIAGNOSTIC",
    "ArmResult",
    "RunRecord",
    "arm_results",
    "read_run",
    "split_diagnostic",
    "write_results",
]

DIAGNOSTIC = "diagnostic/"
"""Names of curves that come from `designs.csv` begin so: "diagnostic/<design>/<key>"."""

_BINS = (4, 40)  # fewest and most
_EPISODES_PER_BIN = 4  # of the run with the fewest episodes


@dataclass(frozen=True)
class RunRecord:
    """One run of a comparison.

    Attributes:
        arm: Its arm.
        seed: Its training seed.
        path: Its folder.
        state: "finished", or what else `status.json` says; "missing" without a folder.
        step: Environment steps taken.
        evaluation: Content of `evaluation.json`, or {}.
        timing: Content of `timing.json`, or {}.
        versions: Content of `versions.json`, or {}.
        episodes: column of `episodes.csv` -> (E,) numbers, NaN where an episode has none.
        diagnostics: "diagnostic/<design>/<key>" -> steps and values, (M,) each, of `designs.csv`.
    """

    arm: str
    seed: int
    path: Path
    state: str
    step: int = 0
    evaluation: dict[str, Any] = field(default_factory=dict)
    timing: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, Any] = field(default_factory=dict)
    episodes: dict[str, Array] = field(default_factory=dict)
    diagnostics: dict[str, tuple[Array, Array]] = field(default_factory=dict)

    @property
    def finished(self) -> bool:
        """Whether the run counts: it trained to the end and was evaluated."""
        return self.state == "finished" and bool(self.evaluation) and bool(self.timing)

    @property
    def scores(self) -> dict[str, float]:
        """Return the means over evaluation episodes: raw_return, length, the world's metrics."""
        found = {
            "raw_return": self.evaluation["raw_return"]["mean"],
            "length": self.evaluation["length"]["mean"],
        }
        found |= {name: value["mean"] for name, value in self.evaluation["metrics"].items()}
        if self.evaluation["is_success"] is not None:
            found.setdefault("is_success", self.evaluation["is_success"])
        return found


@dataclass(frozen=True)
class ArmResult:
    """What the finished runs of an arm say.

    Attributes:
        name: The arm.
        runs: Its finished runs, by seed.
        raw_return: Interquartile mean over runs of the evaluation's mean raw return.
        metrics: length and the world's metrics -> mean over runs, from the evaluation.
        curves: column of `episodes.csv`, or name of a diagnostic -> its curve over training.
        last: name of a diagnostic -> mean over runs of its last value.
        share: part -> share of the training's wall time, mean over runs.
    """

    name: str
    runs: list[RunRecord]
    raw_return: Estimate
    metrics: dict[str, Estimate]
    curves: dict[str, Curve]
    last: dict[str, Estimate]
    share: dict[str, float]

    @property
    def steps_per_second(self) -> float:
        """Mean over runs."""
        return float(np.mean([run.timing["steps_per_second"] for run in self.runs]))

    @property
    def wall_seconds(self) -> float:
        """Training time of all runs together."""
        return float(sum(run.timing["wall_seconds"] for run in self.runs))

    @property
    def eval_episodes(self) -> int:
        """Evaluation episodes of all runs together."""
        return sum(run.evaluation["episodes"] for run in self.runs)

    @property
    def failed_episodes(self) -> int:
        """Evaluation episodes of all runs that the infrastructure failed and nobody scored."""
        return sum(run.evaluation.get("failed_episodes", 0) for run in self.runs)


def read_run(arm: str, seed: int, path: Path) -> RunRecord:
    """Return what lies in a run's folder; a folder without a run gives state "missing"."""
    folder = RunFolder(path)
    if not folder.exists:
        return RunRecord(arm, seed, path, "missing")
    status = folder.read_status()
    return RunRecord(
        arm,
        seed,
        path,
        status["state"],
        status["step"],
        _read_json(folder.evaluation),
        _read_json(folder.timing),
        _read_json(folder.versions),
        _read_columns(folder.episodes),
        _read_diagnostics(folder.designs),
    )


def arm_results(records: list[RunRecord]) -> list[ArmResult]:
    """Return one result per arm that has a finished run, in the order of `records`."""
    finished = [record for record in records if record.finished]
    if not finished:
        return []
    edges = _bin_edges(finished)
    by_arm: dict[str, list[RunRecord]] = {}
    for record in finished:
        by_arm.setdefault(record.arm, []).append(record)
    return [_arm_result(name, runs, edges) for name, runs in by_arm.items()]


def split_diagnostic(column: str) -> tuple[str, str]:
    """Return the design and the key of "diagnostic/<design>/<key>"."""
    design, _, key = column.removeprefix(DIAGNOSTIC).rpartition("/")
    return design, key


def write_results(
    path: Path, records: list[RunRecord], level: Mapping[str, Any] | None = None
) -> None:
    """Write one row per run: arm, seed, state, scores, speed.

    With a success level also `steps_to_level`, empty where a run did not reach it, and
    `reached_level` (1 or 0, empty where it was not measured).
    """
    rows = [_row(record, level) for record in records]
    columns = list(dict.fromkeys(column for row in rows for column in row))
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def _arm_result(name: str, runs: list[RunRecord], edges: Array) -> ArmResult:
    scores = [run.scores for run in runs]
    metrics = [key for key in scores[0] if key != "raw_return"]
    parts = runs[0].timing["share"]
    return ArmResult(
        name,
        runs,
        estimate([score["raw_return"] for score in scores]),
        {
            key: estimate([score[key] for score in scores], mean)
            for key in metrics
            if all(key in score for score in scores)
        },
        {**_curves(runs, edges), **_diagnostic_curves(runs)},
        {
            name: estimate([run.diagnostics[name][1][-1] for run in runs], mean)
            for name in _shared_diagnostics(runs)
        },
        {part: float(np.mean([run.timing["share"][part] for run in runs])) for part in parts},
    )


def _curves(runs: list[RunRecord], edges: Array) -> dict[str, Curve]:
    """Return the curves of every column that all runs have; one without any value is left out."""
    curves = {}
    for column in runs[0].episodes:
        if column == "step" or not all(column in run.episodes for run in runs):
            continue
        binned = [bin_episodes(run.episodes["step"], run.episodes[column], edges) for run in runs]
        curve = learning_curve(binned, edges)
        if np.isfinite(curve.point).any():
            curves[column] = curve
    return curves


def _shared_diagnostics(runs: list[RunRecord]) -> list[str]:
    return [n for n in runs[0].diagnostics if all(n in run.diagnostics for run in runs)]


def _diagnostic_curves(runs: list[RunRecord]) -> dict[str, Curve]:
    """Return the curves of every diagnostic that all runs have at a common step."""
    curves = {}
    for name in _shared_diagnostics(runs):
        curve = interpolated_curve([run.diagnostics[name] for run in runs])
        if len(curve.step):
            curves[name] = curve
    return curves


def _bin_edges(records: list[RunRecord]) -> Array:
    fewest = min(len(record.episodes.get("step", ())) for record in records)
    bins = int(np.clip(fewest // _EPISODES_PER_BIN, *_BINS))
    return np.linspace(0.0, max(record.step for record in records), bins + 1)


def _row(record: RunRecord, level: Mapping[str, Any] | None) -> dict[str, Any]:
    row: dict[str, Any] = {
        "arm": record.arm,
        "seed": record.seed,
        "state": record.state,
        "steps": record.step,
    }
    if record.finished:
        scores = record.scores
        row |= {
            "eval_episodes": record.evaluation["episodes"],
            "raw_return": scores.pop("raw_return"),
            "raw_return_std": record.evaluation["raw_return"]["std"],
            **scores,
            "steps_per_second": record.timing["steps_per_second"],
            "wall_seconds": record.timing["wall_seconds"],
        }
        steps = None if level is None else steps_to_level(record.episodes, level)
        if steps is not None:
            reached = np.isfinite(steps)
            row |= {"steps_to_level": steps if reached else "", "reached_level": int(reached)}
    return row


def _read_json(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def _read_columns(path: Path) -> dict[str, Array]:
    if not path.is_file():
        return {}
    with open(path, newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    if not rows:
        return {}
    header, body = rows[0], [row for row in rows[1:] if len(row) == len(rows[0])]
    table = np.array([[float(cell or "nan") for cell in row] for row in body])
    table = table.reshape(len(body), len(header))
    return {name: table[:, i] for i, name in enumerate(header)}


def _read_diagnostics(path: Path) -> dict[str, tuple[Array, Array]]:
    if not path.is_file():
        return {}
    found: dict[str, list[tuple[float, float]]] = {}
    with open(path, newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            step, design = float(row.pop("step")), row.pop("design")
            for key, text in row.items():
                if text and np.isfinite(float(text)):
                    found.setdefault(f"{DIAGNOSTIC}{design}/{key}", []).append((step, float(text)))
    tables = {name: np.array(pairs) for name, pairs in found.items()}
    return {name: (table[:, 0], table[:, 1]) for name, table in tables.items()}
