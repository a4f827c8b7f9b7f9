"""A bandit whose lexicographic optimum no weighted sum picks: what HERON picks, by margin.

Prints the markdown table of docs/designs/heron.md; takes well under a minute.
"""

from __future__ import annotations

import warnings

import numpy as np

from rewardloom.rewards import HeronDesign, episode_batch

ARMS = np.array(
    [
        [0.92, 0.15, 0.10],  # the lexicographic optimum at margins of 0.1
        [1.0, 0.0, 0.0],
        [0.5, 1.0, 1.0],
        [0.7, 0.6, 0.5],
        [0.2, 0.2, 0.9],
        [0.93, 0.0, 0.9],
    ]
)
NAMES = ("first", "second", "third")
STEPS, SEEDS = 1200, 3
MARGINS = (0.0, 0.05, 0.1, 0.2, 0.4, "1 sd", "2 sd")


def learn(model: str, margins: object, seed: int) -> tuple[int, dict[str, float]]:
    """Return the arm that the learned reward picks, and the design's diagnostics."""
    arms = np.random.default_rng(seed).integers(0, len(ARMS), STEPS)
    learning = {"first_refit": STEPS, "pairs": 4000, "gradient_steps": 800, "seed": seed}
    inputs = ("components",) if model == "network" else None
    design = HeronDesign(
        NAMES, model=model, margins=margins, inputs=inputs, center="mean", learning=learning
    )
    design.bind(NAMES, 1)
    played = ARMS[arms]
    design.relabel(episode_batch(np.zeros((STEPS, 1)), played[:, None]))
    design.update_model = False
    paid = design.relabel(episode_batch(np.zeros((len(ARMS), 1)), ARMS[:, None]))
    return int(paid.argmax()), design.diagnostics()


def main() -> None:
    """Print one row per margin."""
    print("| margin | network picks | linear picks | pair accuracy | undecided | cycle rate |")
    print("|---|---|---|---|---|---|")
    for margin in MARGINS:
        text = isinstance(margin, str)
        margins = float(margin[0]) if text else {"absolute": margin}
        runs = [learn("network", margins, seed) for seed in range(SEEDS)]
        linear = [learn("linear", margins, seed)[0] for seed in range(SEEDS)]
        picked = " ".join(str(arm) for arm, _ in runs)
        shown = [np.mean([d[k] for _, d in runs]) for k in ("pair_accuracy", "undecided")]
        cycles = np.mean([d["cycle_rate"] for _, d in runs])
        print(
            f"| {margin} | {picked} | {' '.join(map(str, linear))} "
            f"| {shown[0]:.3f} | {shown[1]:.3f} | {cycles:.3f} |"
        )


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main()
