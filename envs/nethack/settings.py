"""Checks what a NetHack world was given.

- `check_character`, `check_count`, `check_number`, `check_flag`, `check_choice`: return a value or
  raise one clear `ConfigError`.
- `argument_names`: the arguments of a world's constructor.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from typing import Any

from rewardloom.errors import ConfigError, unknown_name

__all__ = [
    "argument_names",
    "check_character",
    "check_choice",
    "check_count",
    "check_flag",
    "check_number",
]

_ROLES = tuple(
    ["arc", "bar", "cav", "hea", "kni", "mon", "pri", "rog", "ran", "sam", "tou", "val", "wiz"]
)
_OTHERS = {
    "race": ("hum", "elf", "dwa", "gno", "orc"),
    "alignment": ("law", "neu", "cha"),
    "gender": ("mal", "fem"),
}
_VARIADIC = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)


def check_character(character: Any) -> str:
    """Return a character string: "@", or a role and any of race, alignment and gender."""
    if character == "@":
        return character
    if not isinstance(character, str) or not character:
        raise ConfigError(f"character must be a string like 'mon-hum-neu-mal', not {character!r}.")
    role, *others = character.split("-")
    if role not in _ROLES:
        raise ConfigError(unknown_name("role", role, (*_ROLES, "@"), where=f"in {character!r}"))
    left = dict(_OTHERS)
    for word in others:
        kind = next((kind for kind, words in left.items() if word in words), None)
        if kind is None:
            options = [w for words in left.values() for w in words]
            where = f"in character {character!r}"
            raise ConfigError(unknown_name("race, alignment or gender", word, options, where=where))
        del left[kind]
    return character


def check_count(name: str, value: Any, minimum: int) -> int:
    """Return an integer of at least `minimum`."""
    if isinstance(value, bool) or not isinstance(value, int) or value < minimum:
        raise ConfigError(f"{name} must be an integer of at least {minimum}, not {value!r}.")
    return value


def check_number(name: str, value: Any) -> float:
    """Return a finite number as a float."""
    ok = isinstance(value, int | float) and not isinstance(value, bool)
    if not ok or not abs(value) < float("inf"):
        raise ConfigError(f"{name} must be a finite number, not {value!r}.")
    return float(value)


def check_flag(name: str, value: Any) -> bool:
    """Return True or False, nothing else."""
    if not isinstance(value, bool):
        raise ConfigError(f"{name} must be True or False, not {value!r}.")
    return value


def check_choice(name: str, value: Any, options: Iterable[Any]) -> Any:
    """Return one of `options`."""
    known = tuple(options)
    if isinstance(value, bool) or value not in known:
        if isinstance(value, str):
            raise ConfigError(unknown_name(name, value, [str(option) for option in known]))
        listing = ", ".join(repr(option) for option in known)
        raise ConfigError(f"{name} must be one of {listing}, not {value!r}.")
    return value


def argument_names(world: type) -> tuple[str, ...]:
    """Return the arguments of a world's constructor; `**settings` stands for its parent's."""
    names: list[str] = []
    for layer in world.__mro__:
        parameters = inspect.signature(layer.__init__).parameters.values()
        names += [p.name for p in parameters if p.name != "self" and p.kind not in _VARIADIC]
        if not any(p.name == "settings" for p in parameters):
            break
    return tuple(dict.fromkeys(names))
