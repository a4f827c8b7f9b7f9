"""Steps to a success level: the definition, by hand."""

import numpy as np
import pytest

from rewardloom.baselines.comparison.levels import level_summary, steps_to_level

STEPS = np.arange(1.0, 41.0) * 100


def episodes(raw, **metrics):
    columns = {"step": STEPS[: len(raw)], "raw_return": np.asarray(raw, float)}
    return columns | {name: np.asarray(values, float) for name, values in metrics.items()}


def test_the_mean_of_twenty_episodes_counts():
    raw = [0.0] * 20 + [1.0] * 20
    # after 10 ones among the last 20 the mean is 0.5: the 30th episode
    assert steps_to_level(episodes(raw), {"metric": "raw_return", "level": 0.5}) == 3000
    assert steps_to_level(episodes(raw), {"metric": "raw_return", "level": 0.51}) == 3100
    assert steps_to_level(episodes(raw), {"metric": "raw_return", "level": 0.0}) == 2000


def test_the_first_time_counts_even_if_it_is_lost_again():
    raw = [1.0] * 20 + [0.0] * 20
    assert steps_to_level(episodes(raw), {"metric": "raw_return", "level": 1.0}) == 2000


def test_episodes_without_the_metric_are_skipped():
    wins = [np.nan, 1.0] * 20
    found = steps_to_level(
        episodes([0.0] * 40, metric_is_success=wins), {"metric": "is_success", "level": 1}
    )
    assert found == 4000  # the 20th measured episode is the 40th


@pytest.mark.parametrize("raw", [[0.9] * 40, [5.0] * 19, []])
def test_what_is_never_reached_is_infinite(raw):
    if raw:
        assert steps_to_level(episodes(raw), {"metric": "raw_return", "level": 1}) == np.inf
    else:
        assert steps_to_level(episodes(raw), {"metric": "raw_return", "level": 1}) is None


def test_an_unknown_metric_is_not_measured():
    assert steps_to_level(episodes([1.0] * 40), {"metric": "depth", "level": 1}) is None


@pytest.mark.parametrize(
    ("found", "words"),
    [
        ([100, 300, 200, 500, 400], "5 of 5 reached it; median 300 steps (100 to 500)"),
        (
            [np.inf, 300, 200, np.inf, 40_000],
            "3 of 5 reached it; median 40,000 steps (200 to never)",
        ),
        ([np.inf, 300, 200, np.inf], "2 of 4 reached it; median beyond training (200 to never)"),
        ([np.inf, 300, 200, 100], "3 of 4 reached it; median 250 steps (100 to never)"),
        ([300], "1 of 1 reached it; median 300 steps"),
        (
            [300, None, np.inf],
            "1 of 2 reached it; median beyond training (300 to never); 1 not measured",
        ),
        ([np.inf, None], "never: 0 of 1 reached it; 1 not measured"),
        ([np.inf, np.inf], "never: 0 of 2 reached it"),
        ([None, None], "not measured"),
        ([], "not measured"),
    ],
)
def test_an_arm_is_summed_up_with_its_censored_runs(found, words):
    assert level_summary(found) == words
