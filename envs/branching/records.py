"""What a search tells: the decision that it waits for, and how it ended.

- `Decision`: a node where SCIP asks which variable to branch on.
- `SearchResult`: the numbers of a search that has ended.
- `EpisodeRecord`: an episode of a branching world.
- `Scale`: from SCIP's internal bounds to the problem's own.
- `read_decision`, `read_result`: read them off a model.
- `check_choice`: refuses an answer that is not a candidate.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from gymnasium.error import InvalidAction
from pyscipopt import Model

from rewardloom.envs.branching.tree import TreeTable, branching_of

__all__ = [
    "Decision",
    "EpisodeRecord",
    "Scale",
    "SearchResult",
    "check_choice",
    "read_decision",
    "read_result",
]

_INFINITY = 1e20
_SOLVED = ("optimal", "infeasible", "unbounded", "inforunbd", "gaplimit")


@dataclass(frozen=True, eq=False)
class Decision:
    """A node whose LP solution is fractional, where SCIP asks for a variable to branch on.

    All bounds are in the sense of minimization: a maximization problem's sign is turned.

    Attributes:
        node: SCIP's number of the node; the root's is 1.
        parent: Number of its parent; 0 for the root.
        depth: Branchings above the node.
        side: -1 in the child with the lowered upper bound, +1 in the other, 0 at the root.
        candidates: Positions of the candidates among the LP's columns, int32 (K,), K >= 1.
        values: Their values in the LP solution, float64 (K,).
        fractions: `values - floor(values)` as SCIP has it, float64 (K,).
        lower_bound: The node's lower bound.
        dual_bound: The whole search's lower bound.
        primal_bound: Objective of the best solution so far, or the objective limit if that is
            better; inf without either.
        nodes: Nodes that SCIP has processed, this one included.
        lp_iterations: LP iterations so far.
        solver_seconds: Seconds that SCIP has worked; the agent's time does not count.
        variables: SCIP's variables of the candidates, K of them. They die with the search.
        observation: What `observe` returned at this node, None without it.
    """

    node: int
    parent: int
    depth: int
    side: int
    candidates: npt.NDArray[np.int32]
    values: npt.NDArray[np.float64]
    fractions: npt.NDArray[np.float64]
    lower_bound: float
    dual_bound: float
    primal_bound: float
    nodes: int
    lp_iterations: int
    solver_seconds: float
    variables: tuple[Any, ...] = field(repr=False)
    observation: Any = field(default=None, repr=False)

    def __len__(self) -> int:
        """Return the number of candidates."""
        return len(self.candidates)


@dataclass(frozen=True, eq=False)
class SearchResult:
    """How a search ended.

    Attributes:
        status: SCIP's status, or `decisionlimit`, `timelimit`, `watchdog` or `userinterrupt` (the
            search was given up) where the search was stopped from outside.
        nodes: Nodes that were processed.
        lp_iterations: LP iterations of the whole search.
        lps: LPs that were solved.
        primal_bound: Best objective in the problem's own sense; infinite without a solution.
        dual_bound: Bound on the objective in the problem's own sense.
        gap: SCIP's relative gap.
        solver_seconds: Seconds that SCIP has worked; the agent's time does not count.
        decisions: How often SCIP asked.
        unasked: Branchings that SCIP made by itself because there was no fractional LP solution.
        sense: "minimize" or "maximize", the problem's own.
        tree: The processed nodes.
    """

    status: str
    nodes: int
    lp_iterations: int
    lps: int
    primal_bound: float
    dual_bound: float
    gap: float
    solver_seconds: float
    decisions: int
    unasked: int
    sense: str
    tree: TreeTable = field(repr=False)

    @property
    def solved(self) -> bool:
        """Whether the search ran to its end, and was not stopped by a limit or from outside."""
        return self.status in _SOLVED

    @property
    def minimized_bounds(self) -> tuple[float, float]:
        """Dual and primal bound in the sense of minimization, as a `Decision` has them."""
        sign = -1.0 if self.sense == "maximize" else 1.0
        return sign * self.dual_bound, sign * self.primal_bound


class EpisodeRecord(NamedTuple):
    """A finished episode.

    Attributes:
        steps: Decisions that the agent made.
        status: How it ended, as in `info["status"]`; "cut_off" if by `reset()`.
        result: SCIP's numbers and the search tree.
        instance: Name of the instance.
        instance_seed: Seed of the generator or number of the file; -1 if given in the options.
        solver_seed: SCIP's seed.
        metrics: As in `info["episode_metrics"]`.
    """

    steps: int
    status: str
    result: SearchResult
    instance: str
    instance_seed: int
    solver_seed: int
    metrics: dict[str, float]


class Scale(NamedTuple):
    """From the bounds of SCIP's transformed problem to the problem's own, as minimization."""

    factor: float
    offset: float

    @classmethod
    def of(cls, model: Model) -> Scale:
        """Read the scale of a problem whose root LP has been solved.

        SCIP's external value is factor * (internal + inner offset) + outer offset; it tells the
        offsets and, through any bound that it gives in both forms, the factor.
        """
        sign = _sign(model)
        inner, outer = model.getObjoffset(original=False), sign * model.getObjoffset()
        pairs = (
            (model.getLowerboundRoot(), model.getDualboundRoot()),
            (model.getLowerbound(), model.getDualbound()),
            (model.getUpperbound(), model.getPrimalbound()),
        )
        for internal, external in pairs:
            if abs(internal) < _INFINITY and abs(internal + inner) > 1e-6:
                factor = (sign * external - outer) / (internal + inner)
                return cls(factor, factor * inner + outer)
        return cls(1.0, inner + outer)


def _sign(model: Model) -> float:
    return -1.0 if model.getObjectiveSense() == "maximize" else 1.0


def _finite(value: float) -> float:
    return float(np.copysign(np.inf, value)) if abs(value) >= _INFINITY else value


def _best_objective(model: Model) -> float:
    """Return SCIP's primal bound, which without a solution may be no more than the limit."""
    bound = _finite(model.getPrimalbound())
    return bound if model.getNSols() > 0 or np.isinf(bound) else _sign(model) * np.inf


def _bounds(model: Model) -> tuple[float, float]:
    """Return dual and primal bound in the sense of minimization, infinite where there is none."""
    sign = _sign(model)
    return _finite(sign * model.getDualbound()), _finite(sign * model.getPrimalbound())


def read_decision(model: Model, scale: Scale, solver_seconds: float, observation: Any) -> Decision:
    """Read the focus node of `model`, inside a branching callback."""
    variables, values, fractions, _, priority, _ = model.getLPBranchCands()
    variables = variables[:priority]
    node = model.getCurrentNode()
    assert node is not None
    parent = node.getParent()
    dual_bound, primal_bound = _bounds(model)
    positions = (variable.getCol().getLPPos() for variable in variables)
    return Decision(
        node=node.getNumber(),
        parent=0 if parent is None else parent.getNumber(),
        depth=node.getDepth(),
        side=branching_of(node)[1],
        candidates=np.fromiter(positions, np.int32, priority),
        values=np.array(values[:priority]),
        fractions=np.array(fractions[:priority]),
        lower_bound=_finite(scale.factor * node.getLowerbound() + scale.offset),
        dual_bound=dual_bound,
        primal_bound=primal_bound,
        nodes=model.getNNodes(),
        lp_iterations=model.getNLPIterations(),
        solver_seconds=solver_seconds,
        variables=tuple(variables),
        observation=observation,
    )


def read_result(
    model: Model,
    *,
    stop: str | None,
    solver_seconds: float,
    decisions: int,
    unasked: int,
    tree: TreeTable,
) -> SearchResult:
    """Read how the search of `model` ended; `stop` says why it was interrupted, if it was."""
    status = model.getStatus()
    return SearchResult(
        status=stop if stop is not None and status == "userinterrupt" else status,
        nodes=model.getNNodes(),
        lp_iterations=model.getNLPIterations(),
        lps=model.getNLPs(),
        primal_bound=_best_objective(model),
        dual_bound=_finite(model.getDualbound()),
        gap=_finite(model.getGap()),
        solver_seconds=solver_seconds,
        decisions=decisions,
        unasked=unasked,
        sense=model.getObjectiveSense(),
        tree=tree,
    )


def check_choice(choice: int | np.integer[Any] | None, decision: Decision) -> int | None:
    """Return the choice as an index of `decision.candidates`, or None for SCIP's own rule.

    Raises:
        InvalidAction: It is not an integer from 0 to K - 1.
    """
    if choice is None:
        return None
    is_index = isinstance(choice, (int, np.integer)) and not isinstance(choice, bool)
    if not is_index or not 0 <= choice < len(decision):
        raise InvalidAction(
            f"{choice!r} is not a candidate of node {decision.node}: give an index from 0 to "
            f"{len(decision) - 1}, or None for SCIP's own rule."
        )
    return int(choice)
