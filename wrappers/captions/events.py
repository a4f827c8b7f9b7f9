"""`EventCaptions`: captions of any environment, by a function of the step."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import gymnasium as gym

from rewardloom.errors import ConfigError
from rewardloom.wrappers.captions.base import ActType, CaptionWrapper, ObsType
from rewardloom.wrappers.sources import Transition, import_function

__all__ = ["EventCaptions"]


class EventCaptions(CaptionWrapper[ObsType, ActType]):
    """Writes `info["caption"]`: what a function says of each step; changes nothing else.

    Put it inside frame skips and reward designs, and around what makes the observations that the
    function reads. A caption that is there already is replaced; the function finds it in
    `step.info`. In a vector wrap each sub-environment, as in
    `SyncVectorEnv([lambda: EventCaptions(make(), ...)] * 8)`: the vector's infos then hold the
    texts, and the designs of `rewardloom.wrappers.vector` read them there.

    >>> import gymnasium as gym
    >>> from rewardloom.wrappers.captions import EventCaptions
    >>> def caption(step):
    ...     return f"You stand in row {step.next_obs // 4}." if step.next_obs != step.obs else ""
    >>> env = EventCaptions(gym.make("FrozenLake-v1", is_slippery=False), caption)
    >>> obs, info = env.reset(seed=0)
    >>> info["caption"]
    ''
    >>> env.step(1)[4]["caption"]
    'You stand in row 1.'

    Args:
        env: The environment.
        caption_fn: Function of a `Transition` that returns the step's text, "" where nothing
            happened; or "module:function" (only this form survives the spec's JSON).
        reset_fn: Function of the reset's (obs, info) that returns its text, or "module:function";
            None says nothing at reset.

    Raises:
        ConfigError: no function, an import path that leads nowhere, or `env` is a vector; and at
            reset or step, a function's result is no text.
    """

    def __init__(
        self,
        env: gym.Env[ObsType, ActType],
        caption_fn: Callable[[Transition], str] | str,
        *,
        reset_fn: Callable[[Any, dict[str, Any]], str] | str | None = None,
    ):
        self._caption = _function("caption_fn", caption_fn)
        self._first = _function("reset_fn", reset_fn) if reset_fn is not None else _nothing
        self._obs: Any = None
        gym.utils.RecordConstructorArgs.__init__(self, caption_fn=caption_fn, reset_fn=reset_fn)
        super().__init__(env)

    def first_caption(self, obs: ObsType, info: dict[str, Any]) -> str:
        """Return what `reset_fn` says."""
        self._obs = copy.deepcopy(obs)
        return self._first(obs, info)

    def next_caption(self, step: Transition) -> str:
        """Return what `caption_fn` says."""
        before, self._obs = self._obs, copy.deepcopy(step.next_obs)
        return self._caption(step._replace(obs=before))


def _nothing(obs: Any, info: dict[str, Any]) -> str:
    return ""


def _function(argument: str, value: Any) -> Callable[..., Any]:
    """Return `value`, or what its import path leads to, if it can be called."""
    if isinstance(value, str):
        return import_function(argument, value)
    if not callable(value):
        raise ConfigError(f"{argument} must be a function or 'module:function', got {value!r}.")
    return value
