"""What counts as a number in an argument: booleans, which Python takes for integers, do not.

- `is_number`, `is_integer`: Python's and numpy's kinds.
- `at_least_zero`: checks an argument that is a finite number >= 0.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from rewardloom.errors import ConfigError

__all__ = ["at_least_zero", "is_integer", "is_number"]


def is_number(value: Any) -> bool:
    """Return whether a value is a number, finite or not."""
    return isinstance(value, int | float | np.number) and not isinstance(value, bool)


def is_integer(value: Any) -> bool:
    """Return whether a value is an integer."""
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def at_least_zero(name: str, value: Any) -> float:
    """Return `value` as a float, or raise `ConfigError` if it is no finite number >= 0."""
    if not is_number(value) or not (np.isfinite(value) and value >= 0):
        raise ConfigError(f"{name} must be a finite number >= 0, got {value!r}.")
    return float(value)
