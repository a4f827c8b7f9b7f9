"""Routes, route completion and deviation at points worked by hand."""

import numpy as np
import pytest
from carla_states import straight_route
from hypothesis import given, settings
from hypothesis import strategies as st

from rewardloom.envs.carla.scoring.deviation import DeviationRule
from rewardloom.envs.carla.scoring.route_progress import RouteProgress
from rewardloom.envs.carla.scoring.routes import Route, RouteBank
from rewardloom.errors import ConfigError


def bank_of(*routes):
    bank = RouteBank(len(routes))
    bank.replace(np.ones(len(routes), bool), routes)
    return bank


def follow(route, places):
    """RC after each place."""
    progress = RouteProgress(bank_of(route))
    return [float(progress.update(np.array([place], float)).percent[0]) for place in places]


def test_a_route_measures_itself():
    route = Route.through([[0, 0], [3, 4], [3, 10]])
    np.testing.assert_allclose(route.meters, [0, 5, 11])
    np.testing.assert_allclose(route.percent, [0, 45.45, 100])
    np.testing.assert_allclose(route.yaws, [np.arctan2(4, 3), np.pi / 2, np.pi / 2])


def test_percent_is_rounded_as_decimals_are():
    """1 of 160 m is 0.625 %: 0.62 to the even neighbor; 2.675 is a little less than it looks."""
    assert Route.through([[0, 0], [1, 0], [160, 0]]).percent[1] == 0.62
    assert Route.through([[0, 0], [2.675, 0], [100, 0]]).percent[1] == round(2.675 / 100 * 100, 2)
    assert np.round(2.675, 2) == 2.68  # why numpy's rounding is not used
    assert Route.through([[0, 0], [2.675, 0], [100, 0]]).percent[1] == 2.67


@pytest.mark.parametrize(
    ("points", "yaws", "message"),
    [
        ([[0.0, 0.0]], None, "at least 2"),
        ([0.0, 1.0], None, "at least 2"),
        ([[1.0, 1.0], [1.0, 1.0]], None, "above 0 m"),
        ([[0.0, 0.0], [np.nan, 1.0]], None, "finite"),
        ([[0.0, 0.0], [1.0, 1.0]], [0.0], "as many yaws"),
        ([[0.0, 0.0], [1.0, 1.0]], [0.0, np.inf], "finite"),
    ],
)
def test_points_that_make_no_route_are_refused(points, yaws, message):
    with pytest.raises(ConfigError, match=message):
        Route.through(np.array(points), yaws)


def test_as_many_routes_as_worlds_begin():
    with pytest.raises(ConfigError, match="2 worlds begin, but there are 1"):
        RouteBank(3).replace(np.array([True, False, True]), [straight_route()])


def test_routes_of_different_lengths_share_a_bank():
    bank = bank_of(straight_route(5), straight_route(9))
    bank.replace(np.array([True, False]), [straight_route(20)])
    np.testing.assert_allclose(bank.total, [20, 9])
    np.testing.assert_allclose(bank.last_point, [[20, 0], [9, 0]])
    np.testing.assert_array_equal(bank.points[1, :10], straight_route(9).points)


def test_a_point_is_passed_when_it_lies_behind():
    assert follow(straight_route(100), [(0.0, 0), (1.0, 0), (1.001, 0), (2.5, 7.0)]) == [0, 0, 1, 2]


def test_a_step_passes_two_points_at_most():
    assert follow(straight_route(100), [(2.5, 0), (9.5, 0), (9.5, 0)]) == [2, 4, 6]


def test_the_window_starts_at_the_current_point():
    """A point is found although those before it are not passed any more."""
    bend = Route.through([[0, 0], [1, 0], [2, 0], [3, 0]], [0.0, np.pi, 0.0, 0.0])
    assert follow(bend, [(2.5, 0)]) == [pytest.approx(66.67)]


def test_beyond_the_last_point_nothing_more_is_passed():
    assert follow(straight_route(2), [(1.5, 0), (2.5, 0), (9.0, 0), (9.5, 0)]) == [
        50,
        100,
        100,
        100,
    ]


def test_completion_never_falls():
    assert follow(straight_route(100), [(2.5, 0), (0.5, 0), (-9, 0), (2.9, 0)]) == [2, 2, 2, 2]


@pytest.mark.parametrize(("to_end", "percent"), [(9.99, 100.0), (10.01, 99.1)])
def test_near_the_end_a_route_is_complete(to_end, percent):
    """1000 m: at index 991, RC 99.1, the distance to the last point decides."""
    progress = RouteProgress(bank_of(straight_route(1000)))
    progress.memory.index[:] = 990
    aside = np.sqrt(to_end**2 - (1000 - 991.5) ** 2)
    assert progress.update(np.array([[991.5, aside]])).percent[0] == percent


def test_a_complete_route_stays_complete():
    progress = RouteProgress(bank_of(straight_route(1000)))
    progress.memory.index[:] = 990
    assert progress.update(np.array([[991.5, 0.0]])).percent[0] == 100
    away = progress.update(np.array([[991.5, 50.0]]))
    assert (away.percent[0], away.gained[0]) == (100, 0)


@pytest.mark.parametrize(("passed", "percent"), [(99, 99.0), (100, 100.0)])
def test_99_percent_is_not_above_99(passed, percent):
    progress = RouteProgress(bank_of(straight_route(100)))
    progress.memory.index[:] = 98
    assert progress.update(np.array([[passed + 0.5, 0.0]])).percent[0] == percent


def test_points_left_and_meters():
    progress = RouteProgress(bank_of(straight_route(4)))
    first = progress.update(np.array([[1.5, 0.0]]))
    second = progress.update(np.array([[3.5, 0.0]]))
    assert (first.point[0], first.points_left[0], second.points_left[0]) == (1, 4, 2)
    assert (second.meters[0], second.meters_gained[0]) == (3.0, 2.0)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.floats(-50, 150), st.floats(-40, 40)), max_size=60))
def test_gains_are_never_negative_and_sum_to_completion(places):
    progress = RouteProgress(bank_of(straight_route(60)))
    gains, percent = [], 0.0
    for place in places:
        step = progress.update(np.array([place]))
        gains.append(step.gained[0])
        percent = step.percent[0]
    assert all(gain >= 0 for gain in gains)
    assert sum(gains) == pytest.approx(percent, abs=1e-9)
    assert 0 <= percent <= 100


# deviation


def deviates(route, places):
    rule = DeviationRule(bank_of(route))
    return [bool(rule.update(np.array([place], float))[0]) for place in places]


def test_30_meters_from_the_route_is_off_it():
    assert deviates(straight_route(), [(0, 29.99), (0, 30.0)]) == [False, True]
    assert deviates(straight_route(), [(0, -30.01)]) == [True]


def test_the_nearest_of_six_points_counts():
    """A jump ahead: 5 points ahead are in the window, and 30 m from there is off."""
    assert deviates(straight_route(), [(34.99, 0)]) == [False]
    assert deviates(straight_route(), [(35.0, 0)]) == [True]
    assert deviates(straight_route(), [(34.99, 0), (39.99, 0), (45.1, 0)]) == [False, False, True]


def test_the_window_does_not_look_back():
    assert deviates(straight_route(), [(5, 0), (-24.99, 0)]) == [False, False]
    assert deviates(straight_route(), [(5, 0), (-25.01, 0)]) == [False, True]


def off_after(aside, meters=100):
    """How many meters of a route can be driven `aside` m from it."""
    rule = DeviationRule(bank_of(straight_route(meters)))
    for x in range(1, meters + 1):
        if rule.update(np.array([[x, aside]], float))[0]:
            return x
    return None


def test_30_percent_may_be_driven_15_meters_from_the_route():
    assert off_after(15.0) == 31
    assert off_after(14.99) is None
    assert off_after(29.9) == 31
    assert off_after(15.0, meters=200) == 61


def test_meters_beyond_add_up_over_excursions():
    rule = DeviationRule(bank_of(straight_route(100)))
    found = []
    for x in range(1, 101):
        aside = 20.0 if x % 2 else 0.0
        found.append(bool(rule.update(np.array([[x, aside]], float))[0]))
    assert found.index(True) + 1 == 61  # the 31st odd meter


def test_of_two_equally_near_points_the_later_counts():
    rule = DeviationRule(bank_of(straight_route(10)))
    rule.update(np.array([[0.5, 0.0]]))
    assert rule.memory.index[0] == 1
