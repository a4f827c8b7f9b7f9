"""`CaptionWrapper`: writes a text into `info["caption"]` at reset and at every step."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, Generic, SupportsFloat, TypeVar

import gymnasium as gym

from rewardloom.errors import ConfigError
from rewardloom.wrappers.sources import Transition

__all__ = ["CaptionWrapper"]

ObsType = TypeVar("ObsType")
ActType = TypeVar("ActType")


class CaptionWrapper(
    gym.Wrapper[ObsType, ActType, ObsType, ActType],
    gym.utils.RecordConstructorArgs,
    Generic[ObsType, ActType],
):
    """Asks its subclass for a text at reset and at every step; changes nothing else.

    Subclasses record their arguments first, then call this constructor.

    Args:
        env: The environment.

    Raises:
        ConfigError: `env` is a vector; and at reset or step, the text is no str.
    """

    def __init__(self, env: gym.Env[ObsType, ActType]):
        if not isinstance(env, gym.Env):
            raise ConfigError(
                f"{type(self).__name__} takes one gymnasium.Env, got {type(env).__name__}. Wrap "
                "each sub-environment; the vector hands their captions on."
            )
        gym.Wrapper.__init__(self, env)

    @abstractmethod
    def first_caption(self, obs: ObsType, info: dict[str, Any]) -> str:
        """Return the text of a reset, "" where there is nothing to say."""

    @abstractmethod
    def next_caption(self, step: Transition) -> str:
        """Return the text of a step, "" where nothing worth a word happened.

        `step.obs` is None here: what came before is the subclass's to remember.
        """

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[ObsType, dict[str, Any]]:
        """Start an episode and say how."""
        obs, info = self.env.reset(seed=seed, options=options)
        caption = self.first_caption(obs, info)
        return obs, {**info, "caption": self._checked(caption, "reset")}

    def step(self, action: ActType) -> tuple[ObsType, SupportsFloat, bool, bool, dict[str, Any]]:
        """Step the environment and say what happened."""
        obs, reward, terminated, truncated, info = self.env.step(action)
        step = Transition(None, action, obs, reward, terminated, truncated, info)
        info = {**info, "caption": self._checked(self.next_caption(step), "step")}
        return obs, reward, terminated, truncated, info

    def _checked(self, caption: Any, when: str) -> str:
        if not isinstance(caption, str):
            raise ConfigError(
                f"The caption of a {when} of {self.env} is {caption!r}; return a text, '' where "
                "there is nothing to say."
            )
        return caption
