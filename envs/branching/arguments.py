"""Checks what a branching world was given.

- `check_choice`, `check_flag`: one of several words.
- `checked_parameters`, `checked_limit`, `component_names`: what the arguments mean.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from rewardloom.envs.branching.components import COMPONENTS, OF_THE_OPTIMUM, SOLVER_TIME
from rewardloom.envs.branching.optima import Optima
from rewardloom.errors import ConfigError, unknown_name
from rewardloom.rewards.numbers import is_number

__all__ = ["check_choice", "check_flag", "checked_limit", "checked_parameters", "component_names"]


def check_choice(name: str, value: Any, options: tuple[str | None, ...]) -> None:
    """Raise `ConfigError` unless `value` is one of `options`."""
    if value not in options:
        raise ConfigError(unknown_name(name, value, [str(option) for option in options]))


def check_flag(name: str, value: Any) -> None:
    """Raise `ConfigError` unless `value` is True or False."""
    if not isinstance(value, bool):
        raise ConfigError(f"{name} must be True or False, got {value!r}.")


def checked_parameters(parameters: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return SCIP parameters that leave columns where they are."""
    if not isinstance(parameters, Mapping | None):
        raise ConfigError(f"parameters must map SCIP's names to values, got {parameters!r}.")
    given = dict(parameters or {})
    if given.get("reading/dynamiccols"):
        raise ConfigError(
            "parameters: reading/dynamiccols=True lets columns leave the LP, so that an action "
            "would name another variable at every node. Leave it off."
        )
    return given


def checked_limit(limit: str | float | None, optima: Optima | None) -> str | float | None:
    """Return "optimal" where optima are known, a finite number or None."""
    if limit == "optimal":
        if optima is None:
            raise ConfigError("objective_limit='optimal' needs optimum='solve' or a mapping.")
        return limit
    if limit is None or (is_number(limit) and math.isfinite(float(limit))):
        return limit
    raise ConfigError(f"objective_limit must be 'optimal', a number or None, got {limit!r}.")


def component_names(reward: str, knows_optimum: bool) -> tuple[str, ...]:
    """Return the components of a world, `reward` among them."""
    names = COMPONENTS + (OF_THE_OPTIMUM if knows_optimum else ())
    if reward == SOLVER_TIME:
        return (*names, SOLVER_TIME)
    if reward not in names:
        hint = " It needs optimum='solve' or a mapping." if reward in OF_THE_OPTIMUM else ""
        raise ConfigError(unknown_name("reward", reward, (*names, SOLVER_TIME)) + hint)
    return names
