"""`compare`: trains every arm once per seed in processes of their own and writes the report.

compare.json         the `CompareConfig`, the command and what was used
runs/<arm>/seed<k>/  training runs; beside each its log
replays/             an episode of one agent per arm
report.html, report.png, results.csv
"""

from __future__ import annotations

import json
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any

from rewardloom.baselines.comparison.config import CompareConfig, available_cores
from rewardloom.baselines.comparison.display import Display, RunView
from rewardloom.baselines.comparison.pool import Task, run_tasks
from rewardloom.baselines.comparison.results import RunRecord, arm_results, read_run
from rewardloom.baselines.training.folder import RunFolder, write_json
from rewardloom.baselines.training.world_parts import find_world
from rewardloom.errors import ConfigError, RunError

__all__ = ["CompareResult", "compare", "comparison_runs", "make_report", "read_comparison"]

_REPLAY_SECONDS = 180.0


@dataclass(frozen=True)
class CompareResult:
    """How a comparison ended.

    Attributes:
        folder: Where everything lies.
        records: One per run, arms in their order.
        errors: "arm seed k" -> last line of a run that failed.
        report: `report.html`, or None where no run finished.
        signal_number: What interrupted it, or None.
    """

    folder: Path
    records: list[RunRecord]
    errors: dict[str, str]
    report: Path | None
    signal_number: int | None = None


def compare(
    config: CompareConfig | None,
    out: str | Path,
    *,
    resume: bool = False,
    overwrite: bool = False,
    command: str = "",
) -> CompareResult:
    """Train all runs, `config.jobs` at a time, then write the report.

    Ctrl-C, SIGTERM and SIGHUP end the children (they save their agents first) and then this call.

    Args:
        config: The settings; None with `resume` takes those in `out`.
        out: Folder of the comparison.
        resume: Keep finished runs, continue interrupted ones from their checkpoints.
        overwrite: Replace a comparison that is already in `out`.
        command: The command line, for the report.

    Raises:
        ConfigError: no such world.
        RunError: `out` is taken, holds nothing to resume, or has other settings; or every run
            failed.
    """
    folder = Path(out)
    kept: dict[str, Any] = {}
    if resume:
        stored, kept = read_comparison(folder)
        if config is not None and config.to_dict() | {"jobs": 0} != stored.to_dict() | {"jobs": 0}:
            raise RunError(
                f"{folder} was started with other settings. Resume it with its own: rewardloom "
                f"compare --resume {folder}"
            )
        config = config or stored
    elif config is None:
        raise ConfigError("compare needs a CompareConfig, or resume=True.")
    else:
        find_world(config.common.world)  # before any process starts
        _check_free(folder, overwrite)
    facts = _start(folder, config, kept, command)
    started = monotonic()
    views = _views(folder, config)
    with Display(views) as display:
        stopped = run_tasks([view.task for view in views], config.jobs, on_tick=display.tick)
    facts["wall_seconds"] += monotonic() - started
    _write(folder, config, facts)
    if stopped is not None:
        records = comparison_runs(folder, config)
        return CompareResult(folder, records, _failures(views), None, stopped)
    return _report(folder, _failures(views))


def make_report(out: str | Path) -> CompareResult:
    """Write `report.html`, `report.png` and `results.csv` from the runs in a folder.

    Raises:
        RunError: the folder holds no comparison, or none of its runs is finished.
    """
    return _report(Path(out), {})


def _report(folder: Path, errors: dict[str, str]) -> CompareResult:
    config, facts = read_comparison(folder)
    records = comparison_runs(folder, config)
    arms = arm_results(records)
    if not arms:
        reasons = "; ".join(dict.fromkeys(errors.values()))
        raise RunError(f"No run in {folder} is finished. {reasons}".strip())
    from rewardloom.baselines.comparison.report import write_report

    recordings = [_replay_task(folder, arm.runs[0]) for arm in arms]
    stopped = run_tasks(recordings, config.jobs)
    if stopped is not None:
        return CompareResult(folder, records, errors, None, stopped)
    unrecorded = {task.name: task.error for task in recordings if task.state == "failed"}
    report = write_report(folder, config, facts, records, arms, errors | unrecorded)
    return CompareResult(folder, records, errors, report)


def _failures(views: list[RunView]) -> dict[str, str]:
    return {view.task.name: view.task.error for view in views if view.task.state == "failed"}


def read_comparison(folder: str | Path) -> tuple[CompareConfig, dict[str, Any]]:
    """Return the settings of a comparison and what is known about its making.

    Raises:
        RunError: the folder holds none.
    """
    path = Path(folder) / "compare.json"
    if not path.is_file():
        raise RunError(f"{folder} holds no comparison (it has no compare.json).")
    facts = json.loads(path.read_text(encoding="utf-8"))
    return CompareConfig.from_dict(facts.pop("config")), facts


def _check_free(folder: Path, overwrite: bool) -> None:
    """Make room for a new comparison, or say why there is none."""
    if not folder.exists():
        return
    if not folder.is_dir():
        raise RunError(f"{folder} is not a folder; choose another --out.")
    if (folder / "compare.json").is_file():
        if not overwrite:
            raise RunError(
                f"{folder} already holds a comparison. Continue it with --resume {folder}, replace "
                "it with --overwrite, or choose another --out."
            )
        for part in ("runs", "replays"):
            shutil.rmtree(folder / part, ignore_errors=True)
        for part in ("report.html", "report.png", "results.csv", "compare.json"):
            (folder / part).unlink(missing_ok=True)
    elif any(folder.iterdir()):
        raise RunError(f"{folder} is not empty and holds no comparison; choose another --out.")


def _start(
    folder: Path, config: CompareConfig, kept: dict[str, Any], command: str
) -> dict[str, Any]:
    folder.mkdir(parents=True, exist_ok=True)
    facts = {
        "command": kept.get("command") or command,
        "wall_seconds": kept.get("wall_seconds", 0.0),
        "cores": available_cores(),
    }
    _write(folder, config, facts)
    return facts


def _write(folder: Path, config: CompareConfig, facts: dict[str, Any]) -> None:
    write_json(folder / "compare.json", {"config": config.to_dict(), **facts})


def _run_path(folder: Path, arm: str, seed: int) -> Path:
    return folder / "runs" / arm / f"seed{seed}"


def comparison_runs(folder: Path, config: CompareConfig) -> list[RunRecord]:
    """Return all runs of a comparison as they lie in its folder, arms in their order."""
    return [
        read_run(arm, seed, _run_path(folder, arm, seed))
        for arm in config.arms
        for seed in config.seeds
    ]


def _views(folder: Path, config: CompareConfig) -> list[RunView]:
    """Return the runs seed by seed, so that an early stop leaves the arms equally far."""
    return [_view(folder, config, arm, seed) for seed in config.seeds for arm in config.arms]


def _view(folder: Path, config: CompareConfig, arm: str, seed: int) -> RunView:
    path = _run_path(folder, arm, seed)
    run = RunFolder(path)
    settings = config.train_config(arm, seed)
    command = [sys.executable, "-m", "rewardloom.baselines.cli", "train", "--no-progress"]
    if run.exists:
        command += ["--resume", str(path)]
    else:
        path.parent.mkdir(parents=True, exist_ok=True)
        given = path.with_suffix(".json")
        write_json(given, settings.to_dict())
        command += ["--config", str(given), "--out", str(path)]
    task = Task(
        f"{arm} seed {seed}", command, path.with_suffix(".log"), threads=settings.torch_threads
    )
    if read_run(arm, seed, path).finished:
        task.state = "finished"
    return RunView(arm, seed, path, settings.steps, task)


def _replay_task(folder: Path, record: RunRecord) -> Task:
    """Return the recording of one episode; a run that is already recorded is left alone."""
    target = folder / "replays" / record.arm
    module = "rewardloom.baselines.comparison.replay"
    command = [sys.executable, "-m", module, str(record.path), str(target)]
    task = Task(
        f"replay of {record.arm}", command, target.with_suffix(".log"), timeout=_REPLAY_SECONDS
    )
    if target.with_suffix(".json").is_file():
        task.state = "finished"
    return task
