"""The search tree as a table that grows while SCIP searches.

- `TreeRecorder`: the event handler that adds a row for every node that SCIP has processed.
- `TreeTable`: the rows as arrays, with parents' rows and subtree sizes.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from pyscipopt import Eventhdlr
from pyscipopt.scip import PY_SCIP_EVENTTYPE

__all__ = ["BRANCHED", "CUT_OFF", "FEASIBLE", "TreeRecorder", "TreeTable", "branching_of"]

BRANCHED, FEASIBLE, CUT_OFF = 0, 1, 2
"""What became of a node: it has children, its relaxation was feasible, or it was cut off."""

_OUTCOMES = {
    PY_SCIP_EVENTTYPE.NODEBRANCHED: BRANCHED,
    PY_SCIP_EVENTTYPE.NODEFEASIBLE: FEASIBLE,
    PY_SCIP_EVENTTYPE.NODEINFEASIBLE: CUT_OFF,
}
_INFINITY = 1e20
_UPPER_BOUND = 1  # SCIP_BOUNDTYPE_UPPER: the branching lowered an upper bound

_ROW = np.dtype(
    [
        ("node", np.int64),
        ("parent", np.int64),
        ("depth", np.int32),
        ("side", np.int8),
        ("outcome", np.int8),
        ("variable", np.int32),
        ("branching", np.int32),
        ("split", np.float64),
        ("lower_bound", np.float64),
    ]
)


@dataclass(frozen=True, eq=False)
class TreeTable:
    """The processed nodes of one search, in the order in which SCIP processed them.

    All arrays have shape (N,). Children that SCIP discarded without processing them have no row.

    Attributes:
        node: SCIP's node number, int64; the root's is 1.
        parent: Number of the node's parent, int64; 0 for the root.
        parent_row: Row of the parent in this table, int64; -1 for the root.
        depth: Branchings above the node, int32.
        side: -1 where the branching lowered the variable's upper bound, +1 where it raised the
            lower bound, 0 for the root and for branchings that are not on one variable; int8.
        outcome: `BRANCHED`, `FEASIBLE` or `CUT_OFF`, int8.
        variable: Index in `names` of the variable whose branching made the node, int32; -1 if none.
        branching: Index in `names` of the variable on which the node itself was branched, int32; -1
            where it was not branched on one variable, or by SCIP's own rule and no child of it has
            been reached.
        split: The children of the node have that variable <= split and >= split + 1, float64; NaN
            where `branching` is -1.
        lower_bound: Lower bound of the node when it was done with, in the sense of minimization
            (a maximization problem's sign is turned); inf for an infeasible node.
        subtree_size: Processed nodes in the subtree below and with the node, int64.
        names: Names of the variables that were branched on.
    """

    node: npt.NDArray[np.int64]
    parent: npt.NDArray[np.int64]
    parent_row: npt.NDArray[np.int64]
    depth: npt.NDArray[np.int32]
    side: npt.NDArray[np.int8]
    outcome: npt.NDArray[np.int8]
    variable: npt.NDArray[np.int32]
    branching: npt.NDArray[np.int32]
    split: npt.NDArray[np.float64]
    lower_bound: npt.NDArray[np.float64]
    subtree_size: npt.NDArray[np.int64]
    names: tuple[str, ...]

    def __len__(self) -> int:
        """Return the number of processed nodes."""
        return len(self.node)


class TreeRecorder(Eventhdlr):
    """Adds a row for every node that SCIP is done with.

    Args:
        on_error: Receives what goes wrong in the handler; SCIP would swallow it.
    """

    def __init__(self, on_error: Callable[[BaseException], None]):
        self._on_error = on_error
        self._rows = np.zeros(64, dtype=_ROW)
        self._count = 0
        self._row_of: dict[int, int] = {}
        self._names: dict[str, int] = {}
        self._chosen = (0, -1, math.nan)

    def eventinit(self) -> None:
        """Ask SCIP for the three events that end a node."""
        for kind in _OUTCOMES:
            self.model.catchEvent(kind, self)

    def eventexec(self, event: Any) -> None:
        """Record the node of `event`."""
        try:
            self._record(event.getNode(), _OUTCOMES[event.getType()])
        except BaseException as error:
            self._on_error(error)

    def branch(self, node: int, variable: str, value: float) -> None:
        """Keep what the focus node is being branched on; its row comes when SCIP has done so.

        Args:
            node: Its number.
            variable: Name of the variable.
            value: The variable's value in the LP solution.
        """
        self._chosen = (node, self._index(variable), float(math.floor(value)))

    def reach(self, node: Any) -> None:
        """Read off a node, before it has a row, what its parent was branched on."""
        self._tell_parent(node, *branching_of(node))

    def _tell_parent(self, node: Any, name: str | None, side: int, bound: float) -> None:
        above = None if name is None else self._row_of.get(node.getParent().getNumber())
        if name is not None and above is not None:
            row = self._rows[above]
            row["branching"] = self._index(name)
            row["split"] = bound - (side > 0)

    def _index(self, variable: str) -> int:
        return self._names.setdefault(variable, len(self._names))

    def _record(self, node: Any, outcome: int) -> None:
        if self._count == len(self._rows):
            self._rows = np.concatenate([self._rows, np.zeros_like(self._rows)])
        number, parent = node.getNumber(), node.getParent()
        name, side, bound = branching_of(node)
        self._tell_parent(node, name, side, bound)
        chosen, branching, split = self._chosen
        if number != chosen or outcome != BRANCHED:
            branching, split = -1, math.nan
        self._rows[self._count] = (
            number,
            0 if parent is None else parent.getNumber(),
            node.getDepth(),
            side,
            outcome,
            -1 if name is None else self._index(name),
            branching,
            split,
            node.getLowerbound(),
        )
        self._row_of[number] = self._count
        self._count += 1

    def path(self, node: int) -> list[int]:
        """Return the numbers of the nodes from the root to `node`, both included.

        Args:
            node: Number of a node that has been processed; 0 gives the empty path.
        """
        numbers: list[int] = []
        while node:
            numbers.append(node)
            node = int(self._rows["parent"][self._row_of[node]])
        return numbers[::-1]

    def table(self, scale: float = 1.0, offset: float = 0.0) -> TreeTable:
        """Return the rows so far as arrays of their own.

        Args:
            scale: Factor from SCIP's internal bounds to those of the problem.
            offset: What is added after scaling.
        """
        rows = self._rows[: self._count].copy()
        row_of = self._row_of
        parents = rows["parent"]
        parent_row = np.fromiter((row_of.get(p, -1) for p in parents.tolist()), np.int64, len(rows))
        bounds = rows["lower_bound"]
        return TreeTable(
            node=rows["node"],
            parent=parents,
            parent_row=parent_row,
            depth=rows["depth"],
            side=rows["side"],
            outcome=rows["outcome"],
            variable=rows["variable"],
            branching=rows["branching"],
            split=rows["split"],
            lower_bound=np.where(bounds >= _INFINITY, np.inf, scale * bounds + offset),
            subtree_size=_subtree_sizes(parent_row, rows["depth"]),
            names=tuple(self._names),
        )


def branching_of(node: Any) -> tuple[str | None, int, float]:
    """Return what made `node`: the variable's name, the side (-1, 0, +1) and its new bound."""
    branchings = node.getParentBranchings()
    if branchings is None:
        return None, 0, math.nan
    variables, bounds, kinds = branchings
    side = -1 if kinds[0] == _UPPER_BOUND else 1
    return variables[0].name.removeprefix("t_"), side, bounds[0]


def _subtree_sizes(
    parent_row: npt.NDArray[np.int64], depth: npt.NDArray[np.int32]
) -> npt.NDArray[np.int64]:
    """Add up processed nodes from the deepest level to the root."""
    sizes = np.ones(len(depth), dtype=np.int64)
    order = np.argsort(depth, kind="stable")
    levels = np.split(order, np.flatnonzero(np.diff(depth[order])) + 1)
    for level in reversed(levels[1:]):
        np.add.at(sizes, parent_row[level], sizes[level])
    return sizes
