"""The shaped reward at points worked by hand."""

import numpy as np
import pytest
from carla_states import begun, changed, parts_of, quiet_state, straight_route

from rewardloom.envs.carla.scoring.roach import RoachReward
from rewardloom.envs.carla.scoring.routes import RouteBank
from rewardloom.envs.carla.scoring.state import GREEN, OFF, RED, STATIC, VEHICLE, WALKER, YELLOW

DEG = np.pi / 180


def wanted(state):
    """Wanted speed, read off the reward of an ego that stands: 1 - wanted / 6."""
    return (1.0 - parts_of(begun("roach"), state)["speed"]) * 6.0


def moving(speed, **ego):
    return changed(quiet_state(), ego={"velocity": [speed, 0.0], **ego})


def others(**actor):
    return changed(quiet_state(), actors={"mask": True, **actor})


def place(distance, degrees=0.0):
    return {"position": [distance * np.cos(degrees * DEG), distance * np.sin(degrees * DEG)]}


def test_reward_is_the_sum_of_its_parts():
    referee = begun("roach")
    state = changed(
        quiet_state(), ego={"position": [0.5, 1.0], "yaw": 0.2, "velocity": [3.0, 0], "steer": 0.1}
    )
    judged = referee.step(state)
    np.testing.assert_allclose(judged.components[0], [0.5, -0.5, -0.2, -0.1, 0.0], atol=1e-12)
    assert judged.reward[0] == pytest.approx(-0.3)
    assert referee.components == ("speed", "position", "rotation", "action", "terminal")
    assert referee.terminal_components == ("terminal",)


@pytest.mark.parametrize(("speed", "part"), [(0, 0.0), (3, 0.5), (6, 1.0), (9, 0.5), (15, -0.5)])
def test_speed_is_best_at_6_meters_per_second(speed, part):
    assert parts_of(begun("roach"), moving(speed))["speed"] == pytest.approx(part)


@pytest.mark.parametrize(("y", "part"), [(1.0, -0.5), (-2.0, -1.0), (0.0, 0.0)])
def test_position_costs_half_a_meter_aside(y, part):
    state = changed(quiet_state(), ego={"position": [3.0, y]})
    assert parts_of(begun("roach"), state)["position"] == pytest.approx(part)


@pytest.mark.parametrize(("yaw", "part"), [(0.3, -0.3), (-0.3, -0.3), (6.2, 6.2 - 2 * np.pi)])
def test_rotation_costs_the_angle_to_the_route(yaw, part):
    state = changed(quiet_state(), ego={"yaw": yaw})
    assert parts_of(begun("roach"), state)["rotation"] == pytest.approx(part)


def test_action_costs_a_tenth_when_the_wheel_moves():
    referee = begun("roach", first=changed(quiet_state(), ego={"steer": 0.5}))
    wheel = [0.5, 0.509, 0.52, 0.52, 0.3]
    parts = [parts_of(referee, changed(quiet_state(), ego={"steer": s}))["action"] for s in wheel]
    assert parts == [0.0, 0.0, -0.1, 0.0, -0.1]


# wanted speed


@pytest.mark.parametrize(("distance", "speed"), [(7.0, 0), (8.0, 0), (9.0, 1.2), (9.5, 1.8)])
def test_vehicles_ahead_slow_from_13_to_8_meters(distance, speed):
    assert wanted(others(**place(distance))) == pytest.approx(speed)


def test_vehicles_beyond_9_and_a_half_meters_are_no_hazard():
    assert wanted(others(**place(9.51))) == pytest.approx(6.0)
    assert wanted(others(**place(9.51), kind=WALKER)) == pytest.approx(6.0)


@pytest.mark.parametrize(("degrees", "speed"), [(44, 0), (-44, 0), (46, 6), (180, 6)])
def test_vehicles_are_hazards_45_degrees_to_each_side(degrees, speed):
    assert wanted(others(**place(7.0, degrees))) == pytest.approx(speed)


@pytest.mark.parametrize(("degrees", "speed"), [(0, 0), (149, 0), (-149, 0), (151, 6)])
def test_oncoming_vehicles_are_no_hazard(degrees, speed):
    assert wanted(others(**place(7.0), yaw=degrees * DEG)) == pytest.approx(speed)


def test_angles_are_taken_from_the_egos_heading():
    turned = {"yaw": 90 * DEG}
    state = changed(others(**place(7.0, 90), **turned), ego=turned)
    assert wanted(state) == pytest.approx(0.0)


@pytest.mark.parametrize(("distance", "speed"), [(5.9, 0), (7.0, 1.2), (9.0, 3.6)])
def test_walkers_slow_from_11_to_6_meters(distance, speed):
    assert wanted(others(**place(distance), kind=WALKER)) == pytest.approx(speed)


@pytest.mark.parametrize(
    ("distance", "cone"), [(1.0, 90.0), (1.5, 90.0), (5.0, 162 / 5.3), (9.0, 162 / 9.3)]
)
def test_the_cone_for_walkers_narrows_with_distance(distance, cone):
    inside = others(**place(distance, cone - 0.5), kind=WALKER)
    outside = others(**place(distance, cone + 0.5), kind=WALKER)
    assert wanted(inside) < 6.0
    assert wanted(outside) == pytest.approx(6.0)


def test_walkers_on_the_sidewalk_and_obstacles_are_no_hazard():
    assert wanted(others(**place(5.0), kind=WALKER, on_sidewalk=True)) == pytest.approx(6.0)
    assert wanted(others(**place(5.0), kind=STATIC)) == pytest.approx(6.0)
    assert wanted(others(**place(5.0), kind=VEHICLE, on_sidewalk=True)) == pytest.approx(0.0)
    assert wanted(others(**place(5.0), mask=False)) == pytest.approx(6.0)


def light_at(away, state=RED, **light):
    """A line `away` m ahead by air and, unless said otherwise, along the lane."""
    values = {"mask": True, "state": state, "position": [away, 0.0], "distance": away}
    return changed(quiet_state(), lights={**values, **light})


@pytest.mark.parametrize(("distance", "speed"), [(4.0, 0), (5.0, 0), (7.0, 2.4), (10.0, 6.0)])
def test_red_lights_slow_from_10_to_5_meters(distance, speed):
    assert wanted(light_at(distance)) == pytest.approx(speed)


@pytest.mark.parametrize(("state", "speed"), [(RED, 0), (YELLOW, 0), (GREEN, 6), (OFF, 6)])
def test_red_and_yellow_lights_are_hazards(state, speed):
    assert wanted(light_at(4.0, state)) == pytest.approx(speed)


@pytest.mark.parametrize(("distance", "speed"), [(-1.9, 0), (-2.1, 6)])
def test_a_light_counts_until_most_of_the_ego_is_past_it(distance, speed):
    """0.8 half lengths of 2.5 m."""
    assert wanted(light_at(distance)) == pytest.approx(speed)


def test_lights_count_up_to_18_meters_and_on_the_egos_lane():
    """The line 6 m away by air, but further along the lane."""
    assert wanted(light_at(6.0, distance=15.9)) == pytest.approx(1.2)
    assert wanted(light_at(6.0, distance=16.1)) == pytest.approx(6.0)
    assert wanted(light_at(6.0, distance=np.inf)) == pytest.approx(6.0)
    assert wanted(light_at(6.0, mask=False)) == pytest.approx(6.0)


def sign_at(distance, **ego):
    return changed(
        quiet_state(),
        ego={"velocity": [1.0, 0.0], **ego},
        stops={"mask": True, "position": [distance, 0.0], "distance": distance},
    )


def wanted_at_sign(distance, **settings):
    routes = RouteBank(1)
    reward = RoachReward(routes, **settings)
    verdict = begun().step(sign_at(distance)).verdict
    return float(reward.wanted_speed(sign_at(distance), verdict)[0])


def test_stop_signs_slow_from_10_to_5_meters():
    speeds = [wanted_at_sign(d) for d in (4.0, 5.0, 7.0, 10.0)]
    assert speeds == pytest.approx([0.0, 0.0, 2.4, 6.0])


def test_stop_signs_can_slow_from_8_to_4_meters():
    speeds = [wanted_at_sign(d, stop_distance=4.0) for d in (4.0, 5.0, 7.0, 8.0)]
    assert speeds == pytest.approx([0.0, 1.5, 4.5, 6.0])


def test_a_stop_sign_where_the_ego_stood_slows_no_more():
    referee = begun("roach")
    assert parts_of(referee, sign_at(3.0))["speed"] == pytest.approx(1 - 1 / 6)
    parts_of(referee, sign_at(3.0, velocity=[0.0, 0.0]))
    assert parts_of(referee, sign_at(3.0))["speed"] == pytest.approx(1 / 6)


def test_the_worst_hazard_counts():
    state = changed(light_at(7.0), actors={"mask": True, "position": [9.0, 0.0]})
    assert wanted(state) == pytest.approx(1.2)


# endings


def causes(referee, state):
    judged = referee.step(state)
    return judged.terminated[0], referee.causes[judged.cause[0]] if judged.terminated[0] else None


def drift(places):
    """What ends an episode in which the ego is so many meters aside, step by step."""
    referee = begun("roach")
    return [causes(referee, changed(quiet_state(), ego={"position": [0.0, y]}))[1] for y in places]


def test_three_and_a_half_meters_aside_end_an_episode():
    slowly = [0.7, 1.4, 2.1, 2.8, 3.49]
    assert drift([*slowly, 3.49]) == [None] * 6
    assert drift([*slowly, 3.51]) == [None] * 5 + ["lateral_distance"]
    assert drift([-0.7, -1.4, -2.1, -2.8, -3.4, -3.51])[-1] == "lateral_distance"


def test_a_jump_aside_does_not():
    assert drift([3.0, 3.81]) == [None, None]  # a lane change of the route
    assert drift([3.0, 3.79]) == [None, "lateral_distance"]


def test_the_distance_before_is_allowed():
    assert drift([9.0, 8.9, 8.9]) == [None, None, None]
    assert drift([9.0, 9.1]) == [None, "lateral_distance"]


def stands(seconds, speed=0.9, state=None):
    """Step at which a slow ego ends."""
    referee = begun("roach")
    state = moving(speed) if state is None else state
    for step in range(1, seconds * 10):
        ended, cause = causes(referee, changed(state, time=step * 0.1))
        if ended:
            return step, cause
    return None


def test_stuck_is_100_steps_slower_than_1_meter_per_second():
    assert stands(20) == (109, "stuck")  # the tenth speed makes the first mean
    assert stands(20, 1.01) is None


def test_before_a_hazard_nobody_is_stuck():
    state = changed(moving(0.5), actors={"mask": True, "position": [9.0, 0.0]})
    assert stands(20, state=state) is None


def test_a_hazard_starts_the_count_again():
    referee = begun("roach")
    for _ in range(100):
        assert not referee.step(moving(0.5)).terminated[0]
    state = changed(moving(0.5), actors={"mask": True, "position": [9.0, 0.0]})
    referee.step(state)
    found = [bool(referee.step(moving(0.5)).terminated[0]) for _ in range(100)]
    assert found.index(True) == 99


def test_a_mean_of_ten_speeds_counts():
    referee = begun("roach")
    steps = 0
    while not referee.step(moving(10.0 if steps % 10 == 0 else 0.0)).terminated[0]:
        steps += 1
        if steps > 300:
            break
    assert steps > 300  # the mean is 1.0 m/s


@pytest.mark.parametrize(
    ("x", "kind", "ended"), [(2.7, WALKER, True), (2.9, WALKER, False), (2.7, VEHICLE, False)]
)
def test_a_box_over_a_walkers_ends_an_episode(x, kind, ended):
    walker = {"mask": True, "kind": kind, "position": [x, 0.0], "extent": [0.3, 0.3]}
    judged = causes(begun("roach"), changed(quiet_state(), actors=walker))
    assert judged == ((True, "walker_overlap") if ended else (False, None))


def test_turned_boxes_are_compared():
    walker = {"mask": True, "kind": WALKER, "position": [0.0, 1.5], "extent": [0.7, 0.1]}
    state = changed(quiet_state(), actors={**walker, "yaw": 90 * DEG})
    assert causes(begun("roach"), state)[1] == "walker_overlap"
    assert causes(begun("roach"), changed(state, actors={"yaw": 0.0}))[1] is None


ENDS = {
    "collision": (changed(moving(2.0), collisions={"mask": True}), -3.0),
    "red_light": (changed(moving(2.0), lights={"mask": True, "position": [1.0, 0.0]}), -3.0),
    "stop_sign": (
        changed(moving(2.0), stops={"mask": True, "position": [-1.0, 0.0], "distance": -1.0}),
        -3.0,
    ),
    "off_road": (changed(moving(2.0), lane={"off_road": 1.0}), -1.0),
    "timeout": (changed(moving(2.0), time=1201.0), -1.0),
    "walker_overlap": (
        changed(moving(2.0), actors={"mask": True, "kind": WALKER, "position": [0.0, 0.0]}),
        -1.0,
    ),
    "blocked": (changed(quiet_state(), time=91.0), -1.0),
    None: (moving(2.0), 0.0),
}


@pytest.mark.parametrize("cause", ENDS)
def test_every_end_costs_1_and_grave_ones_the_speed_too(cause):
    state, cost = ENDS[cause]
    referee = begun("roach")
    judged = referee.step(state)
    assert (referee.causes[judged.cause[0]] if judged.terminated[0] else None) == cause
    assert judged.components[0, -1] == cost


def test_a_finished_route_costs_1_as_well():

    referee = begun("roach", route=straight_route(2))
    referee.step(changed(quiet_state(), ego={"position": [1.5, 0.0]}))
    judged = referee.step(changed(quiet_state(), ego={"position": [2.5, 0.0]}))
    assert referee.causes[judged.cause[0]] == "finished"
    assert judged.components[0, -1] == -1.0
