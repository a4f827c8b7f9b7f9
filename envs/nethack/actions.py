"""The action sets.

- `resolve_actions`: the keys of an action set given by name or key by key.
- `TASK23`, `EXT28`: the two named sets.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence

from rewardloom.envs.nethack.backend import nethack
from rewardloom.errors import ConfigError, unknown_name

__all__ = ["EXT28", "TASK23", "resolve_actions"]

TASK23: tuple[int, ...] = tuple(
    int(key)
    for key in (
        nethack.MiscAction.MORE,
        *nethack.CompassDirection,
        *nethack.CompassDirectionLonger,
        *nethack.MiscDirection,
        nethack.Command.KICK,
        nethack.Command.EAT,
        nethack.Command.SEARCH,
    )
)
"""More, 8 steps, 8 long walks, up, down, wait, kick, eat, search."""

EXT28: tuple[int, ...] = (
    *TASK23,
    int(nethack.Command.CAST),
    int(nethack.Command.QUAFF),
    int(nethack.Command.PRAY),
    int(nethack.Command.PICKUP),
    int(nethack.Command.PAY),
)
"""`TASK23` with cast, quaff, pray, pick up and pay."""

_NAMED = {"task23": TASK23, "ext28": EXT28}


def resolve_actions(actions: str | Sequence[int]) -> tuple[int, ...]:
    """Return the keys of an action set.

    Args:
        actions: "task23", "ext28", or nle's action enums or key codes (0..255).

    Raises:
        ConfigError: an unknown name, an empty set, something that is no key, or a key twice.
    """
    if isinstance(actions, str):
        if actions not in _NAMED:
            raise ConfigError(unknown_name("action set", actions, _NAMED))
        return _NAMED[actions]
    try:
        keys = tuple(operator.index(action) for action in actions)
    except TypeError as error:
        raise ConfigError(
            f"actions must be 'task23', 'ext28' or a sequence of key codes, not {actions!r}."
        ) from error
    wrong = [key for key in keys if not 0 <= key <= 255]
    if not keys or wrong or len(set(keys)) < len(keys):
        reason = f"{wrong[0]} is not in 0..255" if wrong else "each key once, and at least one"
        raise ConfigError(f"actions must be key codes 0..255 ({reason}), not {actions!r}.")
    return keys
