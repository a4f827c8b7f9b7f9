"""The leaderboard's scores at points worked by hand."""

import numpy as np
import pytest
from carla_states import begun, changed, quiet_state, straight_route

from rewardloom.envs.carla.scoring.driving_score import COUNTED, Infractions, RouteScores, score
from rewardloom.envs.carla.scoring.referee import Referee
from rewardloom.envs.carla.scoring.state import STATIC, VEHICLE, WALKER
from rewardloom.errors import ConfigError

FACTORS = dict(zip(COUNTED, (0.50, 0.60, 0.65, 0.70, 0.80, 0.70, 0.70), strict=True))
COEFFICIENTS = dict(zip(COUNTED, (1.0, 0.7, 0.6, 0.4, 0.25, 0.4, 0.4), strict=True))


def of(version="2.0", completion=80.0, **counts):
    """Scores of one route with counts by name."""
    infractions = Infractions.none(1)
    for name, count in counts.items():
        if name in COUNTED:
            infractions.counts[0, COUNTED.index(name)] = count
        else:
            getattr(infractions, name)[0] = count
    return score(np.array([completion]), infractions, version)


@pytest.mark.parametrize("version", ["2.0", "2.1"])
def test_a_spotless_route_scores_its_completion(version):
    assert [float(part[0]) for part in of(version)] == [80.0, 1.0, 80.0]


@pytest.mark.parametrize("name", COUNTED)
def test_each_infraction_has_its_price(name):
    assert of("2.0", **{name: 1}).driving[0] == pytest.approx(80 * FACTORS[name])
    assert of("2.0", **{name: 3}).infraction[0] == pytest.approx(FACTORS[name] ** 3)
    assert of("2.1", **{name: 1}).driving[0] == pytest.approx(80 / (1 + COEFFICIENTS[name]))
    assert of("2.1", **{name: 3}).infraction[0] == pytest.approx(1 / (1 + 3 * COEFFICIENTS[name]))


def test_infractions_combine():
    both = {"walker": 1, "red_light": 2}
    assert of("2.0", **both).infraction[0] == pytest.approx(0.5 * 0.7 * 0.7)
    assert of("2.1", **both).infraction[0] == pytest.approx(1 / (1 + 1.0 + 0.8))


@pytest.mark.parametrize("version", ["2.0", "2.1"])
def test_the_share_driven_outside_is_taken_off(version):
    driven = {"driven": 200.0, "outside": 50.0}
    assert of(version, **driven).infraction[0] == pytest.approx(0.75)
    alone = of(version, walker=1).infraction[0]
    assert of(version, walker=1, **driven).infraction[0] == pytest.approx(0.75 * alone)


def test_slowness_is_priced_for_each_part():
    slow = {"slowness": [0.5, 0.0, 0.2, 0.0]}
    assert of("2.0", **slow).infraction[0] == pytest.approx((1 - 0.3 * 0.5) * (1 - 0.3 * 0.2))
    assert of("2.1", **slow).infraction[0] == pytest.approx(1 / (1 + 0.4 * 0.7))


def test_an_unknown_version_names_those_that_exist():
    with pytest.raises(ConfigError, match=r"'2\.2'.*2\.0, 2\.1"):
        of("2.2")
    with pytest.raises(ConfigError, match=r"driving score"):
        Referee(1, driving_score="1.0")


def test_means_are_over_routes():
    scores = RouteScores(np.array([100.0, 50.0]), np.array([0.5, 1.0]), np.array([50.0, 50.0]))
    assert scores.mean() == (75.0, 0.75, 50.0)  # and not 75 * 0.75


# counting


def drive(referee, until, *, start=0.5, **parts):
    for x in np.arange(start, until):
        referee.step(changed(quiet_state(), ego={"position": [x, 0.0]}, **parts))


@pytest.mark.parametrize(("kind", "factor"), [(WALKER, 0.5), (VEHICLE, 0.6), (STATIC, 0.65)])
def test_collisions_are_counted_by_kind(kind, factor):
    referee = begun()
    referee.step(changed(quiet_state(), collisions={"mask": True, "kind": kind}))
    assert referee.scores().infraction[0] == factor


def test_lights_and_stop_signs_are_counted():
    moving = {"velocity": [1.0, 0.0]}
    at_light = changed(quiet_state(), ego=moving, lights={"mask": True, "position": [1.0, 0.0]})
    stops = {"mask": True, "position": [-1.0, 0.0], "distance": -1.0}
    for state, factor in (
        (at_light, 0.7),
        (changed(quiet_state(), ego=moving, stops=stops), 0.8),
    ):
        referee = begun()
        referee.step(state)
        assert referee.scores().infraction[0] == pytest.approx(factor)


def test_the_version_can_be_chosen():
    referee = begun(driving_score="2.1")
    referee.step(changed(quiet_state(), collisions={"mask": True, "kind": WALKER}))
    assert referee.scores().infraction[0] == 0.5
    referee.step(changed(quiet_state(), collisions={"mask": True, "kind": VEHICLE, "id": 9}))
    assert referee.scores().infraction[0] == 0.5  # within 3 m of the first


def test_meters_outside_are_counted():
    referee = begun()
    drive(referee, 20)  # 19 m
    drive(referee, 30, start=20.5, lane={"distance": 2.6})
    scores = referee.scores()
    assert scores.completion[0] == 29.0
    assert scores.infraction[0] == pytest.approx(19 / 29)
    assert scores.driving[0] == pytest.approx(19.0)


def test_a_new_episode_starts_spotless():
    referee = begun()
    drive(referee, 20, lane={"distance": 2.6}, collisions={"mask": True})
    referee.begin(np.ones(1, bool), quiet_state(), [straight_route()])
    assert [float(part[0]) for part in referee.scores()] == [0.0, 1.0, 0.0]


def slowness(own, traffic, *, until=102, kind=VEHICLE, mask=True):
    """Shares lacking in the four parts of a route of 100 m."""
    referee = begun()
    for x in np.arange(0.5, until):
        speed = own(x) if callable(own) else own
        referee.step(
            changed(
                quiet_state(),
                ego={"position": [x, 0.0], "velocity": [speed, 0.0]},
                actors={"mask": mask, "kind": kind, "velocity": [0.0, traffic]},
            )
        )
    return referee._counter.infractions.slowness[0]


def test_each_quarter_compares_the_egos_speed_with_the_traffics():
    np.testing.assert_allclose(slowness(4.0, 8.0, until=77), [0.5, 0.5, 0, 0], atol=1e-12)
    np.testing.assert_allclose(slowness(4.0, 8.0, until=79), [0.5, 0.5, 0.5, 0], atol=1e-12)
    np.testing.assert_allclose(slowness(8.0, 4.0), [0, 0, 0, 0])
    # 26 frames make a part, as the way must be more than a quarter
    slow_first = slowness(lambda x: 2.0 if x < 26 else 8.0, 8.0)
    np.testing.assert_allclose(slow_first, [0.75, 0, 0, 0], atol=1e-12)


def test_the_last_part_counts_at_the_end_above_95_percent():
    assert slowness(4.0, 8.0)[3] == pytest.approx(0.5)
    referee = begun()
    for x in np.arange(0.5, 95.0):
        state = changed(
            quiet_state(),
            ego={"position": [x, 0.0], "velocity": [4.0, 0.0]},
            actors={"mask": True, "velocity": [8.0, 0.0]},
        )
        referee.step(state)
    judged = referee.step(changed(state, collisions={"mask": True}))
    assert judged.terminated[0]
    assert referee._counter.infractions.slowness[0, 3] == 0.0


@pytest.mark.parametrize("without", [{"mask": False}, {"kind": WALKER}])
def test_without_traffic_nobody_is_slow(without):
    np.testing.assert_array_equal(slowness(1.0, 8.0, **without), [0, 0, 0, 0])


def test_the_leaderboards_time_grows_with_the_way():
    """300 s, and each meter at a tenth of the limit: 29 m at 1 m/s."""
    referee = begun()
    drive(referee, 30)
    assert referee._counter.infractions.allowed_time[0] == pytest.approx(300 + 29)
    slow = begun()
    drive(slow, 30, start=0.5)
    slow.step(changed(quiet_state(), ego={"position": [30.5, 0.0], "speed_limit": 5.0}))
    assert slow._counter.infractions.allowed_time[0] == pytest.approx(300 + 29 + 2)
