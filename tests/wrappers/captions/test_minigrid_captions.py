"""MiniGridCaptions: what it says of a small world made by hand, and of the registered ones."""

import re

import gymnasium as gym
import minigrid
import numpy as np
import pytest
from minigrid.core.grid import Grid
from minigrid.core.mission import MissionSpace
from minigrid.core.world_object import Ball, Box, Door, Goal, Key, Lava
from minigrid.minigrid_env import MiniGridEnv
from minigrid.wrappers import FlatObsWrapper, FullyObsWrapper, ImgObsWrapper, RGBImgObsWrapper

from rewardloom.errors import ConfigError
from rewardloom.wrappers import IntrinsicReward
from rewardloom.wrappers.captions import MiniGridCaptions
from rewardloom.wrappers.captions.rooms import rooms

assert minigrid.__version__
LEFT, RIGHT, FORWARD, PICKUP, DROP, TOGGLE, DONE = range(7)


class Corridor(MiniGridEnv):
    """One row, the agent at its left end and looking right; `things` lie from x = 2 on."""

    def __init__(self, *things):
        self.things = things
        super().__init__(
            mission_space=MissionSpace(lambda: "walk on"),
            width=len(things) + 4,
            height=3,
            max_steps=100,
        )

    def _gen_grid(self, width, height):
        self.grid = Grid(width, height)
        self.grid.wall_rect(0, 0, width, height)
        for x, thing in enumerate(self.things, start=2):
            if thing is not None:
                self.put_obj(thing, x, 1)
        self.agent_pos, self.agent_dir = (1, 1), 0
        self.mission = "walk on"


def told(things, actions, **arguments):
    env = MiniGridCaptions(Corridor(*things), **arguments)
    captions = [env.reset(seed=0)[1]["caption"]]
    return captions + [env.step(action)[4]["caption"] for action in actions]


def test_the_mission_first_then_what_is_ahead_and_what_is_done():
    assert told([Key("blue"), None, Door("blue", is_locked=True)], [DROP, FORWARD, PICKUP]) == [
        "Mission: walk on",
        "You stand before the blue key.",
        "You bump into the blue key.",
        "You pick up the blue key.",
    ]
    assert told([None, None, Door("blue", is_locked=True)], [DROP, FORWARD, FORWARD])[1:] == [
        "You see the locked blue door ahead.",
        "You see the locked blue door ahead.",
        "You stand before the locked blue door.",
    ]


def test_a_door_is_unlocked_closed_opened_and_passed():
    actions = [PICKUP, FORWARD, TOGGLE, TOGGLE, FORWARD, TOGGLE, FORWARD, FORWARD, FORWARD]
    things = [Key("blue"), Door("blue", is_locked=True), None, Goal()]
    assert told(things, actions)[1:] == [
        "You pick up the blue key.",
        "You stand before the locked blue door.",
        "You unlock and open the blue door.",
        "You close the blue door.",
        "You bump into the closed blue door.",
        "You open the blue door.",
        "You see the goal ahead.",  # in the doorway, which is in no room
        "You enter a new room, number 2.",
        "You reach the goal.",
    ]


def test_a_locked_door_needs_its_key():
    door = [Door("red", is_locked=True)]
    assert told(door, [TOGGLE])[1:] == ["The red door is locked."]


def test_a_room_is_new_once():
    back = [LEFT, LEFT, FORWARD, FORWARD, LEFT, LEFT, FORWARD, FORWARD]
    captions = told([Door("red", is_open=True), None], [FORWARD, FORWARD, *back])
    entered = [caption for caption in captions if "room" in caption]
    assert entered == [
        "You enter a new room, number 2.",
        "You return to a room you know.",
        "You return to a room you know.",
    ]


def test_things_are_dropped_and_boxes_opened():
    actions = [PICKUP, DROP, TOGGLE]
    assert told([Box("red", Key("grey"))], actions)[1:] == [
        "You pick up the red box.",
        "You drop the red box.",
        "You open the red box and find the grey key.",
    ]
    assert told([Box("red")], [TOGGLE])[1:] == ["You open the red box and find nothing."]


def test_walls_balls_and_lava():
    assert told([None], [LEFT, FORWARD])[1:] == ["", "You bump into the wall."]
    assert told([Ball("green")], [FORWARD])[1:] == ["You bump into the green ball."]
    assert told([Lava()], [FORWARD, LEFT])[1:] == ["You step into the lava.", ""]  # told once


def test_done_is_a_word_about_oneself_and_not_about_success():
    assert told([Goal()], [DONE])[1:] == ["You say that you are done."]


def test_sights_end_at_the_view_and_can_be_left_out():
    """The agent's view is 7 cells deep, its own included."""
    assert told([*[None] * 6, Key("red")], [DROP])[1:] == [""]
    assert told([*[None] * 5, Key("red")], [DROP])[1:] == ["You see the red key ahead."]
    assert told([Key("red")], [DROP], sights=False)[1:] == [""]
    assert told([Key("red")], [PICKUP], sights=False)[1:] == ["You pick up the red key."]


def test_places_are_told_where_nothing_else_is_and_only_if_asked_to():
    walk = [FORWARD, LEFT, FORWARD]
    assert told([None, None], walk)[1:] == ["", "", "You bump into the wall."]
    assert told([None, None], walk, places=True)[1:] == [
        "You walk east to column 2, row 1.",
        "",
        "You bump into the wall.",
    ]
    assert told([None, None, Key("red")], [FORWARD], places=True)[1:] == [
        "You see the red key ahead."
    ]


def test_rooms_of_a_grid():
    grid = Grid(5, 4)
    grid.wall_rect(0, 0, 5, 4)
    grid.set(2, 1, Door("red"))
    grid.set(2, 2, Door("red", is_open=True))
    found = rooms(grid)
    assert set(found) == {(1, 1), (1, 2), (3, 1), (3, 2)}
    assert found[1, 1] == found[1, 2] != found[3, 1] == found[3, 2]
    grid.set(2, 2, None)  # a gap joins them
    assert len(set(rooms(grid).values())) == 1


FAMILIES = [
    "MiniGrid-BlockedUnlockPickup-v0",
    "MiniGrid-LavaCrossingS9N1-v0",
    "MiniGrid-DistShift1-v0",
    "MiniGrid-DoorKey-8x8-v0",
    "MiniGrid-Dynamic-Obstacles-6x6-v0",
    "MiniGrid-Empty-Random-5x5-v0",
    "MiniGrid-Fetch-8x8-N3-v0",
    "MiniGrid-FourRooms-v0",
    "MiniGrid-GoToDoor-8x8-v0",
    "MiniGrid-GoToObject-6x6-N2-v0",
    "MiniGrid-KeyCorridorS3R3-v0",
    "MiniGrid-LavaGapS6-v0",
    "MiniGrid-LockedRoom-v0",
    "MiniGrid-MemoryS9-v0",
    "MiniGrid-MultiRoom-N6-v0",
    "MiniGrid-ObstructedMaze-2Dlhb-v1",
    "MiniGrid-Playground-v0",
    "MiniGrid-PutNear-6x6-N2-v0",
    "MiniGrid-RedBlueDoors-8x8-v0",
    "MiniGrid-Unlock-v0",
    "MiniGrid-UnlockPickup-v0",
    "BabyAI-GoToRedBall-v0",
    "BabyAI-GoToSeqS5R2-v0",
    "BabyAI-OpenDoorsOrderN4-v0",
    "BabyAI-PickupLoc-v0",
    "BabyAI-PutNextLocal-v0",
    "BabyAI-SynthLoc-v0",
    "BabyAI-UnlockToUnlock-v0",
]

THING = (
    r"the (?:(?:open |closed |locked )?(?:red|green|blue|purple|yellow|grey) \w+|wall|goal|lava)"
)
SENTENCE = re.compile(
    rf"(?:|You (?:pick up|drop|open|close|unlock and open|bump into|stand before) {THING}\."
    rf"|You see {THING} ahead\.|The \w+ door is locked\.|You open {THING} and find .*\."
    r"|You reach the goal\.|You step into the lava\.|You say that you are done\."
    r"|You enter a new room, number \d+\.|You return to a room you know\.)"
)


@pytest.mark.parametrize("world", FAMILIES)
def test_every_family_is_told_in_known_sentences_that_agree_with_the_world(world):
    env = MiniGridCaptions(gym.make(world, disable_env_checker=True))
    env.action_space.seed(0)
    grid = env.unwrapped
    said = set()
    assert env.reset(seed=0)[1]["caption"] == f"Mission: {grid.mission}"
    for _ in range(150):
        held, pos = grid.carrying, tuple(grid.agent_pos)
        _, _, terminated, truncated, info = env.step(env.action_space.sample())
        caption = info["caption"]
        said.add(caption)
        assert SENTENCE.fullmatch(caption), caption
        assert caption.startswith("You pick up") == (held is None and grid.carrying is not None)
        assert caption.startswith("You drop") == (held is not None and grid.carrying is None)
        if caption.startswith("You bump"):
            assert tuple(grid.agent_pos) == pos
        if terminated or truncated:
            env.reset()
    assert len(said) > 1


@pytest.mark.parametrize("form", [ImgObsWrapper, FlatObsWrapper, FullyObsWrapper, RGBImgObsWrapper])
def test_captions_do_not_depend_on_the_form_of_observations(form):
    def captions(wrap):
        env = wrap(gym.make("MiniGrid-DoorKey-5x5-v0"))
        env.reset(seed=1)
        actions = np.random.default_rng(0).integers(7, size=60).tolist()
        return [env.step(action)[4]["caption"] for action in actions]

    below = captions(lambda env: form(MiniGridCaptions(env)))
    above = captions(lambda env: MiniGridCaptions(form(env)))
    assert below == above
    assert len(set(below)) > 3


def test_a_vector_hands_the_captions_on():
    def make():
        return MiniGridCaptions(Corridor(Key("red")))

    envs = gym.vector.SyncVectorEnv([make, make])
    assert list(envs.reset(seed=0)[1]["caption"]) == ["Mission: walk on"] * 2
    info = envs.step(np.array([PICKUP, TOGGLE]))[4]
    said = ["You pick up the red key.", "You stand before the red key."]
    assert list(info["caption"]) == said


def test_the_spec_is_rebuilt_from_its_json():
    env = MiniGridCaptions(gym.make("MiniGrid-Empty-5x5-v0"), sights=False)
    again = gym.make(gym.envs.registration.EnvSpec.from_json(env.spec.to_json()))
    again.reset(seed=0)
    assert again.step(FORWARD)[4]["caption"] == ""


def test_other_worlds_and_vectors_are_refused():
    with pytest.raises(ConfigError, match="EventCaptions"):
        MiniGridCaptions(gym.make("CartPole-v1"))
    with pytest.raises(ConfigError, match="each sub-environment"):
        MiniGridCaptions(gym.vector.SyncVectorEnv([lambda: Corridor(None)]))


def test_a_step_before_the_first_reset_is_refused():
    world = Corridor(None)
    world.reset()
    with pytest.raises(gym.error.ResetNeeded, match="reset"):
        MiniGridCaptions(world).step(FORWARD)


def test_intrinsic_reward_pays_for_the_deed_by_the_shipped_rules():
    from rewardloom.rewards.intrinsic.annotators.lexicons import lexicon_path

    env = IntrinsicReward(
        MiniGridCaptions(Corridor(Key("red"))),
        "progress",
        rules=lexicon_path("minigrid"),
        intrinsic_coef=1.0,
    )
    env.reset(seed=0)
    paid = [env.step(action)[1] for action in (PICKUP, DROP, PICKUP, FORWARD)]
    assert paid == [1.0, 0.0, 1 / 8, 0.0]
