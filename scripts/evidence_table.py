"""Prints the table of a comparison for the docs: python scripts/evidence_table.py RUNS/NAME ...

A measure that is equal in all runs gets no column. "bonus" is what designs added to the reward
(their columns `bonus`, and `reward` of `intrinsic`) per 1,000 steps, over all of training.
"""

import sys
from pathlib import Path

import numpy as np

from rewardloom.baselines.comparison.compare import comparison_runs, read_comparison
from rewardloom.baselines.comparison.levels import level_summary, steps_to_level
from rewardloom.baselines.comparison.results import arm_results
from rewardloom.baselines.comparison.statistics import estimate


def digits(number):
    """Return three significant digits, without an exponent below a million."""
    return f"{float(f'{number:.3g}'):g}"


def interval(value):
    """Return "point [low, high]" with three digits."""
    point, low, high = map(digits, value[:3])
    return f"{point} [{low}, {high}]"


def bonus(run):
    """Return what designs added per 1,000 training steps, or None where none adds."""
    columns = [
        name
        for name in run.episodes
        if name.startswith("design_") and name.endswith(("_bonus", "intrinsic_reward"))
    ]
    if not columns:
        return None
    paid = sum(np.nansum(run.episodes[name]) for name in columns)
    return 1000 * paid / run.episodes["length"].sum()


def bonus_cell(arm):
    """Return the interval of an arm's bonus, or nothing."""
    values = [bonus(run) for run in arm.runs]
    return "" if None in values else interval(estimate(np.array(values)))


def varies(arms, name):
    """Return whether a measure differs between any two runs."""
    return len({run.scores[name] for arm in arms for run in arm.runs}) > 1


def table(folder):
    """Return the lines of one comparison's table."""
    config, facts = read_comparison(folder)
    arms = arm_results(comparison_runs(Path(folder), config))
    metrics = [name for name in arms[0].metrics if name != "length" and varies(arms, name)]
    paid = [bonus_cell(arm) for arm in arms]
    head = ["arm", "raw return, IQM", *metrics, "length"]
    head += ["bonus"] * any(paid) + ["steps to the level"] * bool(config.success_level) + ["seeds"]
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    for arm, added in zip(arms, paid, strict=True):
        wanted, level = config.success_level, []
        if wanted is not None:
            level = [level_summary([steps_to_level(run.episodes, wanted) for run in arm.runs])]
        cells = [
            arm.name,
            interval(arm.raw_return),
            *(interval(arm.metrics[name]) for name in metrics),
            interval(arm.metrics["length"]),
            *([added] * any(paid)),
            *level,
            str(len(arm.runs)),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    seconds = sum(arm.wall_seconds for arm in arms)
    lines.append(
        f"\n{config.common.steps:,} steps per run; {seconds / 60:.0f} min of training in all, "
        f"{facts['wall_seconds'] / 60:.0f} min of wall time with {config.jobs} run(s) at a time."
    )
    return lines


if __name__ == "__main__":
    for name in sys.argv[1:]:
        print(f"\n{name}\n")
        print("\n".join(table(name)))
