"""Shows and stores what policies came to.

- `results_table`: a table for the terminal.
- `notes`: what a reader must know of it.
- `summary_json`: the same, and more, as JSON has it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from rewardloom.baselines.branching.results import Trial
from rewardloom.baselines.branching.statistics import METRICS, MetricSummary, PolicySummary
from rewardloom.baselines.comparison.statistics import CONFIDENCE, Estimate

__all__ = ["notes", "results_table", "summary_json"]


def results_table(summaries: Sequence[PolicySummary], *, title: str, reference: str) -> Table:
    """Return a row for each policy; the fewest nodes of all are bold.

    A mean in which unsolved searches count where they stopped is never bold.

    Args:
        summaries: What to show, in this order.
        title: Above the table.
        reference: The policy that the ratio is taken to.
    """
    with_agents = any(summary.policy_seconds for summary in summaries)
    seconds = "seconds\n+ agent" if with_agents else "seconds"
    table = Table(
        title=Text(title, "bold"),
        title_justify="left",
        box=SIMPLE_HEAD,
        collapse_padding=True,
        pad_edge=False,
        show_edge=False,
    )
    table.add_column("policy", overflow="fold", min_width=12)
    headings = ("nodes", f"× {reference}", "LP\niterations", seconds, "wins", "solved")
    for heading in headings:
        table.add_column(Text(heading), justify="right", no_wrap=True)
    nodes_of = [summary.metrics["nodes"] for summary in summaries]
    fewest = min((n.mean.point for n in nodes_of if not n.stopped), default=math.nan)
    for summary in summaries:
        nodes = summary.metrics["nodes"]
        mark = "" if summary.solved == summary.runs else "> "
        cells = [
            _label(summary),
            mark + _interval(nodes.mean),
            "" if summary.policy == reference else _interval(nodes.ratio),
            mark + _number(summary.metrics["lp_iterations"].mean.point),
            mark + _seconds(summary),
            f"{nodes.wins:.3g}",
            f"{math.floor(100 * summary.share_solved)} %",
        ]
        style = "bold" if nodes.mean.point == fewest and not nodes.stopped else ""
        table.add_row(*(Text(cell) for cell in cells), style=style)
    return table


def notes(summaries: Sequence[PolicySummary], trials: Sequence[Trial]) -> list[str]:
    """Return sentences on what the table's numbers mean.

    Args:
        summaries: What is shown.
        trials: What it was made of.
    """
    shifts = ", ".join(f"{shift:g}" for shift in METRICS.values())
    first = summaries[0]
    found = [
        f"Shifted geometric means (shifts {shifts}) over {first.instances} instances, each the "
        f"mean over solver seeds; [{100 * CONFIDENCE:.0f} % intervals], the ratio's paired. Wins "
        "are by solved searches, then by nodes, shared where equal."
    ]
    if any(summary.policy_seconds for summary in summaries):
        found.append("The agents' own time comes on top of the solver's: + mean seconds.")
    if any(summary.training_seeds > 1 for summary in summaries):
        found.append("(N) stands for N training seeds; their intervals cover seeds and instances.")
    if any(summary.solved < summary.runs for summary in summaries):
        found.append(_note_of_unsolved(summaries))
    if any(summary.share_left for summary in summaries):
        found.append(
            "SCIP's: the share of its decisions that an agent left to SCIP's own rule; so far, its "
            "numbers are the rule's."
        )
    empty = len(_without_decision(trials))
    if empty:
        found.append(
            f"{empty} of {first.instances} instances were solved without a decision by every "
            "policy and tell nothing about branching."
        )
    return found


def summary_json(summaries: Sequence[PolicySummary]) -> list[dict[str, Any]]:
    """Return the summaries as JSON has them; an interval that is not known is null."""
    return [
        {
            "policy": summary.policy,
            "training_seeds": summary.training_seeds,
            "instances": summary.instances,
            "runs": summary.runs,
            "solved": summary.solved,
            "share_solved": summary.share_solved,
            "decisions": summary.decisions,
            "share_left": summary.share_left,
            "policy_seconds": summary.policy_seconds,
            **{name: _metric_json(metric) for name, metric in summary.metrics.items()},
        }
        for summary in summaries
    ]


def _metric_json(metric: MetricSummary) -> dict[str, Any]:
    return {
        "mean": metric.mean.point,
        "interval": _ends(metric.mean),
        "ratio": _known(metric.ratio.point),
        "ratio_interval": _ends(metric.ratio),
        "median": metric.median,
        "wins": metric.wins,
        "stopped": metric.stopped,
    }


def _ends(estimate: Estimate) -> list[float | None]:
    return [_known(estimate.low), _known(estimate.high)]


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _note_of_unsolved(summaries: Sequence[PolicySummary]) -> str:
    stopped = [m for m in METRICS if any(summary.metrics[m].stopped for summary in summaries)]
    limited = [metric for metric in METRICS if metric not in stopped]
    words = [f"at the limit in {_listed(limited)}"] * bool(limited)
    words.append(f"where they stopped in {_listed(stopped)}")
    note = f"> marks means with unsolved searches, which count {' and '.join(words)}"
    if "nodes" not in stopped:
        return f"{note}."
    return f"{note}: giving up lowers these, so that such nodes are no smaller trees."


def _listed(metrics: Sequence[str]) -> str:
    return ", ".join({"lp_iterations": "LP iterations"}.get(m, m.split("_")[-1]) for m in metrics)


def _label(summary: PolicySummary) -> str:
    many = f" ({summary.training_seeds})" if summary.training_seeds > 1 else ""
    left = f"\n{100 * summary.share_left:.3g} % SCIP's" if summary.share_left else ""
    return f"{summary.policy}{many}{left}"


def _seconds(summary: PolicySummary) -> str:
    solver = _number(summary.metrics["solver_seconds"].mean.point)
    agent = summary.policy_seconds
    return f"{solver}\n+ {_number(agent)}" if agent else solver


def _interval(estimate: Estimate) -> str:
    ends = [estimate.low, estimate.high]
    if any(math.isnan(end) for end in ends):
        return _number(estimate.point)
    return f"{_number(estimate.point)}\n[{_number(ends[0])}, {_number(ends[1])}]"


def _number(value: float) -> str:
    if not math.isfinite(value):
        return str(value)
    if value >= 100:
        return f"{value:,.0f}"
    if value >= 10:
        return f"{value:.1f}"
    return f"{value:.2f}" if value >= 0.1 else f"{value:.2g}"


def _without_decision(trials: Sequence[Trial]) -> set[tuple[str, str]]:
    asked = {(trial.test_set, trial.instance) for trial in trials if trial.decisions}
    return {(trial.test_set, trial.instance) for trial in trials} - asked
