"""Checks that the generators share on their sizes."""

from __future__ import annotations

import numbers

from rewardloom.errors import ConfigError

__all__ = ["require_int", "require_real"]


def require_int(name: str, value: object, smallest: int) -> None:
    """Raise `ConfigError` unless `value` is an integer of at least `smallest`."""
    if not isinstance(value, numbers.Integral) or isinstance(value, bool) or value < smallest:
        raise ConfigError(f"{name} must be an integer of at least {smallest}, got {value!r}.")


def require_real(name: str, value: object, low: float, high: float) -> None:
    """Raise `ConfigError` unless `value` is a number with `low < value <= high`."""
    if not isinstance(value, numbers.Real) or not low < float(value) <= high:
        raise ConfigError(f"{name} must be a number in ({low:g}, {high:g}], got {value!r}.")
