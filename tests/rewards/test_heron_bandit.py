"""A bandit whose lexicographic optimum lies off the hull: the case for a network."""

import numpy as np
import pytest

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


def learn(model, margins, seed, steps=600):
    learning = {"first_refit": steps, "pairs": 2000, "gradient_steps": 600, "seed": seed}
    inputs = ("components",) if model == "network" else None
    design = HeronDesign(
        NAMES, model=model, margins=margins, inputs=inputs, center="mean", learning=learning
    )
    design.bind(NAMES, 1)
    arms = ARMS[np.random.default_rng(seed).integers(0, len(ARMS), steps)]
    design.relabel(episode_batch(np.zeros((steps, 1)), arms[:, None]))
    design.update_model = False
    paid = design.relabel(episode_batch(np.zeros((len(ARMS), 1)), ARMS[:, None]))
    return int(paid.argmax()), design.diagnostics()


def test_no_weighted_sum_picks_the_optimum():
    blends = np.linspace(0.0, 1.0, 201)[:, None] ** np.arange(3)
    random = np.random.default_rng(0).exponential(size=(20_000, 3))
    scaled = blends / ARMS.std(0)
    for weights in (blends, scaled, random):
        assert ((ARMS @ weights.T).argmax(0) != 0).all()


@pytest.mark.parametrize("seed", range(3))
def test_the_network_picks_it_and_the_linear_fit_does_not(seed):
    assert learn("network", {"absolute": 0.1}, seed)[0] == 0
    assert learn("linear", {"absolute": 0.1}, seed)[0] != 0


def test_wide_margins_fail_and_the_diagnostics_show_it():
    picked, wide = learn("network", 2.0, seed=0)
    _, narrow = learn("network", {"absolute": 0.1}, seed=0)
    assert picked != 0
    assert wide["undecided"] > 0.4 > narrow["undecided"]
    assert wide["decided_first"] < 0.2 < narrow["decided_first"]
