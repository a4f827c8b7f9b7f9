"""Captions of worlds that show a line of bytes, as NLE and MiniHack do.

- `message_text`: the bytes as text.
- `MessageCaptions`: writes them into `info["caption"]`.
"""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from rewardloom.errors import ConfigError
from rewardloom.wrappers.captions.base import ActType, CaptionWrapper
from rewardloom.wrappers.sources import Transition

__all__ = ["MessageCaptions", "message_text"]


def message_text(message: NDArray[np.uint8]) -> str:
    r"""Return a message buffer as text.

    Args:
        message: (n,) uint8: Latin-1 bytes, ended by a zero where shorter than n.

    >>> message_text(np.frombuffer(b"Hello Agent.  \0old text", np.uint8))
    'Hello Agent.'
    """
    return message.tobytes().partition(b"\0")[0].decode("latin-1").strip()


class MessageCaptions(CaptionWrapper[dict[str, Any], ActType]):
    """Writes the observation's message line into `info["caption"]`; changes nothing else.

    For MiniHack and for NLE's own worlds, innermost, where the observation is still a dict. What
    it writes is what they show when the step is over: NLE answers each --More-- by itself, so of
    several texts in one step only the last is left, and a --More-- after it leaves none. At the
    end of a game the line is empty. The NetHack worlds of this library give all texts and need no
    wrapper.

    Args:
        env: A world with a Dict observation.
        key: The observation that holds the bytes: uint8, ended by a zero.

    Raises:
        ConfigError: there is no such uint8 observation, or `env` is a vector.
    """

    def __init__(self, env: gym.Env[dict[str, Any], ActType], *, key: str = "message"):
        gym.utils.RecordConstructorArgs.__init__(self, key=key)
        super().__init__(env)
        space = env.observation_space
        held = space.spaces.get(key) if isinstance(space, gym.spaces.Dict) else None
        if held is None or held.dtype != np.uint8:
            raise ConfigError(
                f"MessageCaptions reads the uint8 observation {key!r}, which {env} lacks. Make the "
                f"world with it: MiniHack and NLE take observation_keys=(..., {key!r})."
            )
        self._key = key

    def first_caption(self, obs: dict[str, Any], info: dict[str, Any]) -> str:
        """Return the line that is shown at reset."""
        return message_text(obs[self._key])

    def next_caption(self, step: Transition) -> str:
        """Return the line that is shown after the step."""
        return message_text(step.next_obs[self._key])
