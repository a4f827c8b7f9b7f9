"""What many searches say about policies: shifted geometric means, wins, paired ratios.

- `METRICS`: what is compared, and the shift of its mean.
- `shifted_geometric_mean`: the usual mean of sizes of search trees.
- `MetricSummary`, `PolicySummary`, `summarize`: a line for each policy.

Runs of one instance that differ in the solver's seed are averaged first, since they are no
independent evidence about other instances. Means over the instances follow, one for each training
seed of a policy, and then the mean of these. Intervals are percentile intervals of a bootstrap that
draws instances anew within each set, the same for every policy, so that ratios are paired, and
training seeds as well where there are several.

A run that was not solved counts at its limit: with the node limit's nodes and the time limit's
seconds, where there was such a limit and the run stayed below it. Other numbers of such a run count
where it stopped, less than what a solution would have taken, so that giving up lowers them. Wins
therefore go by solved searches first.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rewardloom.baselines.branching.results import Trial
from rewardloom.baselines.comparison.statistics import CONFIDENCE, Estimate
from rewardloom.errors import ConfigError, unknown_name

__all__ = ["METRICS", "MetricSummary", "PolicySummary", "shifted_geometric_mean", "summarize"]

Array = NDArray[np.float64]

METRICS: Mapping[str, float] = MappingProxyType(
    {"nodes": 1.0, "lp_iterations": 100.0, "solver_seconds": 1.0}
)
"""Metric -> shift of its geometric mean; fewer is better in each."""

_REPLICATES = 5_000
_TIE = 1e-9  # relative


@dataclass(frozen=True)
class MetricSummary:
    """One metric of one policy.

    Attributes:
        mean: Shifted geometric mean over instances, with its interval.
        ratio: Its quotient by the reference's, with the paired interval.
        median: Median over instances.
        wins: Instances on which, of the policies that solved the most of its searches, no other
            needed less; k that are equal have 1 / k each, and instances that nobody solved have no
            winner.
        stopped: Unsolved searches that count where they stopped, since the metric had no limit.
    """

    mean: Estimate
    ratio: Estimate
    median: float
    wins: float
    stopped: int


@dataclass(frozen=True)
class PolicySummary:
    """All about one policy.

    Attributes:
        policy: Its name.
        training_seeds: How many agents stand behind the name.
        instances: How many instances it was tried on.
        runs: Searches: agents times instances times solver seeds.
        solved: How many of the searches were solved.
        decisions: Mean number of the policy's own decisions in a search.
        share_left: Decisions that agents left to SCIP's own rule, among all of the searches.
        policy_seconds: Mean time in a search that an agent took, its features included; SCIP's own
            rules work within the solver's time.
        metrics: Name in `METRICS` -> summary.
    """

    policy: str
    training_seeds: int
    instances: int
    runs: int
    solved: int
    decisions: float
    share_left: float
    policy_seconds: float
    metrics: Mapping[str, MetricSummary]

    @property
    def share_solved(self) -> float:
        """Solved searches among all."""
        return self.solved / self.runs


def shifted_geometric_mean(values: Any, shift: float) -> Any:
    """Return exp(mean(log(values + shift))) - shift along the last axis.

    Args:
        values: (..., n), each above -shift.
        shift: Keeps tiny values from counting much.
    """
    return np.exp(np.log(np.asarray(values, np.float64) + shift).mean(axis=-1)) - shift


def summarize(
    trials: Sequence[Trial],
    *,
    reference: str = "random",
    node_limit: int | None = None,
    time_limit: float = math.inf,
    replicates: int = _REPLICATES,
    seed: int = 0,
) -> list[PolicySummary]:
    """Return a summary of each policy, in the order in which they occur.

    Args:
        trials: Every policy on the same instances with the same solver seeds.
        reference: The policy that ratios are taken to.
        node_limit: The searches' limit, None for none.
        time_limit: The searches' limit in seconds of the solver.
        replicates: Bootstrap samples.
        seed: Of the bootstrap.

    Raises:
        ConfigError: There are no trials, the reference is not among the policies, or policies were
            not tried on the same instances and solver seeds.
    """
    grids = _grids(trials)
    if reference not in grids:
        raise ConfigError(unknown_name("policy", reference, grids, where="as the reference"))
    draws = _Draws(grids, replicates, seed)
    limits = {"nodes": float(node_limit or math.inf), "solver_seconds": time_limit}
    metrics = {
        metric: _compare(grids, metric, limits.get(metric, math.inf), draws, reference)
        for metric in METRICS
    }
    return [
        _summary(name, grid, {metric: found[name] for metric, found in metrics.items()})
        for name, grid in grids.items()
    ]


class _Draws:
    """What the bootstrap draws: instances for all policies alike, training seeds for each."""

    def __init__(self, grids: Mapping[str, _Grid], replicates: int, seed: int):
        rng = np.random.default_rng(seed)
        sets = [test_set for test_set, _ in next(iter(grids.values())).instances]
        self.vary = len(sets) > len(set(sets))  # whether a set has instances to choose between
        self.instances = _resample_within(sets, replicates, rng)
        self.agents = {
            name: rng.integers(grid.members, size=(replicates, grid.members))
            for name, grid in grids.items()
        }

    def means(self, name: str, table: Array, shift: float) -> Array:
        """Return (replicates,) means over drawn agents of the means over drawn instances."""
        logs = np.log(table + shift)
        means = np.stack([row[self.instances].mean(axis=1) for row in logs], axis=1)
        drawn = np.take_along_axis(np.exp(means) - shift, self.agents[name], axis=1)
        return drawn.mean(axis=1)


class _Grid:
    """The trials of one policy as (members, instances, solver seeds)."""

    def __init__(self, trials: Sequence[Trial]):
        members = list(dict.fromkeys(trial.agent for trial in trials))
        self.instances = sorted({(trial.test_set, trial.instance) for trial in trials})
        self.seeds = sorted({trial.solver_seed for trial in trials})
        self.members = len(members)
        found = {(t.agent, t.test_set, t.instance, t.solver_seed): t for t in trials}
        wanted = [
            (member, *instance, seed)
            for member in members
            for instance in self.instances
            for seed in self.seeds
        ]
        if len(found) != len(trials) or found.keys() != set(wanted):
            raise ConfigError(
                f"The trials of {trials[0].policy!r} are not one for each agent, instance and "
                "solver seed."
            )
        self.trials = [found[key] for key in wanted]

    def column(self, name: str) -> Array:
        """Return a field of the trials."""
        values = np.array([getattr(trial, name) for trial in self.trials], np.float64)
        return values.reshape(self.members, len(self.instances), len(self.seeds))

    def solved(self) -> NDArray[np.bool_]:
        """Return which were solved."""
        return self.column("solved").astype(bool)

    def penalized(self, name: str, limit: float) -> Array:
        """Return a field, at least `limit`, if that is finite, where the search was not solved."""
        values = self.column(name)
        least = limit if math.isfinite(limit) else 0.0
        return np.where(self.solved(), values, np.maximum(values, least))


def _grids(trials: Sequence[Trial]) -> dict[str, _Grid]:
    by_policy: dict[str, list[Trial]] = {}
    for trial in trials:
        by_policy.setdefault(trial.policy, []).append(trial)
    if not by_policy:
        raise ConfigError("There are no trials to summarize.")
    grids = {name: _Grid(rows) for name, rows in by_policy.items()}
    first, *others = grids.items()
    for name, grid in others:
        if (grid.instances, grid.seeds) != (first[1].instances, first[1].seeds):
            raise ConfigError(
                f"{name!r} and {first[0]!r} were not tried on the same instances and solver seeds."
            )
    return grids


def _compare(
    grids: Mapping[str, _Grid], metric: str, limit: float, draws: _Draws, reference: str
) -> dict[str, MetricSummary]:
    """Return policy -> summary of one metric."""
    shift = METRICS[metric]
    tables = {name: grid.penalized(metric, limit).mean(axis=2) for name, grid in grids.items()}
    wins = _wins(tables, grids)
    members = grids[reference].members
    points = {n: float(shifted_geometric_mean(t, shift).mean()) for n, t in tables.items()}
    samples = {name: draws.means(name, table, shift) for name, table in tables.items()}
    return {
        name: MetricSummary(
            mean=_estimate(
                points[name], samples[name], table.size, known=draws.vary or len(table) > 1
            ),
            ratio=_estimate(
                _quotient(points[name], points[reference]),
                _quotient(samples[name], samples[reference]),
                table.size,
                known=draws.vary or max(len(table), members) > 1,
            ),
            median=float(np.median(table.mean(axis=0))),
            wins=wins[name],
            stopped=0 if math.isfinite(limit) else int((~grids[name].solved()).sum()),
        )
        for name, table in tables.items()
    }


def _resample_within(
    sets: Sequence[str], replicates: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Return (replicates, n) indices drawn with replacement, each from its own set."""
    labels = np.array(sets)
    drawn = np.empty((replicates, len(labels)), np.int64)
    for label in np.unique(labels):
        positions = np.flatnonzero(labels == label)
        drawn[:, positions] = rng.choice(positions, (replicates, len(positions)))
    return drawn


def _quotient(over: Any, under: Any) -> Any:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.divide(over, under)


def _estimate(point: float, samples: Array, runs: int, *, known: bool) -> Estimate:
    """Return the point with its interval; NaN where nothing could be drawn anew."""
    if not known:
        return Estimate(float(point), math.nan, math.nan, runs)
    tail = 100 * (1 - CONFIDENCE) / 2
    low, high = np.percentile(samples, [tail, 100 - tail])
    return Estimate(float(point), float(low), float(high), runs)


def _wins(tables: Mapping[str, Array], grids: Mapping[str, _Grid]) -> dict[str, float]:
    """Share each instance among those that needed the least, of those that solved it most often."""
    means = np.stack([table.mean(axis=0) for table in tables.values()])
    solved = np.stack([grids[name].solved().mean(axis=(0, 2)) for name in tables])
    eligible = (solved > 0) & (solved >= solved.max(axis=0) - _TIE)
    means = np.where(eligible, means, np.inf)
    best = means.min(axis=0)
    first = np.isfinite(means) & (means <= best * (1 + _TIE))
    shares = first / np.maximum(first.sum(axis=0), 1)
    return dict(zip(tables, shares.sum(axis=1).tolist(), strict=True))


def _summary(name: str, grid: _Grid, metrics: Mapping[str, MetricSummary]) -> PolicySummary:
    left = grid.column("defaults")
    own = grid.column("decisions") - left
    return PolicySummary(
        policy=name,
        training_seeds=grid.members,
        instances=len(grid.instances),
        runs=len(grid.trials),
        solved=int(grid.solved().sum()),
        decisions=float(own.mean()),
        share_left=float(left.sum() / max(1.0, left.sum() + own.sum())),
        policy_seconds=float(grid.column("policy_seconds").mean()),
        metrics=metrics,
    )
