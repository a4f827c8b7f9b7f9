"""What ends an episode, at points worked by hand."""

import numpy as np
import pytest
from carla_states import begun, causes_of, changed, quiet_state, straight_route

from rewardloom.envs.carla.scoring.state import GREEN, OFF, RED, STATIC, VEHICLE, WALKER, YELLOW

DEG = np.pi / 180


def hit(x=0.0, *, time=0.0, other=7, kind=VEHICLE, **event):
    """A contact with actor `other` while the ego is at x."""
    return changed(
        quiet_state(),
        time=time,
        ego={"position": [x, 0.0]},
        collisions={"mask": True, "id": other, "kind": kind, **event},
    )


def calm(x=0.0, time=0.0):
    return changed(quiet_state(), time=time, ego={"position": [x, 0.0]})


def collides(referee, state):
    return "collision" in causes_of(referee, state)


# collisions


@pytest.mark.parametrize("kind", [VEHICLE, WALKER, STATIC])
def test_a_contact_is_a_collision(kind):
    verdict = begun().step(hit(kind=kind)).verdict
    assert verdict.of("collision")[0]
    assert verdict.collision_kind[0] == kind
    assert begun().step(hit(mask=False)).verdict.collision_kind[0] == -1


def test_the_slightest_contact_counts():
    assert collides(begun(), hit(intensity=0.0))
    assert not collides(begun(), hit(intensity=-1e-9))


def test_an_actor_counts_once():
    referee = begun()
    assert [collides(referee, hit(x)) for x in (0.0, 0.0, 8.0)] == [True, False, False]


@pytest.mark.parametrize(("x", "again"), [(2.99, False), (3.0, False), (3.01, True)])
def test_another_actor_counts_3_meters_further(x, again):
    referee = begun()
    assert collides(referee, hit(0.0, other=1))
    assert collides(referee, hit(x, other=2)) == again


@pytest.mark.parametrize(("x", "again"), [(4.99, False), (5.0, False), (5.01, True)])
def test_a_place_is_forgotten_5_meters_away(x, again):
    referee = begun()
    assert collides(referee, hit(0.0, other=1))
    assert not collides(referee, calm(x))
    assert collides(referee, hit(0.0, other=2)) == again


@pytest.mark.parametrize(("time", "again"), [(4.9, False), (5.0, False), (5.1, True)])
def test_an_actor_is_forgotten_after_5_seconds(time, again):
    referee = begun()
    assert collides(referee, hit(0.0))
    assert not collides(referee, calm(20.0, time))
    assert collides(referee, hit(20.0, time=time + 0.1)) == again


def test_the_scenery_has_no_id_to_remember():
    referee = begun()
    assert collides(referee, hit(0.0, other=0, kind=STATIC))
    assert collides(referee, hit(4.0, other=0, kind=STATIC))


def test_the_scenery_does_not_make_an_actor_forgotten():
    referee = begun()
    assert collides(referee, hit(0.0, other=7))
    assert collides(referee, hit(4.0, other=0))
    assert not collides(referee, hit(8.0, other=7))


def test_the_first_contact_of_a_step_that_passes_is_named():
    state = quiet_state(collisions=3)
    events = {"mask": [False, True, True], "id": [1, 7, 8], "kind": [0, VEHICLE, WALKER]}
    referee = begun(first=state)
    assert referee.step(changed(state, collisions=events)).verdict.collision_kind[0] == VEHICLE
    away = changed(state, collisions=events, ego={"position": [6.0, 0.0]})
    assert referee.step(away).verdict.collision_kind[0] == WALKER


def test_several_places_are_remembered():
    """Three corners of a triangle of 3.5 m: from each of them all are still known."""
    referee = begun()
    corners = [[0.0, 0.0], [3.5, 0.0], [1.75, 3.03]]
    states = [
        changed(hit(other=other), ego={"position": corner})
        for other, corner in enumerate([*corners, *corners], 1)
    ]
    assert [collides(referee, state) for state in states] == [True] * 3 + [False] * 3


# red lights


def at_light(x=0.0, *, speed=1.0, yaw=0.0, y=0.0, **light):
    """The ego, half length 2.5, at (x, y); a line of a lane 4 m wide through the origin."""
    light = {"mask": True, "state": RED, "position": [0.0, 0.0], **light}
    ego = {
        "position": [x, y],
        "yaw": yaw,
        "velocity": [speed * np.cos(yaw), speed * np.sin(yaw)],
    }
    return changed(quiet_state(), ego=ego, lights=light)


def runs_red(state, referee=None):
    return "red_light" in causes_of(referee or begun(), state)


@pytest.mark.parametrize(
    ("x", "run"), [(-2.51, False), (-2.49, True), (0.0, True), (2.49, True), (2.51, False)]
)
def test_a_red_light_is_run_while_the_line_is_between_the_bumpers(x, run):
    assert runs_red(at_light(x)) == run


@pytest.mark.parametrize(("y", "run"), [(2.39, True), (2.41, False), (-2.39, True), (-2.41, False)])
def test_a_lights_line_is_lengthened_by_a_fifth(y, run):
    assert runs_red(at_light(y=y)) == run


@pytest.mark.parametrize(
    ("state", "run"), [(RED, True), (YELLOW, False), (GREEN, False), (OFF, False)]
)
def test_only_red_is_punished(state, run):
    assert runs_red(at_light(state=state)) == run


@pytest.mark.parametrize(("degrees", "run"), [(0, True), (-89, True), (89, True), (91, False)])
def test_a_red_light_counts_in_its_lanes_direction(degrees, run):
    assert runs_red(at_light(yaw=degrees * DEG)) == run


@pytest.mark.parametrize(("speed", "run"), [(0.0, False), (0.0009, False), (0.0011, True)])
def test_a_red_light_is_run_in_motion(speed, run):
    assert runs_red(at_light(speed=speed)) == run


@pytest.mark.parametrize(("x", "run"), [(-29.9, True), (-30.1, False)])
def test_a_light_is_judged_within_30_meters(x, run):
    long = changed(at_light(x), ego={"extent": [31.0, 1.0]})
    assert runs_red(long) == run


def test_the_line_lies_across_its_lane():
    """A lane along y: an ego at x = 2.3 that heads along y crosses the lengthened line."""
    ahead = changed(
        at_light(),
        lights={"yaw": 90 * DEG, "position": [0.0, 10.0]},
        ego={"yaw": 90 * DEG, "position": [2.3, 8.0]},
    )
    assert runs_red(ahead)
    assert not runs_red(changed(ahead, ego={"position": [2.5, 8.0]}))
    assert not runs_red(changed(ahead, ego={"position": [2.3, 7.4]}))


def test_an_oblique_crossing_counts_where_the_axis_meets_the_line():
    """At 60 degrees the line is met 1.5 m ahead of x = -0.75, 1.3 m to the right."""
    oblique = at_light(-0.75, yaw=60 * DEG, y=1.05)
    assert runs_red(oblique)  # 1.05 + 1.30 = 2.35
    assert not runs_red(at_light(-0.75, yaw=60 * DEG, y=1.15))


def test_a_light_that_is_not_there_is_not_run():
    assert not runs_red(at_light(mask=False))


def test_a_light_that_was_run_does_not_count_again():
    referee = begun()
    assert [runs_red(at_light(x, id=4), referee) for x in (-1.0, 0.0)] == [True, False]
    assert runs_red(at_light(id=5), referee)
    assert runs_red(at_light(id=4), referee)


# stop signs


def at_stop(x, *, speed=1.0, y=0.0, **sign):
    """The ego at (x, y); a sign's box, half length 1, around the origin of a lane 4 m wide."""
    sign = {"mask": True, "position": [0.0, 0.0], "distance": -x, "extent": [1.0, 2.0], **sign}
    ego = {"position": [x, y], "velocity": [speed, 0.0]}
    return changed(quiet_state(), ego=ego, stops=sign)


def runs_stop(states):
    referee = begun()
    return ["stop_sign" in causes_of(referee, state) for state in states]


def test_a_stop_sign_is_run_without_a_stop_and_once():
    states = [at_stop(x) for x in (-10.0, -0.01, 0.01, 1.0, 2.4, 2.6)]
    assert runs_stop(states) == [False, False, True, False, False, False]


def test_a_stop_in_the_box_clears_the_sign():
    """The front bumper is 2.5 m ahead of the center, the box reaches 1.2 m before its center."""
    for x, cleared in ((-3.71, False), (-3.69, True)):
        states = [at_stop(-10.0), at_stop(x, speed=0.0), at_stop(0.1)]
        assert runs_stop(states) == [False, False, not cleared]


@pytest.mark.parametrize(("speed", "cleared"), [(0.11, False), (0.09, True)])
def test_a_stop_is_slower_than_a_tenth_of_a_meter_per_second(speed, cleared):
    states = [at_stop(-10.0), at_stop(-2.0, speed=speed), at_stop(0.1)]
    assert runs_stop(states)[-1] != cleared


@pytest.mark.parametrize(("distance", "seen"), [(21.1, True), (21.3, False)])
def test_signs_are_seen_20_meters_ahead(distance, seen):
    """A sign 20 m and 1.2 half lengths ahead; standing in the box clears only a sign once seen."""
    referee = begun()
    causes_of(referee, at_stop(-5.0, distance=distance))
    assert (referee._terminations.stops.memory.target[0] != -1) == seen


def test_a_sign_on_another_lane_does_not_count():
    assert not any(runs_stop([at_stop(x, distance=np.inf) for x in (-10.0, -1.0, 0.1)]))


@pytest.mark.parametrize(("y", "run"), [(19.9, True), (20.1, False)])
def test_the_line_reaches_5_lane_widths_to_each_side(y, run):
    assert runs_stop([at_stop(-10.0), at_stop(0.1, y=y)])[-1] == run
    assert runs_stop([at_stop(-10.0), at_stop(0.1, y=-y)])[-1] == run


@pytest.mark.parametrize(("x", "run"), [(2.4, True), (2.6, False), (-0.1, False)])
def test_the_line_is_crossed_by_the_rear_half(x, run):
    assert runs_stop([at_stop(-10.0), at_stop(x)])[-1] == run


def test_the_nearest_sign_is_the_one_ahead():
    state = quiet_state(stops=2)
    signs = {"mask": True, "position": [[18.0, 0.0], [9.0, 0.0]], "distance": [18.0, 9.0]}
    referee = begun(first=state)
    verdict = referee.step(changed(state, stops=signs)).verdict
    assert verdict.stop_ahead[0] == 2


def test_after_one_sign_comes_the_next():
    state = quiet_state(stops=2)
    referee, found = begun(first=state), []
    for x in (0.0, 9.1, 14.0, 18.1, 30.0):
        signs = {
            "mask": True,
            "position": [[18.0, 0.0], [9.0, 0.0]],
            "distance": [18.0 - x, 9.0 - x],
        }
        ego = {"position": [x, 0.0], "velocity": [1.0, 0.0]}
        found.append("stop_sign" in causes_of(referee, changed(state, stops=signs, ego=ego)))
    assert found == [False, True, False, True, False]


def test_a_sign_counts_again_when_the_ego_comes_back():
    states = [at_stop(-10.0), at_stop(0.1), at_stop(5.0), at_stop(-10.0), at_stop(0.1)]
    assert runs_stop(states) == [False, True, False, False, True]


@pytest.mark.parametrize(("away", "kept"), [(29.0, True), (31.0, False)])
def test_a_sign_is_let_go_30_meters_away(away, kept):
    """A stop is remembered until then, and the sign has to be seen again."""
    states = [
        at_stop(-3.0, speed=0.0),
        at_stop(-1.0, y=away, distance=np.inf),
        at_stop(0.1),
    ]
    assert runs_stop(states)[-1] != kept


def test_a_sign_that_is_not_reported_any_more_is_let_go():
    referee = begun()
    causes_of(referee, at_stop(-3.0, speed=0.0))
    causes_of(referee, quiet_state())
    assert "stop_sign" in causes_of(referee, at_stop(0.1))


# the others


@pytest.mark.parametrize(("share", "off"), [(0.95, False), (0.951, True)])
def test_off_road_is_more_than_95_percent_of_the_footprint(share, off):
    state = changed(quiet_state(), lane={"off_road": share})
    assert causes_of(begun(), state) == (["off_road"] if off else [])


def test_deviation_ends_an_episode():
    state = changed(quiet_state(), ego={"position": [0.0, 30.0]})
    assert causes_of(begun(), state) == ["route_deviation"]


@pytest.mark.parametrize(("time", "blocked"), [(90.0, False), (90.1, True)])
def test_blocked_is_90_seconds_of_standing(time, blocked):
    assert causes_of(begun(), calm(time=time)) == (["blocked"] if blocked else [])


@pytest.mark.parametrize(("speed", "blocked"), [(0.0999, True), (0.1, False)])
def test_moving_is_a_tenth_of_a_meter_per_second(speed, blocked):
    referee = begun()
    for time in (50.0, 100.0):
        state = changed(quiet_state(), time=time, ego={"velocity": [0.0, speed]})
        found = causes_of(referee, state)
    assert found == (["blocked"] if blocked else [])


def test_the_time_of_standing_starts_with_the_episode():
    referee = begun(first=changed(quiet_state(), time=500.0))
    assert causes_of(referee, calm(time=590.0)) == []
    assert causes_of(referee, calm(time=590.1)) == ["blocked"]


@pytest.mark.parametrize(("time", "over"), [(1200.0, False), (1200.1, True)])
def test_time_runs_out_after_1200_seconds(time, over):
    state = changed(quiet_state(), time=time, ego={"velocity": [1.0, 0.0]})
    assert causes_of(begun(), state) == (["timeout"] if over else [])


def test_a_route_is_finished_when_fewer_than_two_points_are_left():
    referee = begun(route=straight_route(3))
    found = [causes_of(referee, calm(x)) for x in (1.5, 2.5, 3.5)]
    assert found == [[], [], ["finished"]]


def test_the_more_serious_cause_is_named():
    state = changed(hit(time=1201.0), lane={"off_road": 1.0}, ego={"position": [0.0, 40.0]})
    referee = begun()
    judged = referee.step(state)
    held = [referee.causes[i] for i in np.flatnonzero(judged.verdict.causes[0])]
    assert held == ["collision", "off_road", "route_deviation", "blocked", "timeout"]
    assert referee.causes[judged.cause[0]] == "collision"


def test_where_nothing_happened_nothing_ends():
    judged = begun().step(quiet_state())
    assert not judged.terminated[0]
    assert judged.cause[0] == -1


def test_arrays_without_columns_are_fine():
    empty = quiet_state(actors=0, lights=0, stops=0, collisions=0)
    for reward in ("carl", "strict_comfort", "roach"):
        referee = begun(reward, first=empty)
        assert not referee.step(empty).terminated[0]
