"""The captions of Gymnasium's worlds: events worked by hand, and random play against the world."""

import gymnasium as gym
import numpy as np
import pytest

from rewardloom.baselines.tasks import captions
from rewardloom.wrappers import Transition
from rewardloom.wrappers.captions import EventCaptions


def said(function, obs, next_obs, terminated=False):
    return function(Transition(obs, 0, next_obs, None, terminated, False, {}))


@pytest.mark.parametrize(
    ("obs", "next_obs", "terminated", "caption"),
    [
        (1, 5, True, "You fall into a hole."),
        (14, 15, True, "You are at the goal."),
        (0, 4, False, "You go down."),
        (4, 0, False, "You go up."),
        (0, 1, False, "You go right."),
        (1, 0, False, "You go left."),
        (3, 3, False, "You stay where you are."),
    ],
)
def test_frozen_lake(obs, next_obs, terminated, caption):
    assert said(captions.frozen_lake, obs, next_obs, terminated) == caption


@pytest.mark.parametrize(
    ("before", "after", "caption"),
    [
        (-0.5, -0.45, ""),
        (-0.41, -0.39, "You pass mark 1 on the right slope."),
        (-0.39, -0.41, ""),  # downhill
        (-0.31, -0.25, "You pass mark 2 on the right slope."),
        (-0.59, -0.61, "You pass mark 1 on the left slope."),
        (-0.61, -0.39, "You pass mark 1 on the right slope."),  # through the valley
        (-0.25, -0.22, ""),
    ],
)
def test_mountain_car(before, after, caption):
    assert said(captions.mountain_car, [before, 0.0], [after, 0.0]) == caption


def test_mountain_car_at_the_flag():
    assert said(captions.mountain_car, [0.49, 0.03], [0.51, 0.03], True) == "You reach the flag."


@pytest.mark.parametrize(
    ("before", "after", "terminated", "caption"),
    [
        ((0.0, 0.05), (0.0, 0.06), False, ""),
        ((0.0, 0.05), (0.0, -0.01), False, "The pole swings through upright."),
        ((0.0, 0.09), (0.0, 0.11), False, "The pole leans far to the right."),
        ((0.0, -0.09), (0.0, -0.11), False, "The pole leans far to the left."),
        ((1.1, 0.01), (1.3, 0.01), False, "You come near the right end."),
        ((-1.1, 0.01), (-1.3, 0.01), False, "You come near the left end."),
        ((0.0, 0.2), (0.0, 0.21), True, "The pole falls to the right."),
        ((2.3, 0.1), (2.5, 0.1), True, "You leave the track."),
    ],
)
def test_cart_pole(before, after, terminated, caption):
    obs, next_obs = ([x, 0.0, lean, 0.0] for x, lean in (before, after))
    assert said(captions.cart_pole, obs, next_obs, terminated) == caption


@pytest.mark.parametrize(
    ("world", "function", "ending"),
    [
        ("FrozenLake-v1", "frozen_lake", r"hole|goal"),
        ("CartPole-v1", "cart_pole", r"falls|track"),
    ],
)
def test_random_play_ends_with_the_caption_of_an_ending(world, function, ending):
    env = EventCaptions(gym.make(world), f"rewardloom.baselines.tasks.captions:{function}")
    env.action_space.seed(0)
    for seed in range(20):
        env.reset(seed=seed)
        over = False
        while not over:
            _, _, over, truncated, info = env.step(env.action_space.sample())
            over = over or truncated
        words = info["caption"]
        assert any(word in words for word in ending.split("|")), words


def test_a_swinging_car_passes_each_mark_in_turn():
    path = "rewardloom.baselines.tasks.captions:mountain_car"
    env = EventCaptions(gym.make("MountainCar-v0"), path)
    obs, _ = env.reset(seed=0)
    told, over = [], False
    while not over:  # pushing along with the motion reaches the flag
        obs, _, terminated, truncated, info = env.step(2 if obs[1] >= 0 else 0)
        over = terminated or truncated
        told.append(info["caption"])
    assert told[-1] == "You reach the flag."
    right = [int(text.split()[3]) for text in told if text.endswith("right slope.")]
    assert sorted(set(right)) == list(range(1, 10))
    assert np.mean([text == "" for text in told]) > 0.5
