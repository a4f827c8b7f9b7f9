"""MessageCaptions: bytes as text, on plain arrays, on NLE, and on MiniHack where it is there."""

import warnings

import gymnasium as gym
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rewardloom.errors import ConfigError
from rewardloom.wrappers.captions import MessageCaptions, message_text


def buffer(data, size=32):
    return np.frombuffer(data.ljust(size, b"\0"), np.uint8)


class Lines(gym.Env):
    """Shows one line of bytes after another, from one array."""

    action_space = gym.spaces.Discrete(1)

    def __init__(self, *lines, dtype=np.uint8):
        space = gym.spaces.Box(0, 255, (32,), dtype)
        self.observation_space = gym.spaces.Dict({"message": space})
        self.lines = lines

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.left = list(self.lines)
        return {"message": buffer(self.left.pop(0))}, {}

    def step(self, action):
        return {"message": buffer(self.left.pop(0))}, 0.0, not self.left, False, {}


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"You see here a dagger.\0left over", "You see here a dagger."),
        (b"", ""),
        (b"   ", ""),
        (b"caf\xe9 \xff", "café ÿ"),  # Latin-1, where UTF-8 would fail
        (b"x" * 32, "x" * 32),  # no room for a zero
    ],
)
def test_bytes_become_text(data, text):
    assert message_text(buffer(data)) == text


@given(st.binary(max_size=32))
def test_any_bytes_become_a_text_without_zeros(data):
    text = message_text(buffer(data))
    assert text.encode("latin-1") in data
    assert "\0" not in text


def test_the_line_goes_into_info_at_reset_and_step():
    env = MessageCaptions(Lines(b"Hello.", b"You kill the newt!", b""))
    assert env.reset(seed=0)[1]["caption"] == "Hello."
    assert [env.step(0)[4]["caption"] for _ in range(2)] == ["You kill the newt!", ""]


def test_worlds_without_such_bytes_are_refused():
    with pytest.raises(ConfigError, match="observation_keys"):
        MessageCaptions(Lines(b"Hello.", dtype=np.int64))
    with pytest.raises(ConfigError, match="'tty'"):
        MessageCaptions(Lines(b"Hello."), key="tty")
    with pytest.raises(ConfigError, match="lacks"):
        MessageCaptions(gym.make("CartPole-v1"))


def test_nles_own_world_says_what_its_message_line_shows(monkeypatch):
    pytest.importorskip("nle")
    monkeypatch.setenv("USER", "tester")  # without it nle prints a line
    from nle.env.tasks import NetHackScore

    env = MessageCaptions(NetHackScore(observation_keys=("glyphs", "message"), save_ttyrec_every=0))
    obs, info = env.reset()
    assert info["caption"].encode("latin-1") in obs["message"].tobytes()
    said = []
    for action in [1, 2, 3, 4] * 30:  # the four winds, into the walls of the first room
        obs, _, terminated, truncated, info = env.step(action)
        assert obs["message"].tobytes().startswith(info["caption"].encode("latin-1"))
        said.append(info["caption"])
        if terminated or truncated:
            break
    env.close()
    assert any(said)


def test_minihacks_world_says_what_its_message_line_shows():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it imports pkg_resources, which warns
        try:
            import minihack
        except ImportError:
            pytest.skip("needs minihack and setuptools < 81")
        assert minihack
        world = gym.make("MiniHack-KeyRoom-S5-v0", disable_env_checker=True)
        env = MessageCaptions(world)
        env.unwrapped.seed(3, 3)  # its reset(seed=) does not seed the game
        said = [env.reset()[1]["caption"]]
        env.action_space.seed(0)
        said += [env.step(env.action_space.sample())[4]["caption"] for _ in range(100)]
        env.close()
    assert "It's a wall." in said
