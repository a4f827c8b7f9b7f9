"""Where a reward component's value comes from, for `RewardComponents` in all its forms.

- `Component`: an info key with a default.
- `Transition`: what a function of a component receives.
- `import_function`: what an import path leads to.
- `parse_sources`: turns the arguments of `RewardComponents` into `Source` objects.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from rewardloom.components import COMPONENT_NAME
from rewardloom.errors import ComponentError, ConfigError, unknown_name

__all__ = [
    "Component",
    "Source",
    "Transition",
    "import_function",
    "parse_sources",
    "terminal_subset",
]


class Component(NamedTuple):
    """An info entry that holds a component.

    Attributes:
        key: Key in `info`; dots reach into nested dicts.
        default: Value where the key is absent; None makes its absence an error.
    """

    key: str
    default: float | None = None


class Transition(NamedTuple):
    """One step, as a component's function sees it.

    In the vector twin every field holds a batch: arrays of N rows, `info` the vector infos, and
    the function returns an array of shape (N,).
    """

    obs: Any
    action: Any
    next_obs: Any
    reward: Any
    terminated: Any
    truncated: Any
    info: dict[str, Any]


class Source(NamedTuple):
    """One component's origin: exactly one of a path into info, the reward, or a function.

    Attributes:
        name: The component.
        path: Keys to follow in `info`; empty where another origin is meant.
        default: Value where the path ends early, or None.
        function: Function of a `Transition`, or None.
        spec: What to record, a plain value where one exists.
    """

    name: str
    path: tuple[str, ...]
    default: float | None
    function: Callable[[Transition], Any] | None
    spec: Any

    @property
    def is_reward(self) -> bool:
        """Whether the component is the environment's own reward."""
        return not self.path and self.function is None

    def missing(self, where: Callable[[], str]) -> ComponentError:
        """Return the error for an info key that a step lacks."""
        key = ".".join(self.path)
        return ComponentError(
            f"Reward component {self.name!r} reads info[{key!r}], which is missing at {where()}. "
            f"Give it a default: {self.name}=Component({key!r}, default=0.0), or correct the key."
        )

    def checked(self, value: Any, where: Callable[[], str]) -> float:
        """Return `value` as a finite float or raise `ComponentError`."""
        try:
            number = float(value)
        except (TypeError, ValueError):
            raise ComponentError(
                f"Reward component {self.name!r} is {value!r} at {where()}, which is no number."
            ) from None
        if not math.isfinite(number):
            raise ComponentError(
                f"Reward component {self.name!r} is {number!r} at {where()}; components must be "
                "finite. Map the value with a function of the Transition."
            )
        return number


def parse_sources(components: Mapping[str, Any], existing: Iterable[str]) -> list[Source]:
    """Return one `Source` per argument of `RewardComponents`.

    Args:
        components: name -> info key, "reward", "module:function", `Component`, its JSON form
            {"key": ..., "default": ...}, or a function of a `Transition`.
        existing: Components the world already declares.

    Raises:
        ConfigError: no component, a bad or taken name, or a value of another kind.
    """
    taken = tuple(existing)
    if not components:
        raise ConfigError("RewardComponents needs at least one component, e.g. alive='reward'.")
    sources = []
    for name, value in components.items():
        if not COMPONENT_NAME.fullmatch(name):
            raise ConfigError(f"A component's name matches [a-z][a-z0-9_]*, got {name!r}.")
        if name in taken:
            raise ConfigError(f"The world already declares a component {name!r}; choose another.")
        sources.append(_parse(name, value))
    return sources


def terminal_subset(terminal: Iterable[str], names: Iterable[str]) -> tuple[str, ...]:
    """Return `terminal` as a tuple, or raise `ConfigError` for a name not among `names`."""
    options = tuple(names)
    if isinstance(terminal, str):
        raise ConfigError(f"terminal_components must be a list of names, got {terminal!r}.")
    for name in terminal:
        if name not in options:
            where = "in terminal_components"
            raise ConfigError(unknown_name("component", name, options, where=where))
    return tuple(terminal)


def _parse(name: str, value: Any) -> Source:
    if isinstance(value, Mapping) and set(value) <= {"key", "default"} and "key" in value:
        value = Component(**value)
    if isinstance(value, Component):
        if value.default is not None and not _is_number(value.default):
            raise ConfigError(
                f"Component {name!r} has the default {value.default!r}; give a finite number."
            )
        spec = {"key": value.key, "default": value.default}
        return Source(name, tuple(value.key.split(".")), value.default, None, spec)
    if isinstance(value, str) and ":" in value:
        return Source(name, (), None, import_function(f"Component {name!r}", value), value)
    if value == "reward":
        return Source(name, (), None, None, value)
    if isinstance(value, str) and value:
        return Source(name, tuple(value.split(".")), None, None, value)
    if callable(value):
        return Source(name, (), None, value, value)
    raise ConfigError(
        f"Component {name!r} is {value!r}. Give an info key, 'reward', 'module:function', "
        "Component(key, default), or a function of a Transition."
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def import_function(owner: str, path: str) -> Callable[..., Any]:
    """Return the function that an import path leads to.

    Args:
        owner: Whose it is, for the message.
        path: "module:function".

    Raises:
        ConfigError: it leads nowhere, or to what cannot be called.
    """
    module, _, attribute = path.partition(":")
    if not module or not attribute:
        raise ConfigError(f"{owner} is {path!r}; an import path is 'module:function'.")
    try:
        found = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise ConfigError(f"{owner}: cannot import {path!r} ({error}).") from None
    if not callable(found):
        raise ConfigError(f"{owner} must be a function; {path!r} is not a function.")
    return found
