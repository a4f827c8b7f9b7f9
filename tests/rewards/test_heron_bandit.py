"""A bandit whose lexicographic optimum lies off the hull: the case for a network."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest


def example():
    """Return the script whose table stands in the docs."""
    path = Path(__file__).parents[2] / "examples" / "heron_bandit.py"
    spec = importlib.util.spec_from_file_location("heron_bandit", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


BANDIT = example()
ARMS, learn = BANDIT.ARMS, BANDIT.fitted


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
