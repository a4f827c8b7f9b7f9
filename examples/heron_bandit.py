"""The bandit whose best arm no weighted sum finds, and the margin at which HERON loses it.

Six arms with three factors each; the first arm is best by rank with margins of 0.1, and lies inside
the hull of the others. Prints a table: python examples/heron_bandit.py
"""

import numpy as np

from rewardloom.rewards import HeronDesign, episode_batch

ARMS = np.array(
    [
        [0.92, 0.15, 0.10],
        [1.0, 0.0, 0.0],
        [0.5, 1.0, 1.0],
        [0.7, 0.6, 0.5],
        [0.2, 0.2, 0.9],
        [0.93, 0.0, 0.9],
    ]
)
NAMES = ("first", "second", "third")
SEEDS = range(5)


def fitted(model, margins, seed):
    """Return which arm a fitted design pays most, and its diagnostics."""
    learning = {"first_refit": 600, "pairs": 2000, "gradient_steps": 600, "seed": seed}
    inputs = ("components",) if model == "network" else None
    design = HeronDesign(
        NAMES, model=model, margins=margins, inputs=inputs, center="mean", learning=learning
    )
    design.bind(NAMES, 1)
    pulls = ARMS[np.random.default_rng(seed).integers(0, len(ARMS), 600)]
    design.relabel(episode_batch(np.zeros((600, 1)), pulls[:, None]))
    design.update_model = False
    paid = design.relabel(episode_batch(np.zeros((len(ARMS), 1)), ARMS[:, None]))
    return int(paid.argmax()), design.diagnostics()


def main():
    """Print one row per model and margin."""
    print("| model | margin | finds the best arm | pair accuracy | undecided | cycle rate |")
    print("|---|---|---|---|---|---|")
    margins = {"0.1": {"absolute": 0.1}, "0": 0.0, "0.5 sd": 0.5, "1 sd": 1.0, "2 sd": 2.0}
    for model in ("network", "linear", "lexicographic"):
        for label, margin in margins.items():
            runs = [fitted(model, margin, seed) for seed in SEEDS]
            found = sum(arm == 0 for arm, _ in runs)
            shown = [
                np.mean([diagnostics[key] for _, diagnostics in runs])
                for key in ("pair_accuracy", "undecided", "cycle_rate")
            ]
            cells = [model, label, f"{found} of {len(runs)}", *(f"{x:.3f}" for x in shown)]
            print(f"| {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
