"""Single searches of a comparison, as rows.

- `Trial`: a search of one policy on one instance.
- `write_trials`, `read_trials`: a CSV file of them.
"""

from __future__ import annotations

import csv
import dataclasses
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rewardloom.errors import ConfigError

__all__ = ["Trial", "read_trials", "write_trials"]


@dataclass(frozen=True)
class Trial:
    """A search of one policy on one instance with one seed of the solver.

    Attributes:
        policy: What it is called; agents of one learner that differ in their training seed have the
            same.
        agent: Which of the policy's agents; the policy's own name where there is but one.
        test_set: The set that the instance belongs to.
        instance: The instance's name.
        instance_seed: See `TestInstance.seed`.
        solver_seed: Seed of SCIP's permutation and random numbers.
        status: See `SearchResult.status`.
        solved: Whether the search ran to its end.
        nodes: Processed nodes.
        lp_iterations: LP iterations.
        solver_seconds: Time that SCIP worked.
        policy_seconds: Time that an agent worked, its features included; 0 for SCIP's own rules.
        decisions: How often SCIP asked for a branching.
        defaults: Decisions that an agent left to SCIP's own rule; 0 for SCIP's own rules.
        unasked: Branchings of SCIP without a fractional LP solution.
        primal_bound: Best objective, in the problem's sense.
        dual_bound: Bound on it.
        gap: SCIP's relative gap.
    """

    policy: str
    agent: str
    test_set: str
    instance: str
    instance_seed: int
    solver_seed: int
    status: str
    solved: bool
    nodes: int
    lp_iterations: int
    solver_seconds: float
    policy_seconds: float
    decisions: int
    defaults: int
    unasked: int
    primal_bound: float
    dual_bound: float
    gap: float


_READERS: dict[str, Any] = {
    "str": str,
    "int": int,
    "float": float,
    "bool": {"True": True, "False": False}.__getitem__,
}


def write_trials(path: str | os.PathLike[str], trials: Iterable[Trial]) -> None:
    """Write one row for each trial; the columns are the fields of `Trial`."""
    names = [field.name for field in dataclasses.fields(Trial)]
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(names)
        writer.writerows([getattr(trial, name) for name in names] for trial in trials)


def read_trials(path: str | os.PathLike[str]) -> list[Trial]:
    """Read what `write_trials` wrote.

    Raises:
        ConfigError: There is no such file, or it is another kind of table.
    """
    if not Path(path).is_file():
        raise ConfigError(f"There is no table of trials {path}.")
    fields = dataclasses.fields(Trial)
    with open(path, newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    try:
        return [
            Trial(**{field.name: _READERS[str(field.type)](row[field.name]) for field in fields})
            for row in rows
        ]
    except (KeyError, ValueError, TypeError) as error:
        raise ConfigError(f"{path} is no table of trials: {error!r}.") from error
