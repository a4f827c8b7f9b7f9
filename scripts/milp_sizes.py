"""Prints how large the search trees of the named sizes are, as a table for the docs.

    python scripts/milp_sizes.py --sizes tiny train --presets light gasse --instances 20

For each family, size and preset: the share of programs solved without branching, median and range
of the nodes, median milliseconds to draw the program and to build its model, median seconds of the
search, and how many ran into --time-limit (their nodes so far count).
"""

import argparse
import time

import numpy as np

from rewardloom.envs.branching.instances import FAMILIES, generate
from rewardloom.envs.branching.settings import PRESETS, SearchSettings

FIRST = 536870911


def search(family, size, preset, rule, seed, time_limit):
    """Return nodes, seconds to build and to search, and whether the limit struck, for a program."""
    start = time.perf_counter()
    model = generate(family, np.random.default_rng(seed), size=size).to_model()
    built = time.perf_counter() - start
    SearchSettings(preset=preset, seed=seed).apply(model)
    model.setParams({f"branching/{rule}/priority": FIRST, "limits/time": time_limit})
    start = time.perf_counter()
    model.optimizeNogil()
    seconds = time.perf_counter() - start
    nodes, cut = model.getNNodes(), model.getStatus() == "timelimit"
    model.free()
    return nodes, built, seconds, cut


def main():
    """Print one row for each family, size and preset."""
    parser = argparse.ArgumentParser(description="Measure the search trees of the named sizes.")
    parser.add_argument("--families", nargs="+", choices=FAMILIES, default=list(FAMILIES))
    parser.add_argument("--sizes", nargs="+", default=["tiny"])
    parser.add_argument("--presets", nargs="+", choices=PRESETS, default=["light", "gasse"])
    parser.add_argument("--rule", default="random", help="SCIP's branching rule")
    parser.add_argument("--instances", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1000, help="of the first program")
    parser.add_argument("--time-limit", type=float, default=20.0, help="seconds a program")
    given = parser.parse_args()
    print("| family | size | preset | at the root | nodes, median [range] | build, ms | s | cut |")
    print("|---|---|---|---|---|---|---|---|")
    for family in given.families:
        for size in given.sizes:
            for preset in given.presets:
                seeds = range(given.seed, given.seed + given.instances)
                rows = [
                    search(family, size, preset, given.rule, s, given.time_limit) for s in seeds
                ]
                nodes, built, seconds, cut = map(np.array, zip(*rows, strict=True))
                print(
                    f"| {family} | {size} | {preset} | {np.mean(nodes <= 1):.0%} "
                    f"| {np.median(nodes):.0f} [{nodes.min()}, {nodes.max()}] "
                    f"| {1000 * np.median(built):.1f} | {np.median(seconds):.2f} | {cut.sum()} |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
