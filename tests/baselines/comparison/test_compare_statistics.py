"""Statistics against hand numbers, enumeration and rliable."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.stats import trim_mean

from rewardloom.baselines.comparison.statistics import (
    Estimate,
    bin_episodes,
    estimate,
    interpolated_curve,
    iqm,
    learning_curve,
    mean,
    verdict,
)


def test_iqm_leaves_out_a_quarter_on_each_side():
    assert iqm(np.array([100.0, 1.0, 2.0, -50.0])) == 1.5
    assert iqm(np.array([1.0, 2.0, 9.0])) == 4.0
    assert iqm(np.array([0.0, 1, 2, 3, 4, 5, 6, 100])) == 3.5


@given(hnp.arrays(np.float64, st.integers(1, 30), elements=st.floats(-1e6, 1e6)))
def test_iqm_is_scipys_trimmed_mean(values):
    assert iqm(values) == pytest.approx(trim_mean(values, 0.25), rel=1e-12, abs=1e-6)


def test_interval_of_two_runs_is_their_range():
    assert estimate([3.0, 7.0]) == Estimate(5.0, 3.0, 7.0, 2)


def test_one_run_has_no_interval():
    found = estimate([3.0])
    assert (found.point, found.runs) == (3.0, 1)
    assert np.isnan([found.low, found.high]).all()


def test_interval_agrees_with_all_resamples_written_out():
    scores = np.array([1.0, 2.0, 4.0, 8.0, 16.0])
    samples = np.array(list(itertools.product(scores, repeat=5)))
    low, high = np.percentile(mean(samples), [2.5, 97.5])
    found = estimate(scores, mean)
    assert found.point == 6.2
    assert found.low == pytest.approx(low, abs=0.2)
    assert found.high == pytest.approx(high, abs=0.2)


def test_runs_are_resampled_within_tasks():
    # within a task both runs are equal, so no resample can differ; across tasks it would
    assert estimate([[0.0, 10.0], [0.0, 10.0]], mean) == Estimate(5.0, 5.0, 5.0, 2)


def test_the_interval_is_the_same_each_time():
    scores = np.random.default_rng(3).normal(size=(6, 2))
    assert estimate(scores) == estimate(scores)


@pytest.mark.parametrize("shape", [(5, 1), (8, 3)])
def test_intervals_agree_with_rliable(shape):
    from rliable import library, metrics

    scores = np.random.default_rng(1).normal(10, 3, shape)
    for ours, theirs in ((iqm, metrics.aggregate_iqm), (mean, metrics.aggregate_mean)):
        np.random.seed(0)
        points, intervals = library.get_interval_estimates(
            {"arm": scores}, lambda x, f=theirs: np.array([f(x)]), reps=20_000
        )
        found = estimate(scores, ours)
        assert found.point == pytest.approx(points["arm"][0], rel=1e-12)
        assert [found.low, found.high] == pytest.approx(intervals["arm"].ravel(), abs=0.06)


def test_binning_averages_bridges_and_leaves_ends_open():
    edges = np.array([0.0, 10, 20, 30, 40, 50])
    binned = bin_episodes([12, 20, 35, 999], [1.0, 3.0, 6.0, 50.0], edges)
    assert np.isnan(binned[[0, 4]]).all()
    assert binned[1:4].tolist() == [2.0, 4.0, 6.0]


def test_binning_ignores_episodes_without_a_value():
    edges = np.array([0.0, 10, 20])
    binned = bin_episodes([5, 6, 15], [np.nan, 2.0, np.nan], edges)
    assert binned[0] == 2.0
    assert np.isnan(binned[1])


def test_curve_is_drawn_where_every_run_has_a_value():
    edges = np.array([0.0, 10, 20, 30])
    curve = learning_curve([np.array([1.0, 2, np.nan]), np.array([3.0, 6, 5])], edges)
    assert curve.step.tolist() == [5.0, 15.0, 25.0]
    assert curve.point[:2].tolist() == [2.0, 4.0]
    assert curve.low[:2].tolist() == [1.0, 2.0]
    assert curve.high[:2].tolist() == [3.0, 6.0]
    assert np.isnan([curve.point[2], curve.low[2], curve.high[2]]).all()


OVERLAP = (Estimate(1.0, 0.0, 3.0, 9), Estimate(4.0, 2.0, 5.0, 9))
TOUCH = (Estimate(1.0, 0.0, 2.0, 9), Estimate(4.0, 2.0, 5.0, 9))


@pytest.mark.parametrize("pair", [OVERLAP, OVERLAP[::-1], TOUCH])
def test_overlapping_intervals_are_never_called_better(pair):
    sentence = verdict(("a", "b"), *pair, "raw return")
    assert sentence == (
        "The intervals of a and b overlap: no difference in raw return is shown (9 seeds)."
    )


def test_few_seeds_are_never_called_better():
    low, high = Estimate(1.0, 0.0, 2.0, 9), Estimate(4.0, 3.0, 5.0, 4)
    sentence = verdict(("a", "b"), low, high, "raw return")
    assert sentence.endswith("but 4 seeds are too few seeds to say better.")


def test_one_seed_has_no_interval_to_speak_of():
    one = Estimate(1.0, np.nan, np.nan, 1)
    sentence = verdict(("a", "b"), one, Estimate(9.0, 8.0, 10.0, 9), "raw return")
    assert sentence == "a and b: with 1 seed there is no interval; too few seeds to say better."


@pytest.mark.parametrize("order", [1, -1])
def test_enough_seeds_apart_name_the_better_arm(order):
    arms = {"low": Estimate(1.0, 0.0, 2.0, 5), "high": Estimate(4.0, 3.0, 5.0, 5)}
    names = list(arms)[::order]
    sentence = verdict((names[0], names[1]), arms[names[0]], arms[names[1]], "raw return")
    assert sentence.startswith("high reaches a better raw return than low")


def test_few_values_are_averaged_at_the_steps_that_all_runs_share():
    runs = [
        (np.array([10.0, 20.0, 40.0]), np.array([0.0, 2.0, 6.0])),
        (np.array([15.0, 30.0]), np.array([1.0, 4.0])),
    ]
    curve = interpolated_curve(runs)
    assert curve.step.tolist() == [15, 20, 30]
    assert curve.point.tolist() == [1.0, 2.0, 4.0]  # (1 + 1) / 2, (2 + 2) / 2, (4 + 4) / 2
    apart = interpolated_curve([runs[0], (np.array([50.0]), np.array([1.0]))])
    assert len(apart.step) == 0


def test_one_run_keeps_its_own_values_and_many_are_thinned():
    single = interpolated_curve([(np.array([5.0]), np.array([3.0]))])
    assert (single.step.tolist(), single.point.tolist()) == ([5.0], [3.0])
    steps = np.arange(1.0, 1001.0)
    assert len(interpolated_curve([(steps, steps)]).step) == 200
