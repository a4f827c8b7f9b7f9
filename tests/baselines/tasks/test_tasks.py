"""The tasks on which designs are judged: the chain's rules, and components against the worlds."""

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from mpe2 import simple_spread_v3

from rewardloom.baselines.tasks import minigrid, mountain_car, pendulum, spread
from rewardloom.baselines.tasks.chain import ToolChain
from rewardloom.errors import ConfigError
from rewardloom.wrappers import RewardComponents, Transition
from rewardloom.wrappers.parallel import RewardComponents as ParallelComponents


def play(world, actions):
    world.reset(seed=0)
    return [world.step(action) for action in actions]


@pytest.mark.filterwarnings("ignore:.*different from the unwrapped version:UserWarning")
def test_the_chain_is_a_sound_world():
    check_env(gym.make("ToolChain-v0", disable_env_checker=True).unwrapped)


def test_the_right_order_then_a_submission_succeeds():
    *calls, last = play(ToolChain(3, 10), [0, 1, 2, 3])
    assert [step[1] for step in calls] == [0, 0, 0]
    assert [step[4]["reward_components"]["progress"] for step in calls] == [1, 1, 1]
    assert last[1:4] == (1.0, True, False)
    assert last[4]["is_success"]
    assert last[4]["episode_metrics"] == {"tools_done": 3.0}


def test_repeats_are_valid_calls_without_progress_and_skips_are_neither():
    steps = play(ToolChain(3, 10), [0, 0, 2])
    names = [{k for k, v in step[4]["reward_components"].items() if v} for step in steps]
    assert names == [{"tool_0", "progress"}, {"tool_0"}, set()]


def test_a_leak_shows_progress_at_every_call_of_the_first_tool():
    steps = play(ToolChain(3, 10, leaky=True), [0, 0, 1, 0, 1])
    assert [step[4]["reward_components"]["progress"] for step in steps] == [1, 1, 1, 1, 0]


def test_the_horizon_ends_unsubmitted():
    steps = play(ToolChain(2, 3), [0, 0, 0])
    assert [step[2] for step in steps] == [False, False, True]
    assert steps[-1][1] == 0.0
    assert not steps[-1][4]["is_success"]


def test_bad_sizes_are_refused():
    with pytest.raises(ConfigError, match="horizon > tools"):
        ToolChain(5, 5)


def test_pendulum_components_make_its_reward():
    env = RewardComponents(
        gym.make("Pendulum-v1"), angle=pendulum.angle, speed=pendulum.speed, torque=pendulum.torque
    )
    env.action_space.seed(0)
    env.reset(seed=0)
    for _ in range(50):
        _, reward, _, _, info = env.step(env.action_space.sample())
        c = info["reward_components"]
        want = c["angle"] + 0.1 * c["speed"] + 0.001 * c["torque"]
        assert reward == pytest.approx(want, abs=1e-4)  # float32 observations


def test_mountain_car_components():
    env = RewardComponents(
        gym.make("MountainCarContinuous-v0"),
        goal=mountain_car.goal,
        speed=mountain_car.speed,
        effort=mountain_car.effort,
    )
    obs, _ = env.reset(seed=0)
    terminated, total = False, 0.0
    while not terminated:  # pushing along with the motion reaches the flag
        obs, reward, terminated, truncated, info = env.step(np.sign(obs[1:]) + 1e-3)
        assert not truncated
        c = info["reward_components"]
        assert c["goal"] == terminated
        assert c["speed"] == abs(obs[1])
        assert reward == pytest.approx(100 * c["goal"] + 0.1 * c["effort"])
        total += c["goal"]
    assert total == 1.0


def door_key():
    from minigrid.wrappers import ImgObsWrapper

    return RewardComponents(
        ImgObsWrapper(gym.make("MiniGrid-DoorKey-5x5-v0")),
        goal=minigrid.goal,
        picks_key=minigrid.picks_key,
        opens_door=minigrid.opens_door,
    )


def test_door_key_components_follow_the_grid():
    """A random walk with the grid itself as the oracle: what is carried, whether the door opens."""
    env = door_key()
    env.action_space.seed(1)
    picked = opened = 0
    for seed in range(40):
        env.reset(seed=seed)
        world = env.unwrapped
        doors = [c for c in world.grid.grid if c is not None and c.type == "door"]
        for _ in range(200):
            held, open_before = world.carrying is not None, doors[0].is_open
            _, _, terminated, truncated, info = env.step(env.action_space.sample())
            c = info["reward_components"]
            assert c["picks_key"] == (world.carrying is not None and not held)
            assert c["opens_door"] == (doors[0].is_open and not open_before)
            picked += c["picks_key"]
            opened += c["opens_door"]
            if terminated or truncated:
                break
    assert picked > 5
    assert opened > 0


@pytest.mark.parametrize(("count", "local_ratio"), [(3, 0.5), (2, 0.25)])
def test_spread_components_make_the_reward_of_every_agent(count, local_ratio):
    world = ParallelComponents(
        simple_spread_v3.parallel_env(N=count, local_ratio=local_ratio, max_cycles=200),
        near=spread.near,
        apart=spread.apart,
    )
    world.reset(seed=4)
    rng, collisions = np.random.default_rng(0), 0.0
    while world.agents:
        actions = {agent: rng.integers(5) for agent in world.agents}
        _, rewards, _, _, infos = world.step(actions)
        for agent, reward in rewards.items():
            parts = infos[agent]["reward_components"]
            collisions -= parts["apart"]
            weighted = (1 - local_ratio) * parts["near"] + local_ratio * parts["apart"]
            assert reward == pytest.approx(weighted, abs=1e-6)  # it observes float32
    assert collisions > 0


def test_spread_components_by_hand():
    landmarks, others = [(0.3, 0.4), (3.0, 0.0)], [(3.0, -0.2)]
    obs = np.array([9, 9, 9, 9, *np.ravel(landmarks + others), 0, 0], np.float32)
    step = Transition(None, None, obs, 0.0, False, False, {})
    assert spread.near(step) == pytest.approx(-(0.5 + 0.2))  # this agent, the other one
    assert spread.apart(step) == 0.0
    obs[8:10] = 0.1, 0.2
    assert spread.apart(step) == -1.0
