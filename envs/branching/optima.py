"""Optimal objectives, for the rewards and limits that need them.

- `Optima`: where a world's optima come from.
- `objective_limit`: the limit a little above the optimum.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from pyscipopt import Model

from rewardloom.envs.branching.records import SearchResult
from rewardloom.envs.branching.settings import SearchSettings
from rewardloom.envs.branching.sources import Drawn
from rewardloom.errors import ConfigError, unknown_name
from rewardloom.rewards.numbers import is_number

__all__ = ["Optima", "objective_limit"]

_SLACK = 1e-6  # of the objective, SCIP's feasibility tolerance
_LEAST_SLACK = 1e-5


class Optima:
    """The optimal objectives of instances, in their own sense.

    Args:
        given: "solve": SCIP solves each instance with its own defaults first, at every reset, which
            may take long. A mapping: instance name -> objective.

    Raises:
        ConfigError: Something else, or an objective that is no finite number.
    """

    def __init__(self, given: str | Mapping[str, float]):
        if isinstance(given, Mapping):
            for name, value in given.items():
                if not is_number(value) or not math.isfinite(value):
                    raise ConfigError(f"optimum of {name!r} must be a finite number, got {value!r}")
        elif given != "solve":
            raise ConfigError(
                f"optimum must be 'solve', a mapping from instance names to objectives, or None; "
                f"got {given!r}."
            )
        self._given = given

    def of(self, drawn: Drawn, solve: Callable[[Model, SearchSettings], SearchResult]) -> float:
        """Return the optimum of an instance.

        Args:
            drawn: The instance.
            solve: Searches a model to its end, with SCIP's own rules.

        Raises:
            ConfigError: The mapping lacks the instance, or SCIP finds no optimum.
        """
        if isinstance(self._given, Mapping):
            if drawn.name not in self._given:
                raise ConfigError(
                    unknown_name("instance", drawn.name, self._given, where="in optimum")
                )
            return float(self._given[drawn.name])
        result = solve(drawn.build(), SearchSettings(preset="default"))
        if result.status != "optimal":
            raise ConfigError(
                f"optimum='solve': SCIP ended with {result.status!r} on {drawn.name}, not with an "
                "optimum."
            )
        return result.primal_bound


def objective_limit(optimum: float, sense: str) -> float:
    """Return the objective that solutions must beat: the optimum and a millionth of it.

    Args:
        optimum: The optimal objective, in the problem's own sense.
        sense: "minimize" or "maximize".
    """
    slack = max(_SLACK * abs(optimum), _LEAST_SLACK)
    return optimum - slack if sense == "maximize" else optimum + slack
