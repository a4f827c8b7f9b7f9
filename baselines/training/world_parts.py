"""Builds the parts of a configured world: the environment by its id, and wrappers around it.

- `make_env`: `gymnasium.make` with errors that name the mistake.
- `find_world`: checks an id without making anything.
- `apply_wrapper`: one entry of `TrainConfig.wrappers`.
"""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Mapping
from typing import Any

import gymnasium as gym
from gymnasium.envs.registration import load_env_creator

from rewardloom.baselines.training.construction import (
    call_wrapper,
    import_wrapper,
    refuse_arguments,
)
from rewardloom.baselines.training.parallel_worlds import find_parallel_env, is_parallel
from rewardloom.errors import ConfigError
from rewardloom.registration import NAMESPACE, WORLDS

__all__ = ["apply_wrapper", "find_world", "make_env"]


def make_env(world: str, kwargs: Mapping[str, Any]) -> gym.Env[Any, Any]:
    """Make the environment called `world`.

    Raises:
        ConfigError: a module to import or an argument does not exist, or an id of rewardloom
            lacks its namespace.
        gymnasium.error.Error: no such id (with the nearest name), or a dependency is missing.
    """
    try:
        return gym.make(world, **kwargs)
    except ModuleNotFoundError as error:
        module = world.partition(":")[0]
        if error.name is not None and error.name != module:
            raise
        raise ConfigError(f"World {world!r}: there is no module {module!r} to import.") from None
    except gym.error.NameNotFound as error:
        raise _unknown_world(world, error) from None
    except TypeError as error:
        _refuse_world_arguments(world, kwargs)
        raise ConfigError(f"{world} refuses the arguments {dict(kwargs)!r}: {error}") from error


def find_world(world: str) -> None:
    """Refuse an id that is not registered, or a PettingZoo module that is not there.

    A Gymnasium id with a module to import passes unseen.

    Raises:
        ConfigError: an id of rewardloom lacks its namespace, or a module is no PettingZoo world.
        gymnasium.error.Error: no such id (with the nearest name), or a dependency is missing.
    """
    if is_parallel(world):
        find_parallel_env(world)
    if ":" in world:
        return
    try:
        gym.spec(world)
    except gym.error.NameNotFound as error:
        raise _unknown_world(world, error) from None


def apply_wrapper(env: gym.Env[Any, Any], settings: Mapping[str, Any]) -> gym.Env[Any, Any]:
    """Return `env` inside the wrapper of one entry of `TrainConfig.wrappers`.

    Raises:
        ConfigError: it cannot be imported, is no environment wrapper, or refuses the environment
            or its arguments.
    """
    wrapper = import_wrapper(settings)
    if not (inspect.isclass(wrapper) and issubclass(wrapper, gym.Wrapper)):
        raise ConfigError(
            f"{settings['wrapper']!r} is not a gymnasium.Wrapper class, got {wrapper!r}."
        )
    return call_wrapper(wrapper, env, settings)


def _unknown_world(world: str, error: gym.error.NameNotFound) -> gym.error.Error:
    """Return the error for an unknown id; one of ours without its namespace gets a hint."""
    name = world.rpartition(":")[2]
    near = [] if "/" in name else difflib.get_close_matches(name, WORLDS, n=1, cutoff=0.8)
    if not near:
        return error
    return ConfigError(f"{error} Did you mean '{NAMESPACE}:{NAMESPACE}/{near[0]}'?")


def _refuse_world_arguments(world: str, kwargs: Mapping[str, Any]) -> None:
    """Raise `ConfigError` for an argument that the world's constructor does not know."""
    entry = gym.spec(world).entry_point
    creator = load_env_creator(entry) if isinstance(entry, str) else entry
    if callable(creator) and (parameters := inspect.signature(creator).parameters):
        refuse_arguments(kwargs, parameters.values(), world)
