"""The referee's own: names, bad input, states of some worlds, memory that is reset by mask."""

from dataclasses import dataclass

import numpy as np
import pytest
from carla_states import begun, changed, quiet_state, straight_route

from rewardloom.envs.carla.scoring.memory import Memory
from rewardloom.envs.carla.scoring.referee import REWARDS, Referee
from rewardloom.envs.carla.scoring.state import WorldState, take
from rewardloom.errors import ConfigError


def test_an_unknown_reward_names_the_nearest():
    with pytest.raises(ConfigError, match="Did you mean 'carl'"):
        Referee(1, reward="karl")


@pytest.mark.parametrize("period", [0.0, -0.1, float("nan")])
def test_a_period_is_above_0(period):
    with pytest.raises(ConfigError, match="above 0 seconds"):
        Referee(1, period=period)


@pytest.mark.parametrize("reward", REWARDS)
def test_names_match_columns(reward):
    referee = begun(reward)
    judged = referee.step(quiet_state())
    assert judged.components.shape == (1, len(referee.components))
    assert set(referee.terminal_components) <= set(referee.components)
    assert len(set(referee.causes)) == len(referee.causes)
    assert np.isfinite(judged.components).all()


def test_comfort_knows_the_time_between_steps():
    """A yaw rate of 0.6 rad/s at 10 Hz is 1.2 rad/s at 20 Hz."""
    factors = []
    for period in (0.1, 0.05):
        referee = begun(period=period)
        for step in range(8):
            judged = referee.step(changed(quiet_state(), ego={"yaw": 0.06 * step}))
        factors.append(judged.components[0, 4])
    assert factors == [1.0, pytest.approx(1 - 1 / 12)]


def test_what_was_handed_out_stays_when_a_world_begins_again():
    referee = begun()
    judged = referee.step(changed(quiet_state(), ego={"position": [1.5, 0.0]}))
    referee.begin(np.ones(1, bool), quiet_state(), [straight_route()])
    assert judged.progress.percent[0] == 1.0
    assert judged.progress.point[0] == 1


@pytest.mark.parametrize("field", ["lane", "yaw"])
def test_the_state_that_was_judged_may_be_changed_afterwards(field):
    """From lane 1 to an opposite lane 2, whatever becomes of the arrays of the first state."""
    opposite = changed(quiet_state(), lane={"lane": 2, "yaw": np.pi})
    state = quiet_state()
    referee = begun(first=state)
    referee.step(state)
    getattr(state.lane, field)[:] = getattr(opposite.lane, field)
    assert referee.step(opposite).components[0, 1] == 0.0


@pytest.mark.parametrize("worlds", [[2, 0], np.array([True, False, True]), slice(1, 3)])
def test_take_gives_the_state_of_some_worlds(worlds):
    state = changed(quiet_state(3, actors=2), time=[0.0, 1.0, 2.0])
    part = take(state, worlds)
    assert isinstance(part, WorldState)
    np.testing.assert_array_equal(part.time, state.time[worlds])
    np.testing.assert_array_equal(part.actors.position, state.actors.position[worlds])


@dataclass
class Counter(Memory):
    count: np.ndarray
    place: np.ndarray


def test_memory_is_reset_by_mask():
    memory = Counter(count=np.full(3, -1), place=np.zeros((3, 2)))
    memory.count += 5
    memory.place = memory.place + 1.0
    memory.reset(np.array([True, False, True]))
    np.testing.assert_array_equal(memory.count, [-1, 4, -1])
    np.testing.assert_array_equal(memory.place, [[0, 0], [1, 1], [0, 0]])
