"""Comfort: filters against SciPy's, each bound on both sides, each timer."""

import numpy as np
import pytest
from scipy.signal import savgol_filter

from rewardloom.envs.carla.scoring.comfort import (
    CARLA_LIMITS,
    METRICS,
    NUPLAN_LIMITS,
    Comfort,
    PositionDifferences,
    filter_weights,
)
from rewardloom.envs.carla.scoring.smoothing import newest_weights, smoothing_matrix

T = np.arange(-7, 1) * 0.1
"""Eight samples that end at t = 0."""


@pytest.mark.parametrize("window", [5, 7, 8, 11])
@pytest.mark.parametrize("order", [2, 3])
@pytest.mark.parametrize("samples", [11, 12, 15])
def test_smoothing_is_scipys(samples, window, order):
    signal = np.random.default_rng(samples).normal(size=samples)
    expected = savgol_filter(signal, window, order)
    np.testing.assert_allclose(
        smoothing_matrix(samples, window, order) @ signal, expected, atol=1e-10
    )


@pytest.mark.parametrize("derivative", [0, 1, 2])
@pytest.mark.parametrize("window", [5, 8, 15])
def test_weights_of_the_newest_sample_are_scipys(window, derivative):
    signal = np.random.default_rng(window).normal(size=15)
    expected = savgol_filter(signal, window, 3, deriv=derivative, delta=0.05)[-1]
    got = newest_weights(15, window, 3, derivative, 0.05) @ signal
    assert got == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("samples", range(8, 16))
def test_every_chain_of_filters_is_scipys(samples):
    signal = np.random.default_rng(samples).normal(size=samples)
    smooth = savgol_filter(signal, 8, 2)
    jerk = savgol_filter(smooth, min(15, samples), 2, deriv=1, delta=0.1)[-1]
    expected = [
        smooth[-1],
        smooth[-1],
        jerk,
        jerk,
        savgol_filter(signal, 5, 2, deriv=1, delta=0.1)[-1],
        savgol_filter(signal, 5, 3, deriv=2, delta=0.1)[-1],
    ]
    weights = filter_weights(0.1)[samples]
    np.testing.assert_allclose(weights[:, 15 - samples :] @ signal, expected, rtol=1e-9, atol=1e-9)
    assert not weights[:, : 15 - samples].any()


def test_fewer_than_eight_samples_weigh_nothing():
    assert not filter_weights(0.1)[:8].any()


def judge(limits, acceleration, yaw):
    """Names of the metrics whose timers run after the samples."""
    comfort = Comfort(1, limits, 0.1)
    for a, y in zip(np.broadcast_to(acceleration, (len(yaw), 2)), yaw, strict=True):
        comfort.update(a[None], np.array([y]))
    return [name for name, timer in zip(METRICS, comfort.memory.timers[0], strict=True) if timer]


ZERO = np.zeros(8)


def ahead(values):
    return np.stack([values, ZERO], axis=1)


def aside(values):
    return np.stack([ZERO, values], axis=1)


CASES = {
    "lowest_longitudinal_acceleration": lambda b: (ahead(ZERO + b), ZERO),
    "highest_longitudinal_acceleration": lambda b: (ahead(ZERO + b), ZERO),
    "lateral_acceleration": lambda b: (aside(ZERO + b), ZERO),
    "jerk": lambda b: (aside(b * T), ZERO),  # the magnitude falls, to 0 in the end
    "longitudinal_jerk": lambda b: (ahead(b * (T + 0.3)), ZERO),  # the magnitude hardly changes
    "yaw_rate": lambda b: (ahead(ZERO), b * T),
    "yaw_acceleration": lambda b: (ahead(ZERO), b * T**2 / 2),
}
BOUNDS = {
    "carla": (CARLA_LIMITS, (-20, 10, 9, 30, 30, 1.0, 3.0)),
    "nuplan": (NUPLAN_LIMITS, (-4.05, 2.40, 4.89, 8.37, 4.13, 0.95, 1.93)),
}


@pytest.mark.parametrize("limits", BOUNDS)
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("sign", [1, -1])
def test_each_bound_is_where_it_is_said_to_be(limits, case, sign):
    bounds, values = BOUNDS[limits]
    bound = values[list(CASES).index(case)]
    if "longitudinal_acceleration" in case:
        sign, metric = 1, "longitudinal_acceleration"
    else:
        metric = case
    assert metric not in judge(bounds, *CASES[case](sign * bound * 0.999))
    violated = judge(bounds, *CASES[case](sign * bound * 1.001))
    assert violated == [metric] or (case == "longitudinal_jerk" and metric in violated)


def test_accelerations_are_taken_in_the_egos_axes():
    """Heading along y: acceleration along y is ahead, along -x it is aside."""
    yaw = ZERO + np.pi / 2
    assert judge(CARLA_LIMITS, np.array([0.0, 10.1]), yaw) == ["longitudinal_acceleration"]
    assert judge(CARLA_LIMITS, np.array([-9.1, 0.0]), yaw) == ["lateral_acceleration"]


def test_yaw_has_no_jumps():
    assert judge(CARLA_LIMITS, np.zeros(2), (0.9 * T + 2 * np.pi) % (2 * np.pi)) == []


def test_old_samples_leave_after_fifteen():
    comfort = Comfort(1, CARLA_LIMITS, 0.1)
    for value in [50.0] * 4 + [0.0] * 15:
        comfort.update(np.array([[value, 0.0]]), np.zeros(1))
    np.testing.assert_allclose(comfort.values(), 0.0, atol=1e-9)


def test_each_metric_has_a_timer_of_500_ticks():
    """The newest of 8 samples weighs 0.71: one sample below the bound, and the value is below."""
    comfort = Comfort(1, CARLA_LIMITS, 0.1)
    running = []
    for tick in range(720):
        along = 10.001 if tick < 8 else 9.999
        across = 9.001 if 100 <= tick < 108 else 8.999
        running.append(int(comfort.update(np.array([[along, across]]), np.zeros(1))[0]))
    sideways = running.index(2)
    assert running.index(1) == 7
    assert 100 <= sideways < 108
    assert running[7:sideways] == [1] * (sideways - 7)
    assert running[sideways:507] == [2] * (507 - sideways)
    assert running[507:607] == [1] * 100  # the first has run out
    assert running[608:] == [0] * 112


def test_differences_need_three_positions():
    differences = PositionDifferences(1, 0.1)
    differences.begin(np.ones(1, bool), np.array([[1.0, 2.0]]))
    got = [differences.update(np.array([[1.0 + x, 2.0 - x]]))[0] for x in (0.1, 0.3, 0.6)]
    np.testing.assert_allclose(got, [[0, 0], [10, -10], [10, -10]], atol=1e-9)
