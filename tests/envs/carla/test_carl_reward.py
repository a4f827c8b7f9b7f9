"""CaRL's reward at points worked by hand: one test, at least, for each of its factors."""

import math

import numpy as np
import pytest
from carla_states import begun, changed, parts_of, quiet_state, straight_route

from rewardloom.envs.carla.scoring.state import STATIC, VEHICLE, WALKER

DEG = math.pi / 180


def at(x, y=0.0):
    return {"position": [x, y]}


def test_a_perfect_episode_sums_to_100():
    referee, total = begun(route=straight_route(150)), 0.0
    for x in np.arange(0.5, 150.0):
        judged = referee.step(changed(quiet_state(), ego=at(x)))
        total += judged.reward[0]
        assert not judged.terminated[0]
    judged = referee.step(changed(quiet_state(), ego=at(150.5)))
    assert judged.terminated[0]
    assert total + judged.reward[0] == pytest.approx(100.0, abs=1e-9)


def test_progress_is_the_gain_in_percent():
    referee = begun(route=straight_route(200))
    assert parts_of(referee, changed(quiet_state(), ego=at(1.5)))["progress"] == 0.5
    judged = referee.step(changed(quiet_state(), ego=at(3.5)))
    assert judged.reward[0] == 1.0
    assert judged.progress.percent[0] == 1.5


def test_driving_back_or_in_circles_earns_nothing():
    referee = begun()
    places = [(2.5, 0), (4.5, 0), (2.5, 0), (0.5, 3), (2.5, 0), (4.5, 0), (-5, 0), (4.5, 0)]
    rewards = [referee.step(changed(quiet_state(), ego=at(*p))).reward[0] for p in places]
    assert rewards == [2.0, 2.0, 0, 0, 0, 0, 0, 0]


def test_reward_is_the_product_of_the_factors_and_the_hint_is_added():
    state = changed(
        quiet_state(),
        ego={"position": [1.5, 0], "velocity": [11.115, 0]},
        lane={"distance": 1.0},
        actors={"mask": True, "position": [5.0, 0.0]},
        collisions={"mask": True},
    )
    referee = begun()
    judged = referee.step(state)
    expected = [1.0, 1.0, 0.5, 0.5, 1.0, 0.5, -1.0]
    np.testing.assert_allclose(judged.components[0], expected, atol=1e-12)
    assert judged.reward[0] == pytest.approx(1.0 * 0.5 * 0.5 * 0.5 - 1.0)
    assert referee.components == ("progress", "out", "speed", "ttc", "comfort", "lane", "terminal")
    assert referee.terminal_components == ("terminal",)


# out: half a lane's width and 0.5 m; wrong lanes


@pytest.mark.parametrize(("distance", "factor"), [(0.0, 1), (2.49, 1), (2.51, 0)])
def test_outside_is_half_a_meter_beyond_the_lane(distance, factor):
    assert parts_of(begun(), changed(quiet_state(), lane={"distance": distance}))["out"] == factor


def test_outside_a_junctions_lanes_counts_too():
    state = changed(quiet_state(), lane={"distance": 2.51, "junction": True})
    assert parts_of(begun(), state)["out"] == 0


def test_nothing_is_earned_outside():
    state = changed(quiet_state(), ego=at(1.5), lane={"distance": 2.51, "junction": True})
    assert begun().step(state).reward[0] == 0.0


@pytest.mark.parametrize(
    ("parking", "width", "factor"), [(1.0, 2.0, 1), (3.0, 6.0, 1), (3.1, 9.0, 0), (1.6, 2.0, 0)]
)
def test_a_parking_lane_that_is_nearer_counts_instead(parking, width, factor):
    lane = {"distance": 3.0, "parking_distance": parking, "parking_width": width}
    assert parts_of(begun(), changed(quiet_state(), lane=lane))["out"] == factor


@pytest.mark.parametrize(("degrees", "factor"), [(119, 1), (121, 0), (239, 0), (241, 1)])
def test_after_a_junction_the_heading_tells_a_wrong_lane(degrees, factor):
    referee = begun()
    inside = changed(quiet_state(), lane={"junction": True, "road": 2})
    assert parts_of(referee, inside)["out"] == 1
    after = changed(quiet_state(), ego={"yaw": degrees * DEG}, lane={"road": 3})
    assert parts_of(referee, after)["out"] == factor
    assert parts_of(referee, after)["out"] == factor  # and it stays


@pytest.mark.parametrize(("degrees", "factor"), [(149, 1), (151, 0), (209, 0), (211, 1)])
def test_between_lanes_a_jump_of_direction_toggles_the_flag(degrees, factor):
    referee = begun()
    other = changed(quiet_state(), lane={"lane": -1, "yaw": degrees * DEG})
    assert parts_of(referee, other)["out"] == factor
    assert parts_of(referee, other)["out"] == factor
    assert parts_of(referee, quiet_state())["out"] == 1  # back again


def test_a_change_of_the_road_alone_is_judged_and_no_change_is_not():
    turned = {"yaw": 180 * DEG}
    assert parts_of(begun(), changed(quiet_state(), lane={"road": 2, **turned}))["out"] == 0
    assert parts_of(begun(), changed(quiet_state(), lane=turned))["out"] == 1


def test_a_small_jump_leaves_the_flag_as_it_is():
    referee = begun()
    wrong = changed(quiet_state(), lane={"lane": -1, "yaw": 180 * DEG})
    assert parts_of(referee, wrong)["out"] == 0
    further = changed(quiet_state(), lane={"lane": -1, "yaw": 180 * DEG, "road": 2})
    assert parts_of(referee, further)["out"] == 0


def test_a_junction_clears_the_flag():
    referee = begun()
    wrong = {"lane": -1, "yaw": 180 * DEG}
    assert parts_of(referee, changed(quiet_state(), lane=wrong))["out"] == 0
    assert parts_of(referee, changed(quiet_state(), lane={**wrong, "junction": True}))["out"] == 1
    assert parts_of(referee, changed(quiet_state(), lane=wrong))["out"] == 1


# speed


@pytest.mark.parametrize(
    ("velocity", "limit", "factor"),
    [
        ([10.0, 0.0], 10.0, 1.0),
        ([11.115, 0.0], 10.0, 0.5),
        ([12.0, 0.0], 10.0, 1 - 2 / 2.23),
        ([12.23, 0.0], 10.0, 0.0),
        ([20.0, 0.0], 10.0, 0.0),
        ([0.0, 1.0], 10.0, 1.0),
        ([-6.0, 8.0], 10.0 - 1.115, 0.5),
        ([7.115, 0.0], math.nan, 0.5),
        ([6.0, 0.0], math.nan, 1.0),
    ],
)
def test_speed_falls_to_0_at_2_23_above_the_limit(velocity, limit, factor):
    state = changed(quiet_state(), ego={"velocity": velocity, "speed_limit": limit})
    assert parts_of(begun(), state)["speed"] == pytest.approx(factor, abs=1e-12)


# ttc


def before(x, y=0.0, speed=10.0, **actor):
    """The ego at `speed` along x, boxes of half length 2.5 and 1, an actor at (x, y)."""
    actor = {"mask": True, "position": [x, y], **actor}
    return changed(quiet_state(), ego={"velocity": [speed, 0.0]}, actors=actor)


@pytest.mark.parametrize(("x", "factor"), [(12.4, 0.5), (12.6, 1.0), (-3.0, 1.0)])
def test_ttc_looks_nine_tenths_of_a_second_ahead(x, factor):
    assert parts_of(begun(), before(x))["ttc"] == factor  # 3.5 + 10 * 0.9 = 12.5


@pytest.mark.parametrize("time", [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0])
def test_ttc_compares_boxes_at_five_times(time):
    crossing = before(0.0, -100 * time, 0.2, yaw=90 * DEG, velocity=[0.0, 100.0])
    expected = 0.5 if time in (0.1, 0.3, 0.5, 0.7, 0.9) else 1.0
    assert parts_of(begun(), crossing)["ttc"] == expected


@pytest.mark.parametrize(("speed", "factor"), [(0.09, 1.0), (0.11, 0.5)])
def test_ttc_is_not_tested_when_standing(speed, factor):
    assert parts_of(begun(), before(1.0, speed=speed))["ttc"] == factor


@pytest.mark.parametrize(("kind", "factor"), [(VEHICLE, 0.5), (WALKER, 0.5), (STATIC, 1.0)])
def test_ttc_needs_a_vehicle_or_a_walker_somewhere(kind, factor):
    assert parts_of(begun(), before(5.0, kind=kind))["ttc"] == factor


@pytest.mark.parametrize(("present", "factor"), [(True, 0.5), (False, 1.0)])
def test_ttc_tests_static_obstacles_beside_others(present, factor):
    state = changed(
        quiet_state(actors=2),
        ego={"velocity": [10.0, 0.0]},
        actors={
            "kind": [STATIC, WALKER],
            "position": [[5.0, 0.0], [500.0, 0.0]],
            "mask": [True, present],
        },
    )
    assert parts_of(begun(), state)["ttc"] == factor


def test_ttc_ignores_rows_that_stand_for_nothing():
    places = {"position": [[5.0, 0.0], [500.0, 0.0]], "mask": [False, True]}
    state = changed(quiet_state(actors=2), ego={"velocity": [10.0, 0.0]}, actors=places)
    assert parts_of(begun(), state)["ttc"] == 1.0


@pytest.mark.parametrize(("y", "factor"), [(1.9, 0.5), (2.1, 1.0)])
def test_ttc_compares_boxes_and_not_circles(y, factor):
    beside = before(0.0, y, velocity=[10.0, 0.0], extent=[2.5, 1.0])
    assert parts_of(begun(), beside)["ttc"] == factor


@pytest.mark.parametrize(("y", "factor"), [(3.2, 0.5), (3.6, 1.0)])
def test_ttc_turns_the_boxes(y, factor):
    """A box of 2.5 by 1 at 45 degrees reaches 3.5 sin 45 = 2.475 m; the ego's half width is 1."""
    beside = before(
        0.0, y, velocity=np.array([1.0, 1.0]) * 1e-9, yaw=45 * DEG, extent=[2.5, 1.0], speed=0.2
    )
    assert parts_of(begun(), beside)["ttc"] == factor


@pytest.mark.parametrize(("x", "factor"), [(3.95, 0.5), (4.15, 1.0)])
def test_ttc_stops_at_the_front_bumper(x, factor):
    """A corner of a square points at it, 2.5 + 1.414 m away; the ego comes 0.18 m nearer."""
    square = before(x, 0.0, 0.2, yaw=45 * DEG, extent=[1.0, 1.0])
    assert parts_of(begun(), square)["ttc"] == factor


def test_ttc_moves_others_along_their_heading_and_not_their_velocity():
    sliding = before(0.0, 10.0, 0.2, yaw=-90 * DEG, velocity=[9.0, 0.0])
    assert parts_of(begun(), sliding)["ttc"] == 0.5


def test_ttc_moves_the_ego_along_its_heading():
    state = changed(before(0.0, 11.0), ego={"velocity": [10.0, 0.0], "yaw": 90 * DEG})
    assert parts_of(begun(), state)["ttc"] == 0.5


def test_ttc_lasts_500_ticks():
    referee = begun()
    factors = [parts_of(referee, before(5.0))["ttc"]]
    factors += [parts_of(referee, quiet_state())["ttc"] for _ in range(501)]
    assert factors == [0.5] * 500 + [1.0, 1.0]


def test_a_new_finding_starts_the_500_ticks_again():
    referee = begun()
    parts_of(referee, before(5.0))
    for _ in range(300):
        parts_of(referee, quiet_state())
    factors = [parts_of(referee, before(5.0))["ttc"]]
    factors += [parts_of(referee, quiet_state())["ttc"] for _ in range(500)]
    assert factors == [0.5] * 500 + [1.0]


# comfort: the metrics themselves are in test_comfort.py


def test_comfort_costs_a_twelfth_for_each_metric_from_the_eighth_sample_on():
    referee = begun()
    harsh = changed(quiet_state(), ego={"acceleration": [10.1, 9.1]})
    factors = [parts_of(referee, harsh)["comfort"] for _ in range(9)]
    np.testing.assert_allclose(factors, [1.0] * 7 + [1 - 2 / 12] * 2, atol=1e-12)


def test_comfort_takes_half_when_all_six_are_violated():
    referee = begun()
    for step in range(10):
        ego = {"acceleration": [step**3 * 1.0, step**3 * 1.0], "yaw": step**2 * 0.5}
        factor = parts_of(referee, changed(quiet_state(), ego=ego))["comfort"]
    assert factor == pytest.approx(0.5)


def test_comfort_is_a_factor_of_the_reward():
    referee = begun()
    harsh = {"acceleration": [10.1, 9.1]}
    for _ in range(8):
        referee.step(changed(quiet_state(), ego=harsh))
    judged = referee.step(changed(quiet_state(), ego={**harsh, **at(1.5)}))
    assert judged.reward[0] == pytest.approx(1.0 - 2 / 12)


# lane


@pytest.mark.parametrize(
    ("lane", "factor"),
    [
        ({"distance": 0.0}, 1.0),
        ({"distance": 0.5}, 0.75),
        ({"distance": 1.0}, 0.5),
        ({"distance": 1.0, "width": 3.0}, 1 / 3),
        ({"distance": 2.0}, 0.0),
        ({"distance": 3.0}, 0.0),
        ({"distance": 3.0, "junction": True}, 1.0),
    ],
)
def test_lane_falls_from_the_center_to_the_edge(lane, factor):
    assert parts_of(begun(), changed(quiet_state(), lane=lane))["lane"] == pytest.approx(factor)


# terminal


def red_light():
    return changed(
        quiet_state(), ego={"velocity": [1.0, 0.0]}, lights={"mask": True, "position": [1.0, 0.0]}
    )


HINTED = {
    "collision": changed(quiet_state(), collisions={"mask": True}),
    "red_light": red_light(),
}
UNHINTED = {
    "stop_sign": changed(
        quiet_state(),
        stops={"mask": True, "position": [-1.0, 0.0], "distance": -1.0},
        ego={"velocity": [1.0, 0.0]},
    ),
    "off_road": changed(quiet_state(), lane={"off_road": 1.0}),
    "route_deviation": changed(quiet_state(), ego={"position": [0.0, 31.0]}),
    "blocked": changed(quiet_state(), time=90.1),
    "timeout": changed(quiet_state(), time=1200.1, ego={"velocity": [1.0, 0.0]}),
}


@pytest.mark.parametrize("cause", [*HINTED, *UNHINTED])
def test_only_collisions_and_red_lights_are_hinted_at(cause):
    referee = begun()
    judged = referee.step({**HINTED, **UNHINTED}[cause])
    assert judged.terminated[0]
    assert referee.causes[judged.cause[0]] == cause
    assert judged.reward[0] == (-1.0 if cause in HINTED else 0.0)


@pytest.mark.parametrize("cause", HINTED)
def test_the_hint_can_be_chosen(cause):
    assert begun(terminal_hint=10.0).step(HINTED[cause]).reward[0] == -10.0


def test_an_idle_agent_earns_nothing_and_ends_blocked():
    referee, total, step = begun(), 0.0, 0
    while True:
        step += 1
        judged = referee.step(changed(quiet_state(), time=step * 0.1))
        total += judged.reward[0]
        if judged.terminated[0]:
            break
    assert (total, referee.causes[judged.cause[0]], step) == (0.0, "blocked", 901)


# strict_comfort


def test_strict_comfort_halves_after_30_frames_off_the_center():
    referee = begun("strict_comfort")
    off = changed(quiet_state(), lane={"distance": 0.51})
    near = changed(quiet_state(), lane={"distance": 0.49})
    assert [parts_of(referee, off)["lane"] for _ in range(32)] == [1.0] * 30 + [0.5] * 2
    assert [parts_of(referee, near)["lane"] for _ in range(3)] == [0.5, 1.0, 1.0]
    assert [parts_of(referee, off)["lane"] for _ in range(2)] == [1.0, 0.5]


def test_strict_comfort_does_not_count_junctions_nor_below_0():
    referee = begun("strict_comfort")
    junction = changed(quiet_state(), lane={"distance": 3.0, "junction": True})
    for _ in range(40):
        assert parts_of(referee, junction)["lane"] == 1.0
    off = changed(quiet_state(), lane={"distance": 3.0})
    assert [parts_of(referee, off)["lane"] for _ in range(31)] == [1.0] * 30 + [0.5]


@pytest.mark.parametrize(("acceleration", "factor"), [(2.37, 1.0), (2.43, 1 - 1 / 12)])
def test_strict_comfort_differentiates_positions(acceleration, factor):
    """Second differences rise by 0.1 m/s2 a step; what the simulator reports is not read."""
    referee, x, velocity = begun("strict_comfort"), 0.0, 0.0
    for step in range(40):
        velocity += 0.1 * min(0.1 * step, acceleration)
        x += 0.1 * velocity
        ego = {"position": [x, 0.0], "acceleration": [99.0 * (-1) ** step, 50.0]}
        got = parts_of(referee, changed(quiet_state(), ego=ego))["comfort"]
    assert got == pytest.approx(factor)


def test_strict_comfort_starts_where_the_episode_starts():
    far = changed(quiet_state(), ego={"position": [40.0, 0.0]})
    referee = begun("strict_comfort", first=far)
    factors = {parts_of(referee, far)["comfort"] for _ in range(20)}
    assert factors == {1.0}
