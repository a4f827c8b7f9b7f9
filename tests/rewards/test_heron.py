"""HERON's preferences, models, schedule and state, on numbers worked by hand."""

import pickle
import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from rewardloom.errors import ConfigError, MissingDependency
from rewardloom.rewards import Factor, HeronDesign, episode_batch, hierarchical_preferences
from rewardloom.rewards.design import StepBatch
from rewardloom.rewards.heron import cycle_rate
from rewardloom.rewards.heron.factors import Margins
from rewardloom.rewards.heron.network import bradley_terry_loss
from rewardloom.rewards.heron.pairs import make_units

A, B, C = (5.0, 0.2, -1.0), (4.8, 0.9, -3.0), (2.0, 0.9, -0.5)
DELTA = np.array([1.0, 0.5, 1.0])
NAMES = ("x", "y", "z")
SMALL = {"first_refit": 50, "refit_every": 50, "gradient_steps": 20, "pairs": 500}


def compare(first, second, order=(0, 1, 2), delta=DELTA, signs=None):
    order = list(order)
    i, j = np.atleast_2d(first)[:, order], np.atleast_2d(second)[:, order]
    return hierarchical_preferences(i, j, delta[order], signs)


def episodes(count=20, length=5, seed=0, **kwargs):
    rng = np.random.default_rng(seed)
    table = rng.normal(size=(count, length, 3))
    return episode_batch(
        table.sum(2),
        table,
        obs=rng.normal(size=(count * length, 2)).astype(np.float32),
        action=np.zeros((count * length, 1), np.float32),
        **kwargs,
    )


def bound(*args, **kwargs):
    design = HeronDesign(*args, **{"center": "mean", "learning": SMALL, **kwargs})
    design.bind(NAMES, 1)
    return design


@pytest.mark.parametrize(
    ("order", "want"), [((0, 1, 2), (-1, 1, 1)), ((2, 1, 0), (1, -1, -1))], ids=["123", "321"]
)
def test_worked_labels(order, want):
    labels, _ = compare([A, A, B], [B, C, C], order)
    assert tuple(labels) == want


def test_levels_say_who_decided_and_a_gap_equal_to_the_margin_does_not():
    i = np.array([[2.0, 0.0], [1.0, 1.0], [1.0, 0.5], [0.0, 0.0]])
    labels, levels = hierarchical_preferences(i, np.zeros((4, 2)), np.array([1.0, 0.5]))
    assert labels.tolist() == [1, 1, 0, 0]
    assert levels.tolist() == [0, 1, -1, -1]


def test_loss_of_one_pair():
    loss = bradley_terry_loss(torch.tensor([0.3]), torch.tensor([0.5]))
    assert float(loss) == pytest.approx(0.7981, abs=5e-5)


def test_margins_make_cycles():
    a, b, c = (0.0, 10.0), (0.8, 5.0), (1.6, 0.0)
    labels, _ = hierarchical_preferences(
        np.array([a, b, c]), np.array([b, c, a]), np.array([1.0, 0.0])
    )
    assert labels.tolist() == [1, 1, 1]


TABLES = hnp.arrays(np.float64, (12, 3), elements=st.floats(-5, 5, width=16))


@given(TABLES, TABLES)
def test_swapping_a_pair_swaps_the_label(i, j):
    labels, levels = compare(i, j)
    swapped, same = compare(j, i)
    np.testing.assert_array_equal(swapped, -labels)
    np.testing.assert_array_equal(same, levels)


@given(TABLES, TABLES)
def test_a_sign_is_the_factor_turned_around(i, j):
    signs = np.array([1, -1, 1])
    np.testing.assert_array_equal(compare(i, j, signs=signs)[0], compare(i * signs, j * signs)[0])


@settings(max_examples=30)
@given(hnp.arrays(np.int64, (3,), elements=st.integers(-4, 4)))
def test_labels_in_standard_deviations_ignore_the_scale_of_a_factor(exponents):
    table = np.random.default_rng(1).normal(size=(200, 3))
    first, second = np.random.default_rng(2).integers(0, 200, (2, 300))
    margins = Margins(0.5, [Factor(name) for name in NAMES])
    labels = []
    for values in (table, table * 2.0**exponents):
        resolved = margins.resolve(values, first, second)
        labels.append(hierarchical_preferences(values[first], values[second], resolved)[0])
    np.testing.assert_array_equal(*labels)


@pytest.mark.parametrize(
    ("delta", "shares", "cyclic"),
    [
        (0.0, (1.0, 0, 0, 0), 0),
        (0.25, (0.860, 0.119, 0.017, 0.003), 0.0026),
        (0.5, (0.721, 0.199, 0.057, 0.022), 0.0101),
        (1.0, (0.479, 0.250, 0.130, 0.142), 0.0196),
        (2.0, (0.155, 0.132, 0.115, 0.598), 0.0171),
    ],
)
def test_shares_of_gaussian_factors(delta, shares, cyclic):
    rng = np.random.default_rng(3)
    table = rng.normal(size=(40_000, 3))
    margins = np.full(3, delta)
    _, levels = hierarchical_preferences(table[:20_000], table[20_000:], margins)
    found = [(levels == level).mean() for level in (0, 1, 2, -1)]
    np.testing.assert_allclose(found, shares, atol=0.015)
    assert cycle_rate(table, margins, rng, 20_000) == pytest.approx(cyclic, abs=0.01)


def test_estimated_margins_decide_the_share_they_are_asked_for():
    table = np.random.default_rng(0).normal(size=(2000, 3))
    first, second = np.random.default_rng(1).integers(0, 2000, (2, 20_000))
    margins = Margins({"estimated": 0.6}, [Factor(name) for name in NAMES])
    resolved = margins.resolve(table, first, second)
    _, levels = hierarchical_preferences(table[first], table[second], resolved)
    found = [(levels == level).mean() for level in (0, 1, 2, -1)]
    np.testing.assert_allclose(found, [0.6, 0.24, 0.096, 0.064], atol=0.001)


def test_a_factor_that_only_carries_noise_never_decides_and_is_named_once():
    batch = episodes()
    batch.components[:, 0] = 0.1 + 1e-17 * np.arange(100)
    design = bound(NAMES, model="linear", margins=0.0)
    with pytest.warns(UserWarning, match="'x' is constant"):
        design.relabel(batch)
    assert design.diagnostics()["decided_x"] == 0.0
    assert design.diagnostics()["decided_y"] > 0.9
    batch = episodes(seed=1)
    batch.components[:, 0] = 0.1
    design.relabel(batch)


def test_segments_end_with_their_episode():
    values = np.arange(10.0)[:, None]
    units = make_units(values, np.array([0, 7, 9, 10]), "segment", 3)
    assert units.first.tolist() == [0, 3, 4, 7, 9]
    assert units.lengths.tolist() == [3, 3, 3, 2, 1]
    assert units.sums[:, 0].tolist() == [3, 12, 15, 15, 9]
    whole = make_units(values, np.array([0, 7, 9, 10]), "episode", 3)
    assert whole.sums[:, 0].tolist() == [21, 15, 9]


@pytest.mark.parametrize("unit", ["step", "segment", "episode"])
def test_networks_learn_the_first_factor_where_margins_are_zero(unit):
    learning = {**SMALL, "first_refit": 400, "gradient_steps": 150, "pairs": 3000}
    design = bound(
        NAMES, margins=0.0, unit=unit, segment_length=2, inputs=["components"], learning=learning
    )
    batch = episodes(80)
    paid = design.relabel(batch)
    assert np.corrcoef(paid, batch.components[:, 0])[0, 1] > 0.9
    assert design.diagnostics()["pair_accuracy"] > 0.85


@pytest.mark.parametrize("center", ["mean", "min", "max"])
def test_rewards_have_deviation_one_and_the_chosen_zero(center):
    paid = bound(["x", Factor("y", -1)], center=center).relabel(episodes())
    assert paid.std() == pytest.approx(1.0)
    assert getattr(np, center)(paid) == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize("model", ["network", "linear", "weights", "lexicographic"])
def test_the_unit_of_a_factor_does_not_matter(model):
    """Rewards are scaled by what the model pays, whatever the components' units."""
    batch = episodes()
    inputs = ["components"] if model == "network" else None
    paid = [
        bound(NAMES, model=model, inputs=inputs).relabel(
            batch._replace(components=batch.components * unit)
        )
        for unit in (1.0, np.array([1e3, 1e-3, 1.0]))
    ]
    np.testing.assert_allclose(paid[1], paid[0], rtol=1e-3, atol=1e-3)
    assert paid[0].std() == pytest.approx(1.0)


@pytest.mark.parametrize(("noise", "deviation"), [(3e-8, 0.0), (1.0, 1.0)])
def test_scores_that_differ_by_rounding_alone_are_not_blown_up(noise, deviation):
    """The network reads observations that say nothing, so its scores differ by their noise."""
    batch = episodes()
    batch = batch._replace(obs=(0.1 + noise * batch.obs).astype(np.float32))
    assert len(np.unique(batch.obs)) > 5
    design = bound(NAMES, inputs=["obs"])
    paid = design.relabel(batch)
    assert design.refits == 1
    assert paid.std() == pytest.approx(deviation, abs=1e-5)


def test_baselines_pay_weighted_sums_of_z_scored_factors():
    batch = episodes()
    z = batch.components / batch.components.std(0)
    for model, alpha, want in [
        ("lexicographic", None, -z[:, 1]),
        ("weights", 0.5, -z[:, 1] + 0.5 * z[:, 2]),
    ]:
        design = bound([Factor("y", -1), "z"], model=model, alpha=alpha)
        want = (want - want.mean()) / want.std()
        np.testing.assert_allclose(design.relabel(batch), want, atol=1e-12)


@pytest.mark.parametrize("model", ["network", "linear"])
def test_training_goes_on_from_a_saved_state_as_if_never_stopped(model):
    learning = {**SMALL, "ensemble": 2} if model == "network" else SMALL
    straight = bound(NAMES, model=model, learning=learning)
    for seed in range(2):
        straight.relabel(episodes(seed=seed))
    again = bound(NAMES, model=model, learning=learning)
    again.load_state_dict(pickle.loads(pickle.dumps(straight.state_dict())))
    for seed in range(2, 4):
        np.testing.assert_array_equal(
            again.relabel(episodes(seed=seed)), straight.relabel(episodes(seed=seed))
        )
    assert again.diagnostics() == straight.diagnostics()
    assert again.refits == straight.refits == 4


def test_a_frozen_design_takes_nothing_in_and_warmup_pays_what_it_says():
    design = bound(NAMES, warmup="zero")
    design.update_model = False
    assert not design.relabel(episodes()).any()
    assert design.diagnostics() == {}
    raw = bound(NAMES)
    raw.update_model = False
    np.testing.assert_array_equal(raw.relabel(episodes()), episodes().reward)


def test_an_episode_during_which_the_model_was_frozen_is_taken_in_whole():
    design = HeronDesign(["x"], model="linear", center="mean", learning=SMALL)
    design.bind(("x",), 1)
    design.begin(np.ones(1, bool))
    for t in range(60):
        design.update_model = not 10 <= t < 50
        end = np.array([t == 59])
        never = np.zeros(1, bool)
        design.step(StepBatch(np.ones(1), np.array([[t % 3.0]]), end, never, ~never, never))
    assert design.diagnostics()["steps"] == 60


def test_a_network_without_torch_says_what_to_install(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingDependency, match=r"rewardloom\[baselines\]"):
        HeronDesign(["x"])
    HeronDesign(["x"], model="linear")


def test_pairs_that_nothing_decides_leave_the_model_as_it_is():
    design = bound(NAMES, margins=100.0)
    with pytest.warns(UserWarning, match="No pair"):
        paid = design.relabel(episodes())
    np.testing.assert_array_equal(paid, episodes().reward)
    assert design.diagnostics()["undecided"] == 1.0
    assert design.refits == 0
    other = bound(NAMES)
    other.relabel(episodes())
    assert set(design.diagnostics()) == set(other.diagnostics())
    assert np.isfinite(list(other.diagnostics().values())).all()


def test_unequal_endings_warn_once_unless_a_center_is_chosen():
    table = [np.ones((2, 3)), np.ones((3, 3))]
    batch = episode_batch([np.ones(2), np.ones(3)], table)
    design = HeronDesign(NAMES, model="linear")
    design.bind(NAMES, 1)
    with pytest.warns(UserWarning, match="center='mean'"):
        design.relabel(batch)
    design.relabel(batch)
    bound(NAMES, model="linear").relabel(batch)


@pytest.mark.parametrize(
    ("ranking", "options", "match"),
    [
        ([], {}, "at least one"),
        (["x", "x"], {}, "twice"),
        ([{"component": "x", "sgn": 1}], {}, "sign"),
        (["x"], {"margins": -1.0}, "at least 0"),
        (["x"], {"margins": float("nan")}, "at least 0"),
        (["x"], {"margins": [1.0, 2.0]}, "2 numbers for 1"),
        (["x"], {"margins": "sd"}, "std"),
        (["x"], {"margins": {"absolut": 1}}, "absolute"),
        (["x"], {"unit": "steps"}, "step"),
        (["x"], {"segment_length": 0}, "segment_length"),
        (["x"], {"inputs": ["observation"]}, "input"),
        (["x"], {"model": "linear", "inputs": ["obs"]}, "model='network'"),
        (["x"], {"alpha": 0.5}, "alpha"),
        (["x"], {"learning": {"pair": 3}}, "pairs"),
        (["x"], {"learning": {"pairs": 0}}, "pairs"),
    ],
)
def test_bad_arguments_are_refused(ranking, options, match):
    with pytest.raises(ConfigError, match=match):
        HeronDesign(ranking, **options)


@pytest.mark.parametrize("sign", [0, 2])
def test_a_factor_refuses_other_signs(sign):
    with pytest.raises(ConfigError, match="must be 1 or -1"):
        Factor("x", sign)


def test_a_ranked_component_must_exist():
    with pytest.raises(ConfigError, match="Did you mean 'speed'"):
        HeronDesign(["sped"]).bind(("speed", "angle"), 1)


def test_importing_and_paying_need_no_torch():
    code = "import sys, rewardloom.rewards, rewardloom.wrappers\nassert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
