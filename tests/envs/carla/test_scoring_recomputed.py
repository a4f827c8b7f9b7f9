"""Rewards, endings and scores of random sequences, against a slow referee and each other."""

from collections import Counter

import numpy as np
import pytest
from carla_slow_referee import SlowReferee
from carla_states import random_states, winding_route

from rewardloom.envs.carla.scoring.referee import REWARDS, Referee
from rewardloom.envs.carla.scoring.state import take

STEPS = 120
every_reward = pytest.mark.parametrize("reward", REWARDS)


def sequence(seed, worlds):
    rng = np.random.default_rng(seed)
    routes = [winding_route(rng, int(rng.integers(20, 90))) for _ in range(worlds)]
    return routes, random_states(rng, routes, STEPS)


@every_reward
def test_an_independent_script_finds_the_same(reward):
    seen, factors = Counter(), Counter()
    routes, states = sequence(0, 8)
    worlds = len(routes)
    referee = Referee(worlds, reward=reward)
    referee.begin(np.ones(worlds, bool), states[0], routes)
    slow = [SlowReferee(r, take(states[0], [w]), reward) for w, r in enumerate(routes)]
    for state in states[1:]:
        judged = referee.step(state)
        for world in range(worlds):
            paid, parts, causes = slow[world].step(take(state, [world]))
            np.testing.assert_allclose(
                judged.components[world], [parts[name] for name in referee.components], atol=1e-6
            )
            assert judged.reward[world] == pytest.approx(paid, abs=1e-6)
            held = [name for name in referee.causes if causes[name]]
            assert bool(judged.terminated[world]) == bool(held)
            named = referee.causes[judged.cause[world]] if held else None
            assert named == (held[0] if held else None)
            seen.update(held)
            factors.update(name for name, value in parts.items() if value not in (0.0, 1.0))
    expected = {"collision", "red_light", "stop_sign", "off_road", "route_deviation", "finished"}
    assert expected <= set(seen)  # what the comparison has covered
    if reward == "roach":
        assert {"lateral_distance", "walker_overlap"} <= set(seen)
        assert set(factors) == set(referee.components)
    else:
        assert set(factors) >= set(referee.components) - {"out"}


def test_an_independent_script_finds_the_same_scores():
    routes, states = sequence(1, 6)
    states = [s._replace(actors=s.actors._replace(mask=s.actors.mask & False)) for s in states]
    referee = Referee(6)
    referee.begin(np.ones(6, bool), states[0], routes)
    slow = [SlowReferee(r, take(states[0], [w])) for w, r in enumerate(routes)]
    for state in states[1:]:
        referee.step(state)
        for world in range(6):
            slow[world].step(take(state, [world]))
    scores = referee.scores().driving
    np.testing.assert_allclose(scores, [s.driving_score() for s in slow], atol=1e-9)
    assert (scores > 0).any()


@every_reward
def test_worlds_at_once_give_the_bits_of_worlds_alone(reward):
    routes, states = sequence(2, 5)
    worlds = len(routes)
    together = Referee(worlds, reward=reward)
    together.begin(np.ones(worlds, bool), states[0], routes)
    alone = [Referee(1, reward=reward) for _ in routes]
    for world, referee in enumerate(alone):
        referee.begin(np.ones(1, bool), take(states[0], [world]), [routes[world]])
    for state in states[1:]:
        judged = together.step(state)
        for world, referee in enumerate(alone):
            one = referee.step(take(state, [world]))
            assert one.reward[0] == judged.reward[world]
            np.testing.assert_array_equal(one.components[0], judged.components[world])
            assert one.cause[0] == judged.cause[world]
    scores = together.scores()
    for world, referee in enumerate(alone):
        assert [part[0] for part in referee.scores()] == [part[world] for part in scores]


@every_reward
def test_a_world_that_begins_again_remembers_nothing(reward):
    routes, states = sequence(3, 6)
    again = np.array([True, False, True, False, False, True])
    fresh = Referee(6, reward=reward)
    fresh.begin(np.ones(6, bool), states[0], routes)
    used = Referee(6, reward=reward)
    used.begin(np.ones(6, bool), states[0], routes[::-1])
    for state in states[1:80]:
        used.step(state)
    used.begin(again, states[0], [route for route, a in zip(routes, again, strict=True) if a])
    kept = used.step(states[0])
    fresh.step(states[0])
    assert (kept.progress.percent[~again] > 0).all()
    for state in states[1:]:
        expected, got = fresh.step(state), used.step(state)
        np.testing.assert_array_equal(got.components[again], expected.components[again])
        np.testing.assert_array_equal(got.cause[again], expected.cause[again])
    for got, expected in zip(used.scores(), fresh.scores(), strict=True):
        np.testing.assert_array_equal(got[again], expected[again])
