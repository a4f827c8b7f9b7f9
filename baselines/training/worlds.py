"""The worlds of a training run: one environment, or several under the reward designs.

- `make_world`: the configured world without any design, as evaluation uses it.
- `make_training_worlds`: `num_envs` of them as an SB3 VecEnv, with the designs on top.
- `has_action_masks`: whether a world offers `action_masks()`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, NamedTuple

import gymnasium as gym
from gymnasium import spaces
from gymnasium.envs.registration import load_env_creator
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnv

from rewardloom.baselines.plugs import DesignVecReward
from rewardloom.baselines.training.config import TrainConfig, design_name
from rewardloom.baselines.training.timing import Clock, TimedVecEnv
from rewardloom.errors import ConfigError, unknown_name
from rewardloom.rewards.catalog import make_design
from rewardloom.rewards.design import RewardDesign
from rewardloom.wrappers import RewardComponents

__all__ = ["TrainingWorlds", "has_action_masks", "make_training_worlds", "make_world"]

_PLAIN = (spaces.Box, spaces.Discrete, spaces.MultiDiscrete, spaces.MultiBinary)


class TrainingWorlds(NamedTuple):
    """What `make_training_worlds` returns.

    Attributes:
        venv: The outermost VecEnv, which PPO trains on.
        designs: info key -> design, from the innermost to the outermost.
    """

    venv: VecEnv
    designs: dict[str, RewardDesign]


def make_world(config: TrainConfig, *, render_mode: str | None = None) -> gym.Env[Any, Any]:
    """Make the configured world with its components and without designs.

    Args:
        config: Names the world, its arguments and components.
        render_mode: Passed to the world; None leaves what the configuration says.

    Raises:
        ConfigError: a module to import or an argument does not exist, or the spaces are none that
            PPO can learn from.
        gymnasium.error.Error: no such id (with the nearest name), or a dependency is missing.
    """
    kwargs = dict(config.world_kwargs)
    if render_mode is not None:
        kwargs["render_mode"] = render_mode
    try:
        env = gym.make(config.world, **kwargs)
    except ModuleNotFoundError as error:
        module = config.world.partition(":")[0]
        if error.name is not None and error.name != module:
            raise
        raise ConfigError(
            f"World {config.world!r}: there is no module {module!r} to import."
        ) from None
    except TypeError as error:
        raise _bad_argument(config.world, kwargs, error) from error
    if config.components:
        env = RewardComponents(env, **config.components)
    _check_spaces(config.world, env)
    return env


def make_training_worlds(config: TrainConfig, clock: Clock) -> TrainingWorlds:
    """Make the environments and put the designs on them, the first one innermost.

    Args:
        config: The run's settings.
        clock: Told how long the environments and the designs take.
    """
    makers: list[Callable[[], gym.Env[Any, Any]]] = [lambda: make_world(config)] * config.num_envs
    venv: VecEnv = TimedVecEnv(DummyVecEnv(makers), clock, "env")
    designs: dict[str, RewardDesign] = {}
    try:
        for settings in config.designs:
            name = design_name(settings)
            arguments = {k: v for k, v in settings.items() if k not in ("design", "name")}
            designs[name] = make_design(settings["design"], **arguments)
            venv = DesignVecReward(venv, designs[name], name=name)
    except BaseException:
        venv.close()
        raise
    if designs:
        venv = TimedVecEnv(venv, clock, "design")
    return TrainingWorlds(venv, designs)


def has_action_masks(env: Any) -> bool:
    """Return whether an Env or VecEnv offers `action_masks()`."""
    if isinstance(env, VecEnv):
        return env.has_attr("action_masks")
    return env.has_wrapper_attr("action_masks")


def _bad_argument(world: str, kwargs: dict[str, Any], error: TypeError) -> ConfigError:
    """Return the error for a world's constructor that refused its arguments."""
    entry = gym.spec(world).entry_point
    creator = load_env_creator(entry) if isinstance(entry, str) else entry
    parameters = inspect.signature(creator).parameters if callable(creator) else {}
    takes_any = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    for name in kwargs:
        if parameters and not takes_any and name not in parameters:
            return ConfigError(unknown_name("argument", name, parameters, where=f"of {world}"))
    return ConfigError(f"{world} refuses the arguments {kwargs!r}: {error}")


def _check_spaces(world: str, env: gym.Env[Any, Any]) -> None:
    space = env.observation_space
    parts = space.spaces if isinstance(space, spaces.Dict) else {"": space}
    for key, part in parts.items():
        if not isinstance(part, _PLAIN):
            entry = f" entry {key!r}" if key else ""
            raise ConfigError(
                f"The observation{entry} of {world} is a {type(part).__name__} space, which PPO "
                "cannot read; register the world with a wrapper that makes it a Box or Discrete."
            )
    if not isinstance(env.action_space, _PLAIN):
        raise ConfigError(
            f"The actions of {world} are a {type(env.action_space).__name__} space; PPO needs Box, "
            "Discrete, MultiDiscrete or MultiBinary."
        )
