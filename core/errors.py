"""Errors that rewardloom raises beside Gymnasium's own, and the wording they share.

- `ComponentError`: a reward component is missing, unexpected or not finite.
- `ConfigError`: a name, field or value in a configuration is not one that exists or fits.
- `RunError`: a training run cannot start, go on or be read.
- `MissingDependency`: an optional package is not installed; names the command that installs it.
- `BackendUnavailable`: a service or platform that a world needs is not there.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from gymnasium.error import DependencyNotInstalled, Error

__all__ = [
    "BackendUnavailable",
    "ComponentError",
    "ConfigError",
    "MissingDependency",
    "RunError",
    "refuse_unknown",
    "unknown_name",
]


class ComponentError(Error):
    """A reward component is missing, unexpected or not finite."""


class ConfigError(Error, ValueError):
    """A name, field or value in a configuration does not exist or does not fit."""


class RunError(Error):
    """A training run cannot start, go on or be read."""


class MissingDependency(DependencyNotInstalled):
    """An optional package is not installed; the message names the command that installs it."""


class BackendUnavailable(Error):
    """A service or platform that a world needs is not available on this machine."""


def unknown_name(kind: str, name: object, options: Iterable[str], *, where: str = "") -> str:
    """Return the message for a name that is not among `options`, with the nearest one.

    Args:
        kind: What the name was meant to be ("design", "component", "config field", ...).
        name: What was given.
        options: The names that exist.
        where: Where it was given, for example "in TrainConfig"; empty to leave it out.
    """
    known = sorted(options)
    place = f" {where}" if where else ""
    near = difflib.get_close_matches(str(name), known, n=1, cutoff=0.5)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    listing = ", ".join(known) if known else "none"
    return f"Unknown {kind} {name!r}{place}.{hint} Known: {listing}."


def refuse_unknown(given: Iterable[str], allowed: Iterable[str], *, kind: str, where: str) -> None:
    """Raise `ConfigError` for the first of `given` that is not in `allowed`."""
    options = tuple(allowed)
    for name in given:
        if name not in options:
            raise ConfigError(unknown_name(kind, name, options, where=where))
