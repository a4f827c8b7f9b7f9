"""Prints the table of a comparison for the docs: python scripts/evidence_table.py RUNS/NAME ..."""

import sys
from pathlib import Path

from rewardloom.baselines.comparison.compare import comparison_runs, read_comparison
from rewardloom.baselines.comparison.levels import level_summary, steps_to_level
from rewardloom.baselines.comparison.results import arm_results


def digits(number):
    """Return three significant digits, without an exponent below a million."""
    return f"{float(f'{number:.3g}'):g}"


def interval(value):
    """Return "point [low, high]" with three digits."""
    point, low, high = map(digits, value[:3])
    return f"{point} [{low}, {high}]"


def table(folder):
    """Return the lines of one comparison's table."""
    config, facts = read_comparison(folder)
    arms = arm_results(comparison_runs(Path(folder), config))
    metrics = [name for name in arms[0].metrics if name != "length"]
    head = ["arm", "raw return, IQM", *metrics, "length", "steps to the level", "seeds"]
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    for arm in arms:
        wanted = config.success_level
        level = ""
        if wanted is not None:
            level = level_summary([steps_to_level(run.episodes, wanted) for run in arm.runs])
        cells = [
            arm.name,
            interval(arm.raw_return),
            *(interval(arm.metrics[name]) for name in metrics),
            interval(arm.metrics["length"]),
            level,
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
