"""Draws what a gate's levels added up to beside what the task was about.

python scripts/hacking_plot.py RUNS/NAME --arms gate direct --out FILE.png
"""

import argparse
from pathlib import Path

from rewardloom.baselines.comparison.compare import comparison_runs, read_comparison
from rewardloom.baselines.comparison.figures import Panel, write_panels
from rewardloom.baselines.comparison.results import arm_results

PAID = Panel("design_gate_direct", "What direct accumulation adds up", "sum per episode")
OUTCOME = Panel("metric_is_success", "What it is meant to bring", "successful episodes")


def main():
    """Write the picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="a comparison whose arms have gate designs")
    parser.add_argument("--arms", nargs="+", required=True, help="which arms, in this order")
    parser.add_argument("--out", type=Path, required=True, help="PNG or SVG file")
    args = parser.parse_args()
    config, _ = read_comparison(args.folder)
    found = {arm.name: arm for arm in arm_results(comparison_runs(args.folder, config))}
    for name in args.arms:
        if name not in found:
            parser.error(f"no finished run of {name!r} in {args.folder}, only of {list(found)}")
        for panel in (PAID, OUTCOME):
            if panel.column not in found[name].curves:
                parser.error(f"the runs of {name!r} have no {panel.column} in episodes.csv")
    arms = [found[name] for name in args.arms]
    heading = (
        "Hacked or learned: what is paid for, against what is reached",
        f"{config.common.world.rpartition(':')[2]}, training episodes, mean over "
        f"{len(arms[0].runs)} seeds with 95 % intervals",
    )
    write_panels(args.out, heading, arms, [PAID, OUTCOME])


if __name__ == "__main__":
    main()
