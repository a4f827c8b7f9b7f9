"""What counts as a number in an argument: booleans, which Python takes for integers, do not.

- `is_number`, `is_integer`: Python's and numpy's kinds.
- `check_number`, `check_integer`, `at_least_zero`: an argument within its bounds, or an error.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from rewardloom.errors import ConfigError

__all__ = ["at_least_zero", "check_integer", "check_number", "is_integer", "is_number"]


def is_number(value: Any) -> bool:
    """Return whether a value is a number, finite or not."""
    return isinstance(value, int | float | np.number) and not isinstance(value, bool)


def is_integer(value: Any) -> bool:
    """Return whether a value is an integer."""
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def check_number(
    name: str,
    value: Any,
    *,
    above: float = -math.inf,
    least: float = -math.inf,
    most: float = math.inf,
) -> float:
    """Return a finite number as a float, or raise `ConfigError`.

    Args:
        name: Of the argument, for the message.
        value: What was given.
        above: What it must exceed.
        least: What it must reach.
        most: What it must not exceed.
    """
    in_bounds = is_number(value) and above < value <= most and value >= least
    if not in_bounds or not math.isfinite(value):
        bounds = [f" > {above:g}"] * (above > -math.inf) + [f" >= {least:g}"] * (least > -math.inf)
        bounds += [f" <= {most:g}"] * (most < math.inf)
        raise ConfigError(f"{name} must be a finite number{' and'.join(bounds)}, got {value!r}.")
    return float(value)


def at_least_zero(name: str, value: Any) -> float:
    """Return `value` as a float, or raise `ConfigError` if it is no finite number >= 0."""
    return check_number(name, value, least=0.0)


def check_integer(name: str, value: Any, *, least: int = 1) -> int:
    """Return `value` as an int, or raise `ConfigError` if it is no integer >= `least`."""
    if not is_integer(value) or value < least:
        raise ConfigError(f"{name} must be an integer >= {least}, got {value!r}.")
    return int(value)
