"""SCIP's own branching rules as baselines of one line.

- `RULES`: their names.
- `check_rule`: refuses a name that is none.
- `with_rule`: settings under which SCIP branches by a rule.
- `search_with_rule`: a whole search by a rule.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from rewardloom.errors import ConfigError, unknown_name

if TYPE_CHECKING:
    from pyscipopt import Model

    from rewardloom.envs.branching.records import SearchResult
    from rewardloom.envs.branching.settings import SearchSettings

__all__ = ["RULES", "check_rule", "search_with_rule", "with_rule"]

RULES = ("relpscost", "pscost", "fullstrong", "vanillafullstrong", "mostinf", "random")
"""Reliability pseudo-cost (SCIP's default), pseudo-cost, strong branching with and without its side
effects, most infeasible and random branching.

Trees of `relpscost` and `fullstrong` are small by their side effects as well: inside a node they
tighten bounds and cut children off, which no agent that only chooses a variable can do. The LP
iterations count that work. `vanillafullstrong` has such effects by SCIP's default too; here it is
made `idempotent`, which leaves it the choice of the variable.
"""

_BELOW_OURS = 536870910
_CHANGED = {"vanillafullstrong": {"branching/vanillafullstrong/idempotent": True}}


def check_rule(name: str) -> str:
    """Return `name`, or raise `ConfigError` if it is not one of `RULES`."""
    if name not in RULES:
        raise ConfigError(unknown_name("branching rule", name, RULES))
    return name


def with_rule(settings: SearchSettings, rule: str) -> SearchSettings:
    """Return settings under which SCIP branches by `rule` wherever no agent does.

    With `vanillafullstrong` its parameter `idempotent` is set, unless the settings say otherwise.

    Args:
        settings: Everything else.
        rule: One of `RULES`.

    Raises:
        ConfigError: There is no such rule.
    """
    priority = {f"branching/{check_rule(rule)}/priority": _BELOW_OURS}
    parameters = {**_CHANGED.get(rule, {}), **settings.parameters, **priority}
    return dataclasses.replace(settings, parameters=parameters)


def search_with_rule(model: Model, settings: SearchSettings, rule: str) -> SearchResult:
    """Search with one of SCIP's rules; the search is SCIP's own, to the node.

    The rule that asks agents is there, says nothing and costs a few microseconds at every decision,
    for which the solver's clock stands still. So the numbers, the tree table, the limits and the
    clock are those of agents.

    Args:
        model: A built problem that has not been solved; it is freed at the end.
        settings: Presets, limits and seeds.
        rule: One of `RULES`.

    Raises:
        ConfigError: There is no such rule, or a parameter does not fit.
    """
    from rewardloom.envs.branching.session import evaluate

    return evaluate(lambda _: None, model, with_rule(settings, rule))
