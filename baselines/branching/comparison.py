"""Compares policies as the command line asks for it.

- `compare_policies`: runs trials, shows a table for each test set, writes a folder.
- `read_group`: several agents under one name, from "name=folder,folder".
"""

from __future__ import annotations

import glob
import math
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from time import monotonic
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from rewardloom.baselines.branching.results import Trial, write_trials
from rewardloom.baselines.branching.statistics import PolicySummary, summarize
from rewardloom.baselines.branching.tables import notes, results_table, summary_json
from rewardloom.baselines.branching.test_sets import read_test_set
from rewardloom.baselines.branching.trials import Policy, agent_policy, rule_policy, run_trials
from rewardloom.baselines.training.folder import write_json
from rewardloom.envs.branching.settings import SearchSettings
from rewardloom.errors import ConfigError, unknown_name

__all__ = ["compare_policies", "read_group"]

_ALL = "all instances"
_LINE = 15.0  # seconds between lines where there is no terminal


def compare_policies(
    *,
    agents: Sequence[str],
    groups: Sequence[str],
    rules: Sequence[str],
    instances: Sequence[str],
    solver_seeds: int,
    jobs: int,
    reference: str,
    preset: str,
    node_selection: str,
    node_limit: int | None,
    time_limit: float | None,
    out: str | None,
) -> list[Trial]:
    """Run every policy on every instance and print a table for each set, and one for all.

    Args:
        agents: Folders of agents; a policy each, called like the folder.
        groups: Policies of several agents, see `read_group`.
        rules: Names of SCIP's rules.
        instances: Test sets, see `read_test_set`.
        solver_seeds: Searches of each instance.
        jobs: Searches at the same time.
        reference: Name of the policy that ratios are taken to.
        preset: Of SCIP's settings. Likewise `node_selection`.
        node_limit: Nodes of a search.
        time_limit: The solver's seconds of a search.
        out: Folder for `results.csv` (one row for each search) and `summary.json`.

    Raises:
        ConfigError: Something that does not exist or does not fit; nothing has been run then.
    """
    settings = SearchSettings(
        preset=preset,
        node_selection=node_selection,
        node_limit=node_limit,
        time_limit=math.inf if time_limit is None else time_limit,
    )
    policies = [
        *(rule_policy(rule) for rule in rules),
        *(agent_policy(Path(folder).resolve().name, folder) for folder in agents),
        *(read_group(text) for text in groups),
    ]
    names = [policy.name for policy in policies] + ["random"]
    if reference not in names:
        raise ConfigError(unknown_name("policy", reference, names, where="as --reference"))
    found = [instance for text in instances for instance in read_test_set(text)]
    if out is not None and Path(out).is_file():
        raise ConfigError(f"--out {out} is a file; with --instances it names a folder.")
    trials = _run(policies, found, settings, solver_seeds=solver_seeds, jobs=jobs)
    summaries = _summarize(trials, settings, reference)
    _show(trials, summaries, reference)
    if out is not None:
        described = {
            **_describe(policies, settings),
            "solver_seeds": solver_seeds,
            "reference": reference,
        }
        _write(Path(out), trials, described, summaries)
        print(f"Written: {out}/results.csv and {out}/summary.json")
    return trials


def read_group(text: str) -> Policy:
    """Return the policy that "name=folder,folder" names; a pattern stands for all that fit it.

    Raises:
        ConfigError: There is no name, no folder, or a pattern that nothing fits.
    """
    name, equals, listing = text.partition("=")
    parts = [part for part in listing.split(",") if part]
    if not equals or not name or not parts:
        raise ConfigError(f"A group is written NAME=DIR,DIR,...; got {text!r}.")
    folders: list[str] = []
    for part in parts:
        fitting = sorted(glob.glob(part)) if glob.has_magic(part) else [part]
        if not fitting:
            raise ConfigError(f"No folder fits {part!r} in the group {name!r}.")
        folders += fitting
    if len(set(folders)) < len(folders):
        raise ConfigError(f"The group {name!r} names a folder twice.")
    return agent_policy(name, {folder: folder for folder in folders})


def _run(
    policies: Sequence[Policy],
    instances: Sequence[Any],
    settings: SearchSettings,
    *,
    solver_seeds: int,
    jobs: int,
) -> list[Trial]:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    console = Console(stderr=True, emoji=False)
    hidden = not console.is_terminal
    with Progress(*columns, console=console, transient=True, disable=hidden) as progress:
        bar = progress.add_task("searching", total=None)
        due = 0.0

        def report(trial: Trial, done: int, total: int) -> None:
            nonlocal due
            words = f"{trial.policy} on {trial.instance}: {trial.nodes:,} nodes"
            progress.update(bar, completed=done, total=total, description=escape(words))
            if hidden and (monotonic() >= due or done == total):
                print(f"{done}/{total} {words}", file=sys.stderr, flush=True)
                due = monotonic() + _LINE

        return run_trials(
            policies, instances, settings, solver_seeds=solver_seeds, jobs=jobs, report=report
        )


def _by_set(trials: Sequence[Trial]) -> Mapping[str, Sequence[Trial]]:
    names = list(dict.fromkeys(trial.test_set for trial in trials))
    found = {name: [trial for trial in trials if trial.test_set == name] for name in names}
    return found if len(names) == 1 else {**found, _ALL: trials}


def _summarize(
    trials: Sequence[Trial], settings: SearchSettings, reference: str
) -> dict[str, list[PolicySummary]]:
    return {
        title: summarize(
            rows,
            reference=reference,
            node_limit=settings.node_limit,
            time_limit=settings.time_limit,
        )
        for title, rows in _by_set(trials).items()
    }


def _show(
    trials: Sequence[Trial], summaries: dict[str, list[PolicySummary]], reference: str
) -> None:
    console = Console()
    rows = _by_set(trials)
    for title, summary in summaries.items():
        console.print(results_table(summary, title=title, reference=reference))
        console.print()
        for note in notes(summary, rows[title]):
            console.print(note, style="dim", markup=False, highlight=False)
        console.print()


def _describe(policies: Sequence[Policy], settings: SearchSettings) -> dict[str, Any]:
    limited = math.isfinite(settings.time_limit)
    return {
        "preset": settings.preset,
        "node_selection": settings.node_selection,
        "node_limit": settings.node_limit,
        "time_limit": settings.time_limit if limited else None,
        "policies": [
            {"name": policy.name, "rule": policy.rule, "agents": list(policy.agents)}
            for policy in policies
        ],
    }


def _write(
    folder: Path,
    trials: Sequence[Trial],
    described: dict[str, Any],
    summaries: dict[str, list[PolicySummary]],
) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    write_trials(folder / "results.csv", trials)
    results = {title: summary_json(summary) for title, summary in summaries.items()}
    write_json(folder / "summary.json", {"settings": described, "results": results})
