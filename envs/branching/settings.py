"""How SCIP searches: presets, node selection, limits and seeds.

- `SearchSettings`: everything that is set on a model before its search.
- `PRESETS`, `NODE_SELECTIONS`: the names that a setting may have.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from pyscipopt import Model
from pyscipopt.scip import PY_SCIP_PARAMSETTING

from rewardloom.errors import ConfigError, unknown_name

__all__ = ["NODE_SELECTIONS", "PRESETS", "SearchSettings"]

_NO_CUTS_BELOW_ROOT = {"separating/maxrounds": 0}
_LEAN = {
    **_NO_CUTS_BELOW_ROOT,
    "separating/maxroundsroot": 0,
    "presolving/maxrounds": 0,
}

PRESETS: Mapping[str, Mapping[str, int | bool]] = MappingProxyType(
    {
        "gasse": _NO_CUTS_BELOW_ROOT,
        "light": _LEAN,
        "pure": {
            **_LEAN,
            "propagating/maxrounds": 0,
            "propagating/maxroundsroot": 0,
            "conflict/enable": False,
            "misc/usesymmetry": 0,
        },
        "default": {},
    }
)
"""Preset -> SCIP parameters. `light` and `pure` also turn every primal heuristic off."""

_WITHOUT_HEURISTICS = ("light", "pure")

NODE_SELECTIONS = ("estimate", "bfs", "dfs", "breadthfirst", "hybridestim", "restartdfs", "uct")
"""SCIP's node selection rules; `estimate` is its default."""

_ALWAYS = {
    "misc/catchctrlc": False,  # SCIP would swallow Ctrl-C, Python shall see it
    "presolving/maxrestarts": 0,  # node numbers would begin again
    "lp/threads": 1,
}
_FIRST = 536870911
_SEEDS = 2**31


@dataclass(frozen=True, kw_only=True)
class SearchSettings:
    """What is set on a model before its search begins.

    Attributes:
        preset: `gasse` (cuts at the root only; presolving, heuristics and propagation as in SCIP's
            defaults, the setting of Gasse et al. 2019), `light` (no cuts, presolving or heuristics:
            a reset is about ten times faster), `pure` (`light` without propagation, conflict
            analysis and symmetry handling: the tree depends on bounds of LPs alone) or `default`
            (SCIP's own). None of them restarts.
        node_selection: One of `NODE_SELECTIONS`.
        seed: Seed of SCIP's permutation of the problem, its random numbers and its LP solver, taken
            modulo 2**31; None leaves SCIP's own seeds, with nothing permuted.
        node_limit: Nodes after which the search stops; None for no limit.
        decision_limit: Decisions after which the search stops; None for no limit.
        time_limit: Seconds of SCIP's work after which the search stops. Time in which the agent
            thinks does not count.
        watchdog: Seconds that SCIP may work from one decision to the next.
        gap_limit: Relative gap at which the search ends as solved.
        objective_limit: Only solutions that are better than this value of the objective count.
        parameters: More SCIP parameters, by their names; they win over the preset.
    """

    preset: str = "gasse"
    node_selection: str = "estimate"
    seed: int | None = None
    node_limit: int | None = None
    decision_limit: int | None = None
    time_limit: float = math.inf
    watchdog: float = math.inf
    gap_limit: float = 0.0
    objective_limit: float | None = None
    parameters: Mapping[str, bool | int | float | str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse names that do not exist and limits that nothing could meet."""
        if self.preset not in PRESETS:
            raise ConfigError(unknown_name("preset", self.preset, PRESETS, where="in settings"))
        if self.node_selection not in NODE_SELECTIONS:
            raise ConfigError(unknown_name("node selection", self.node_selection, NODE_SELECTIONS))
        for name in ("node_limit", "decision_limit"):
            limit = getattr(self, name)
            if limit is not None and limit < 1:
                raise ConfigError(f"{name} is {limit!r}; it must be at least 1, or None.")
        for name in ("time_limit", "watchdog"):
            if not getattr(self, name) > 0:
                raise ConfigError(f"{name} is {getattr(self, name)!r}; it must be above 0 seconds.")
        if not 0 <= self.gap_limit < math.inf:
            raise ConfigError(f"gap_limit is {self.gap_limit!r}; it must be finite, 0 or more.")
        for name in _ALWAYS:
            if name in self.parameters:
                raise ConfigError(
                    f"parameters: {name} is always {_ALWAYS[name]!r}, a search that asks needs it. "
                    "Leave it out."
                )

    def apply(self, model: Model) -> None:
        """Set all of this on `model`, whose problem is built and not yet transformed.

        Raises:
            ConfigError: A name in `parameters` is not one of SCIP's, or its value does not fit.
        """
        model.hideOutput()
        if self.preset in _WITHOUT_HEURISTICS:
            model.setHeuristics(PY_SCIP_PARAMSETTING.OFF)
        model.setParams(dict(PRESETS[self.preset]))
        model.setParam(f"nodeselection/{self.node_selection}/stdpriority", _FIRST)
        model.setParams({**_seed_parameters(self.seed), **self._limits()})
        if self.objective_limit is not None:
            model.setObjlimit(self.objective_limit)
        for name, value in self.parameters.items():
            _set_parameter(model, name, value)
        model.setParams(_ALWAYS)

    def _limits(self) -> dict[str, float]:
        limits: dict[str, float] = {"limits/gap": self.gap_limit}
        if self.node_limit is not None:
            limits["limits/nodes"] = self.node_limit
        return limits


def _seed_parameters(seed: int | None) -> dict[str, bool | int | float | str]:
    if seed is None:
        return {}
    seed %= _SEEDS
    return {
        "randomization/permutevars": True,
        "randomization/permuteconss": True,
        "randomization/permutationseed": seed,
        "randomization/randomseedshift": seed,
        "randomization/lpseed": seed,
    }


def _set_parameter(model: Model, name: str, value: bool | int | float | str) -> None:
    known = model.getParams()
    if name not in known:
        near = difflib.get_close_matches(name, known, n=5)
        hint = f" Did you mean {', '.join(map(repr, near))}?" if near else ""
        raise ConfigError(f"SCIP has no parameter {name!r}.{hint}")
    try:
        model.setParam(name, value)
    except Exception as error:
        raise ConfigError(f"SCIP refuses {value!r} for its parameter {name!r}.") from error
