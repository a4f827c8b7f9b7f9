"""`RewardComponents`: gives named reward components to any environment."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any, Generic, SupportsFloat, TypeVar

import gymnasium as gym

from rewardloom.components import reward_component_names, terminal_component_names
from rewardloom.errors import ConfigError
from rewardloom.wrappers.sources import Component as Component
from rewardloom.wrappers.sources import Source, parse_sources, terminal_subset
from rewardloom.wrappers.sources import Transition as Transition

__all__ = ["Component", "RewardComponents", "Transition"]

ObsType = TypeVar("ObsType")
ActType = TypeVar("ActType")


class RewardComponents(
    gym.Wrapper[ObsType, ActType, ObsType, ActType],
    gym.utils.RecordConstructorArgs,
    Generic[ObsType, ActType],
):
    """Writes `info["reward_components"]` at every step; changes nothing else.

    Use it innermost, inside frame skips and reward designs. On a world that already declares
    components it adds to them.

    >>> import gymnasium as gym
    >>> from rewardloom.wrappers import Component, RewardComponents
    >>> env = gym.make("CartPole-v1")
    >>> env = RewardComponents(
    ...     env,
    ...     alive="reward",
    ...     bonus=Component("bonus", default=0.0),
    ...     left=lambda t: float(t.action == 0),
    ... )
    >>> obs, info = env.reset(seed=0)
    >>> env.step(0)[4]["reward_components"]
    {'alive': 1.0, 'bonus': 0.0, 'left': 1.0}

    Args:
        env: The environment.
        terminal_components: The names among `components` that mean something only at the last
            step; they are 0.0 before it, whatever their source says.
        components: name -> source: an info key (dots reach into nested dicts), "reward" for the
            environment's own, `Component(key, default=0.0)`, a function of a `Transition`, or
            "module:function" (only this form of a function survives the spec's JSON).

    Raises:
        ConfigError: a bad or taken name, an unknown source, or `env` is a vector.
        ComponentError: at `step`, a source is missing, no number, or not finite.
    """

    def __init__(
        self,
        env: gym.Env[ObsType, ActType],
        *,
        terminal_components: Sequence[str] = (),
        **components: Any,
    ):
        if not isinstance(env, gym.Env):
            raise ConfigError(
                f"RewardComponents takes one gymnasium.Env, got {type(env).__name__}; twins are in "
                "rewardloom.wrappers.vector and rewardloom.wrappers.parallel."
            )
        inner = reward_component_names(env)
        self._sources = parse_sources(components, inner)
        names = tuple(source.name for source in self._sources)
        self._terminal = terminal_subset(terminal_components, names)
        gym.utils.RecordConstructorArgs.__init__(
            self,
            terminal_components=list(self._terminal),
            **{source.name: source.spec for source in self._sources},
        )
        gym.Wrapper.__init__(self, env)
        self.reward_components = inner + names
        self.terminal_components = terminal_component_names(env) + self._terminal
        self._keeps_obs = any(source.function for source in self._sources)
        self._obs: Any = None
        self._steps = 0

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[ObsType, dict[str, Any]]:
        """Start an episode; no components are written at reset."""
        obs, info = self.env.reset(seed=seed, options=options)
        self._obs = copy.deepcopy(obs) if self._keeps_obs else None
        self._steps = 0
        return obs, info

    def step(self, action: ActType) -> tuple[ObsType, SupportsFloat, bool, bool, dict[str, Any]]:
        """Step the environment and add the components to `info`."""
        obs, reward, terminated, truncated, info = self.env.step(action)
        self._steps += 1
        over = terminated or truncated
        transition = Transition(self._obs, action, obs, reward, terminated, truncated, info)
        values = dict(info.get("reward_components", ()))
        for source in self._sources:
            if source.name in self._terminal and not over:
                values[source.name] = 0.0
            else:
                values[source.name] = read_source(source, transition, self._where)
        self._obs = copy.deepcopy(obs) if self._keeps_obs else None
        info = {**info, "reward_components": values}
        info.setdefault("raw_reward", float(reward))
        return obs, reward, terminated, truncated, info

    def _where(self) -> str:
        return f"step {self._steps} of {self.env}"


def read_source(source: Source, transition: Transition, where: Callable[[], str]) -> float:
    """Return a component of one step as a finite float.

    Args:
        source: Its origin.
        transition: The step.
        where: Function that gives the place for an error message.

    Raises:
        ComponentError: the info key is missing, or the value is no finite number.
    """
    if source.function is not None:
        return source.checked(source.function(transition), where)
    if source.is_reward:
        return source.checked(transition.reward, where)
    value: Any = transition.info
    for key in source.path:
        try:
            value = value[key]
        except (KeyError, TypeError, IndexError):
            if source.default is None:
                raise source.missing(where) from None
            return float(source.default)
    return source.checked(value, where)
