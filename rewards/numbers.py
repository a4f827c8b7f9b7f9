"""What counts as a number in an argument: booleans, which Python takes for integers, do not.

- `is_number`, `is_integer`: Python's and numpy's kinds.
"""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["is_integer", "is_number"]


def is_number(value: Any) -> bool:
    """Return whether a value is a number, finite or not."""
    return isinstance(value, int | float | np.number) and not isinstance(value, bool)


def is_integer(value: Any) -> bool:
    """Return whether a value is an integer."""
    return isinstance(value, int | np.integer) and not isinstance(value, bool)
