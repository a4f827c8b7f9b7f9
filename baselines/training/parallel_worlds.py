"""PettingZoo worlds of a configuration, written `pettingzoo:<module>`.

- `is_parallel`: whether a configuration's world is one.
- `find_parallel_env`: the function of the module that makes the world.
- `make_parallel_world`: the configured world with its wrappers and components.

The module is one that has `parallel_env(**kwargs)`, as those of PettingZoo and MPE2 do:
`pettingzoo:mpe2.simple_spread_v3`.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import gymnasium as gym

from rewardloom.baselines.training.config import TrainConfig
from rewardloom.baselines.training.construction import (
    call_wrapper,
    import_wrapper,
    refuse_arguments,
)
from rewardloom.errors import ConfigError, MissingDependency, unknown_name

if TYPE_CHECKING:
    from pettingzoo import ParallelEnv

__all__ = ["PREFIX", "find_parallel_env", "is_parallel", "make_parallel_world"]

PREFIX = "pettingzoo:"
"""Beginning of `TrainConfig.world` for PettingZoo worlds."""

_COMMANDS = {
    "mpe2": "pip install mpe2",
    "pettingzoo": 'pip install "rewardloom[parallel]"',
    "supersuit": "pip install supersuit",
}


def is_parallel(world: str) -> bool:
    """Return whether `TrainConfig.world` names a PettingZoo world."""
    return world.startswith(PREFIX)


def find_parallel_env(world: str) -> Callable[..., ParallelEnv]:
    """Return the `parallel_env` of the module that a world names.

    Raises:
        ConfigError: there is no such module (with the nearest name), it refuses to be imported, or
            it has no `parallel_env`.
        MissingDependency: the package it belongs to, or one that it imports, is not installed.
    """
    path = world.removeprefix(PREFIX)
    if not all(part.isidentifier() for part in path.split(".")):
        raise ConfigError(
            f"World {world!r}: 'pettingzoo:' is followed by a module that has parallel_env, for "
            "example pettingzoo:mpe2.simple_spread_v3."
        )
    try:
        importlib.import_module("pettingzoo")
        module = importlib.import_module(path)
    except ModuleNotFoundError as error:
        raise _not_found(world, path, error.name or path) from error
    except ImportError as error:
        raise ConfigError(f"World {world!r} cannot be imported: {error}") from error
    make = getattr(module, "parallel_env", None)
    if make is None:
        raise ConfigError(
            f"World {world!r}: the module {path!r} has no parallel_env(), which makes a world "
            "whose agents act at the same time. Worlds in which they take turns are not trained."
        )
    return make


def make_parallel_world(config: TrainConfig, *, render_mode: str | None = None) -> ParallelEnv:
    """Make the configured PettingZoo world with its wrappers and components, without designs.

    Args:
        config: Names the world, its arguments, wrappers and components.
        render_mode: Passed to the world; None leaves what the configuration says.

    Raises:
        ConfigError: a module, a wrapper or an argument does not exist or does not fit.
        MissingDependency: a package is not installed.
    """
    make = find_parallel_env(config.world)
    kwargs = dict(config.world_kwargs)
    if render_mode is not None:
        kwargs["render_mode"] = render_mode
    world = _made(config.world, make, kwargs)
    for settings in config.wrappers:
        world = _wrapped(world, settings)
    if config.components:
        from rewardloom.wrappers.parallel import RewardComponents

        world = RewardComponents(world, **config.components)
    return world


def _made(world: str, make: Callable[..., ParallelEnv], kwargs: Mapping[str, Any]) -> ParallelEnv:
    from pettingzoo import ParallelEnv

    try:
        made = make(**kwargs)
    except (AssertionError, TypeError, ValueError) as error:
        _refuse_world_arguments(world, make, kwargs)
        raise ConfigError(f"{world} refuses the arguments {dict(kwargs)!r}: {error}") from error
    if not isinstance(made, ParallelEnv):
        raise ConfigError(
            f"World {world!r}: parallel_env() made a {type(made).__name__}, not a ParallelEnv."
        )
    return made


def _refuse_world_arguments(
    world: str, make: Callable[..., ParallelEnv], kwargs: Mapping[str, Any]
) -> None:
    """Raise `ConfigError` for an argument that the world does not know.

    PettingZoo's own `parallel_env` takes anything; the `raw_env` beside it names its arguments.
    """
    module = importlib.import_module(world.removeprefix(PREFIX))
    for creator in (make, getattr(module, "raw_env", None)):
        if callable(creator):
            refuse_arguments(kwargs, inspect.signature(creator).parameters.values(), world)


def _wrapped(world: ParallelEnv, settings: Mapping[str, Any]) -> ParallelEnv:
    """Return `world` inside the wrapper of one entry of `TrainConfig.wrappers`."""
    from pettingzoo import ParallelEnv

    path = settings["wrapper"]
    wrapper = import_wrapper(settings)
    if inspect.isclass(wrapper) and issubclass(wrapper, gym.Wrapper):
        raise ConfigError(
            f"{path!r} is a wrapper of Gymnasium; a PettingZoo world takes one of PettingZoo's, "
            "such as a BaseParallelWrapper or a function of SuperSuit."
        )
    if not callable(wrapper):
        raise ConfigError(f"{path!r} is neither a class nor a function, got {wrapper!r}.")
    wrapped = call_wrapper(wrapper, world, settings)
    if not isinstance(wrapped, ParallelEnv):
        raise ConfigError(f"{path!r} returned a {type(wrapped).__name__}, not a ParallelEnv.")
    return wrapped


def _not_found(world: str, path: str, missing: str) -> Exception:
    """Return the error for a module that cannot be imported."""
    package = missing.partition(".")[0]
    if package == missing and package in _COMMANDS:
        return MissingDependency(
            f"World {world!r} needs {package}, which is not installed. Run: {_COMMANDS[package]}"
        )
    if path != missing and not path.startswith(f"{missing}."):
        return MissingDependency(
            f"World {world!r} imports {missing!r}, which is not installed. Install what the "
            "world's package asks for, for example with pip install 'pettingzoo[butterfly]'."
        )
    parent, _, name = missing.rpartition(".")
    if not parent:
        return ConfigError(f"World {world!r}: there is no module {missing!r} to import.")
    folder = getattr(importlib.import_module(parent), "__path__", [])
    names = [found.name for found in pkgutil.iter_modules(folder) if found.name[:1] != "_"]
    unknown = unknown_name("module", name, names, where=f"in {parent}")
    return ConfigError(f"World {world!r}: {unknown}")
