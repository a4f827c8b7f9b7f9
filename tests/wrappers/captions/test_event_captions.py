"""EventCaptions: what its functions are shown, and what it makes of what they say."""

import gymnasium as gym
import numpy as np
import pytest

from rewardloom.errors import ConfigError
from rewardloom.wrappers import IntrinsicReward
from rewardloom.wrappers.captions import EventCaptions
from rewardloom.wrappers.vector import IntrinsicReward as VectorIntrinsicReward

RIGHT, DOWN = 2, 1


def lake():
    return gym.make("FrozenLake-v1", is_slippery=False)


def row_caption(step):
    return f"You stand in row {step.next_obs // 4}." if step.next_obs // 4 != step.obs // 4 else ""


def start_caption(obs, info):
    return f"You start at {obs}."


class Scripted(gym.Env):
    """One array for all observations, changed in place, as some simulators do."""

    observation_space = gym.spaces.Box(0, 9, (1,), np.int64)
    action_space = gym.spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.place = np.zeros(1, np.int64)
        self.info = {"caption": "below", "kept": 1}
        return self.place, self.info

    def step(self, action):
        self.place += 1
        return self.place, 0.5, bool(self.place[0] == 3), action == 1, self.info


def test_a_function_sees_the_whole_transition():
    seen = []
    env = EventCaptions(Scripted(), lambda step: seen.append(step) or "x")
    env.reset(seed=0)
    env.step(0)
    env.step(1)
    first, second = seen
    assert (int(first.obs[0]), first.action, first.reward) == (0, 0, 0.5)
    assert (first.terminated, first.truncated) == (False, False)
    assert (int(second.obs[0]), int(second.next_obs[0]), second.truncated) == (1, 2, True)
    assert second.info["caption"] == "below"


def test_only_the_caption_changes_and_the_worlds_info_is_left_alone():
    world = Scripted()
    env = EventCaptions(world, lambda step: "moved", reset_fn=lambda obs, info: "start")
    obs, info = env.reset(seed=0)
    assert info == {"caption": "start", "kept": 1}
    obs, reward, terminated, truncated, info = env.step(0)
    assert (obs is world.place, reward, terminated, truncated) == (True, 0.5, False, False)
    assert info == {"caption": "moved", "kept": 1}
    assert world.info == {"caption": "below", "kept": 1}


def test_a_reset_says_nothing_unless_asked():
    assert EventCaptions(lake(), row_caption).reset(seed=0)[1]["caption"] == ""
    env = EventCaptions(lake(), row_caption, reset_fn=start_caption)
    assert env.reset(seed=0)[1]["caption"] == "You start at 0."


def test_a_new_episode_does_not_see_the_end_of_the_last():
    env = EventCaptions(lake(), row_caption)
    for _ in range(2):
        env.reset(seed=0)
        said = [env.step(action)[4]["caption"] for action in (RIGHT, DOWN)]
        assert said == ["", "You stand in row 1."]


def test_import_paths_survive_the_specs_json():
    paths = {"caption_fn": f"{__name__}:row_caption", "reset_fn": f"{__name__}:start_caption"}
    env = EventCaptions(lake(), **{key: path for key, path in paths.items()})
    again = gym.make(gym.envs.registration.EnvSpec.from_json(env.spec.to_json()))
    assert again.reset(seed=0)[1]["caption"] == "You start at 0."
    assert again.step(DOWN)[4]["caption"] == "You stand in row 1."


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("row_caption", "an import path is 'module:function'"),
        ("math:sqroot", "cannot import 'math:sqroot'"),
        ("no_such_module:f", "cannot import 'no_such_module:f'"),
        ("math:pi", "must be a function"),
        (3, "must be a function or 'module:function', got 3"),
    ],
)
def test_what_is_no_function_is_refused_by_name(value, message):
    with pytest.raises(ConfigError, match=f"caption_fn.*{message}"):
        EventCaptions(lake(), value)
    with pytest.raises(ConfigError, match=f"reset_fn.*{message}"):
        EventCaptions(lake(), row_caption, reset_fn=value)


@pytest.mark.parametrize("said", [None, 3, b"bytes", ["a"]])
def test_what_is_no_text_is_refused(said):
    env = EventCaptions(lake(), lambda step: said)
    env.reset(seed=0)
    with pytest.raises(ConfigError, match="caption of a step"):
        env.step(DOWN)
    env = EventCaptions(lake(), row_caption, reset_fn=lambda obs, info: said)
    with pytest.raises(ConfigError, match="caption of a reset"):
        env.reset(seed=0)


def test_a_vector_is_refused_and_its_sub_environments_are_not():
    vector = gym.vector.SyncVectorEnv([lake])
    with pytest.raises(ConfigError, match="each sub-environment"):
        EventCaptions(vector, row_caption)
    envs = gym.vector.SyncVectorEnv(
        [lambda: EventCaptions(lake(), row_caption)] * 2,
        autoreset_mode=gym.vector.AutoresetMode.SAME_STEP,
    )
    rules = [{"id": "row", "regex": "row 1", "weight": 1}]
    paid = VectorIntrinsicReward(envs, rules=rules, intrinsic_coef=1.0)
    paid.reset(seed=0)
    assert paid.step(np.array([DOWN, RIGHT]))[1].tolist() == [1.0, 0.0]


def test_the_design_above_pays_for_what_is_said():
    rules = [{"id": "row", "regex": "You stand in row", "weight": 1}]
    env = IntrinsicReward(EventCaptions(lake(), row_caption), rules=rules, intrinsic_coef=1.0)
    env.reset(seed=0)
    assert [env.step(action)[1] for action in (DOWN, DOWN)] == [1.0, 1.0]
