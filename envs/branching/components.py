"""What a branching costs: the reward components of the branching worlds.

- `COMPONENTS`, `TERMINAL`, `OF_THE_OPTIMUM`, `SOLVER_TIME`: their names.
- `Costs`: turns what changed from decision to decision into components.

Every cost is negative, so that any of them can be the reward.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from rewardloom.envs.branching.bounds import relative_gap
from rewardloom.envs.branching.records import Decision, SearchResult

__all__ = ["COMPONENTS", "OF_THE_OPTIMUM", "SOLVER_TIME", "TERMINAL", "Costs"]

COMPONENTS = (
    "nodes",
    "lp_iterations",
    "primal_dual_integral",
    "tree_size",
    "log_tree_size",
    "solved",
)
"""Components of every branching world."""

TERMINAL = ("tree_size", "log_tree_size", "solved")
"""Those that mean something at the last step only."""

OF_THE_OPTIMUM = ("dual_integral", "primal_integral")
"""Components of worlds that know the optimum."""

SOLVER_TIME = "solver_time"
"""The component that is a clock: only there when it is the reward."""


class _State(NamedTuple):
    nodes: int
    lp_iterations: int
    solver_seconds: float

    @classmethod
    def of(cls, record: Decision | SearchResult) -> _State:
        return cls(record.nodes, record.lp_iterations, record.solver_seconds)


class Costs:
    """The components of one search, from its first decision on.

    With N nodes processed, a gap g and the change D of a count from one decision to the next:
    `nodes` is -D(N), `lp_iterations` -D(LP iterations), `solver_time` -D(seconds of SCIP's work),
    each integral -g D(N) with the gap before the step (a left Riemann sum over processed nodes; the
    gap between primal and dual bound, or between one of them and the optimum); at the end
    `tree_size` is -(N - N at the first decision), `log_tree_size` -log N, and `solved` 1 or 0.

    Args:
        first: The first decision.
        names: Components to give.
        optimum: Optimal objective in the sense of minimization, None if it is not known.
    """

    def __init__(self, first: Decision, names: tuple[str, ...], optimum: float | None = None):
        self._first = self._last = _State.of(first)
        self._names = names
        self._optimum = optimum
        self._gaps = self._gaps_at(first)

    @property
    def offset(self) -> dict[str, float]:
        """What the counts cost before the first decision, by component."""
        counts = self._counts(_State(0, 0, 0.0), self._first)
        return {name: counts[name] for name in self._names if name in counts}

    def update(
        self, record: Decision | SearchResult, *, over: bool, solved: bool
    ) -> dict[str, float]:
        """Return the components of the step that led to `record`.

        Args:
            record: The next decision, or how the search ended.
            over: Whether this step is the episode's last.
            solved: Whether the search ran to its end.
        """
        now = _State.of(record)
        values = self._counts(self._last, now)
        grown = float(now.nodes - self._last.nodes)
        values |= {name: -gap * grown for name, gap in self._gaps.items()}
        ends = (self._first.nodes - now.nodes, -math.log(now.nodes), solved) if over else (0, 0, 0)
        values |= {name: float(value) for name, value in zip(TERMINAL, ends, strict=True)}
        self._last = now
        if isinstance(record, Decision):
            self._gaps = self._gaps_at(record)
        return {name: values[name] + 0.0 for name in self._names}  # + 0.0: no negative zero

    def _counts(self, before: _State, after: _State) -> dict[str, float]:
        return {
            "nodes": float(before.nodes - after.nodes),
            "lp_iterations": float(before.lp_iterations - after.lp_iterations),
            SOLVER_TIME: before.solver_seconds - after.solver_seconds,
        }

    def _gaps_at(self, decision: Decision) -> dict[str, float]:
        gaps = {"primal_dual_integral": relative_gap(decision.primal_bound, decision.dual_bound)}
        if self._optimum is not None:
            gaps["dual_integral"] = relative_gap(self._optimum, decision.dual_bound)
            gaps["primal_integral"] = relative_gap(decision.primal_bound, self._optimum)
        return gaps
