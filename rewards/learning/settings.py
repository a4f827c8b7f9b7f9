"""`read_settings`: a dataclass of settings from what a configuration holds."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, TypeVar

from rewardloom.errors import ConfigError, refuse_unknown

__all__ = ["read_settings"]

Settings = TypeVar("Settings")


def read_settings(kind: type[Settings], value: Settings | Mapping[str, Any] | None) -> Settings:
    """Return the settings `value` stands for; None takes the defaults of the dataclass `kind`.

    Raises:
        ConfigError: an unknown field (with the nearest name), a value that `kind` refuses, or
            neither a mapping nor a `kind`.
    """
    if isinstance(value, kind):
        return value
    if value is not None and not isinstance(value, Mapping):
        raise ConfigError(f"learning must be a mapping or {kind.__name__}, got {value!r}.")
    names = [field.name for field in dataclasses.fields(kind)]  # pyright: ignore[reportArgumentType] (a dataclass)
    refuse_unknown(value or {}, names, kind="field", where=f"in {kind.__name__}")
    return kind(**(value or {}))
