"""Imports and calls what a configuration names, with errors that name the mistake.

- `import_wrapper`: the class or function of an entry of `TrainConfig.wrappers`.
- `import_named`: what any import path names.
- `call_wrapper`: puts it around a world.
- `refuse_arguments`: checks keyword arguments against a signature.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from rewardloom.errors import ConfigError, refuse_unknown

__all__ = ["call_wrapper", "import_named", "import_wrapper", "refuse_arguments"]

_REFUSALS = (TypeError, ValueError, AssertionError, AttributeError, KeyError)


def import_wrapper(settings: Mapping[str, Any]) -> Any:
    """Return what the import path in an entry of `TrainConfig.wrappers` names.

    Raises:
        ConfigError: it cannot be imported.
    """
    return import_named(settings["wrapper"], "the wrapper ")


def import_named(path: str, what: str = "") -> Any:
    """Return what an import path "module:attribute" names; `what` it is goes into the error.

    Raises:
        ConfigError: it cannot be imported.
    """
    module, _, attribute = path.partition(":")
    try:
        return getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise ConfigError(f"Cannot import {what}{path!r}: {error}.") from error


def call_wrapper(wrapper: Callable[..., Any], world: Any, settings: Mapping[str, Any]) -> Any:
    """Return `world` inside a wrapper with the arguments in its entry.

    Raises:
        ConfigError: an argument is unknown, or the wrapper refuses the world or an argument.
    """
    path = settings["wrapper"]
    kwargs = {key: value for key, value in settings.items() if key != "wrapper"}
    refuse_arguments(kwargs, list(inspect.signature(wrapper).parameters.values())[1:], path)
    try:
        return wrapper(world, **kwargs)
    except _REFUSALS as error:
        raise ConfigError(
            f"The wrapper {path!r} with the arguments {kwargs!r} does not fit the world: "
            f"{type(error).__name__}: {error}"
        ) from error


def refuse_arguments(
    kwargs: Mapping[str, Any], parameters: Iterable[inspect.Parameter], owner: str
) -> None:
    """Raise `ConfigError` for an argument that is none of the parameters, naming the nearest."""
    parameters = list(parameters)
    if not any(p.kind is p.VAR_KEYWORD for p in parameters):
        refuse_unknown(kwargs, [p.name for p in parameters], kind="argument", where=f"of {owner}")
