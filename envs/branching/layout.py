"""Places for the nodes of a search tree.

- `TreeLayout`, `lay_out`: a column and a depth for every node, the waiting one and the children
  that have not been processed included.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from rewardloom.envs.branching.records import Decision
from rewardloom.envs.branching.tree import BRANCHED, TreeTable
from rewardloom.errors import ConfigError

__all__ = ["UNPROCESSED", "WAITING", "TreeLayout", "lay_out"]

WAITING, UNPROCESSED = 3, 4
"""Beside the outcomes of a `TreeTable`: the node of a decision, and a child without a row."""

_SIDES = (-1, 1)
Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class TreeLayout:
    """A tree with a place for every node.

    Arrays have shape (M,): first the table's rows, then the waiting node if it has no row, then
    the children that branchings made and that have no row.

    Attributes:
        x: Column, float64. Leaves have the columns 0, 1, 2, ... from left to right, every other
            node is in the middle between its first and its last child. Children with the lowered
            upper bound (side -1) are on the left.
        depth: Branchings above the node, int64.
        parent_row: Row of the parent, int64; -1 for the root.
        side: As in `TreeTable`, int64.
        kind: `BRANCHED`, `FEASIBLE`, `CUT_OFF`, `WAITING` or `UNPROCESSED`, int64.
        branching: Index in `names` of the variable on which the node itself was branched, int64;
            -1 if it was not or that is not known.
        split: As in `TreeTable`, float64.
        lower_bound: As minimization, float64; NaN for a child without a row.
        names: Names of the variables.
        leaves: Number of columns.
        waiting: Row of the waiting node, -1 without one.
    """

    x: npt.NDArray[np.float64]
    depth: Integers
    parent_row: Integers
    side: Integers
    kind: Integers
    branching: Integers
    split: npt.NDArray[np.float64]
    lower_bound: npt.NDArray[np.float64]
    names: tuple[str, ...]
    leaves: int
    waiting: int

    def path(self, row: int) -> list[int]:
        """Return the rows from the root to `row`, both included; none for -1."""
        rows: list[int] = []
        while row >= 0:
            rows.append(row)
            row = int(self.parent_row[row])
        return rows[::-1]


def lay_out(table: TreeTable, current: Decision | None = None) -> TreeLayout:
    """Place the nodes of a tree; our formulation of the usual leaf order.

    Subtrees take as many columns as they have leaves, so that no two nodes of a depth are less than
    a column apart and edges do not cross.

    Args:
        table: The processed nodes.
        current: The decision that waits, whose node has no row yet.

    Raises:
        ConfigError: `current` belongs to another search.
    """
    nodes, waiting = _with_waiting(table, current)
    nodes = _with_unprocessed(nodes)
    parent_row, depth = nodes["parent_row"], nodes["depth"]
    order = np.lexsort((np.arange(len(depth)), nodes["side"], parent_row, depth))
    levels = np.split(order, np.flatnonzero(np.diff(depth[order])) + 1)[: len(order)]
    leaves = _leaf_counts(parent_row, levels)
    x = _columns(parent_row, levels, leaves)
    return TreeLayout(
        **nodes,
        x=x,
        names=table.names,
        leaves=int(leaves[parent_row < 0].sum()),
        waiting=waiting,
    )


def _with_waiting(
    table: TreeTable, current: Decision | None
) -> tuple[dict[str, npt.NDArray[Any]], int]:
    """Return the layout's arrays for the table and the decision's node, and that node's row."""
    nodes = {
        "parent_row": table.parent_row.astype(np.int64),
        "depth": table.depth.astype(np.int64),
        "side": table.side.astype(np.int64),
        "kind": table.outcome.astype(np.int64),
        "branching": table.branching.astype(np.int64),
        "split": table.split.astype(np.float64),
        "lower_bound": table.lower_bound.astype(np.float64),
    }
    if current is None:
        return nodes, -1
    known = np.flatnonzero(table.node == current.node)
    if len(known):
        return nodes, int(known[0])
    above = np.flatnonzero(table.node == current.parent)
    if current.parent and not len(above):
        raise ConfigError(
            f"The decision is at a child of node {current.parent}, which the tree does not have: "
            "give a decision and a tree of the same search."
        )
    parent = int(above[0]) if len(above) else -1
    row = {
        "parent_row": parent,
        "depth": current.depth,
        "side": current.side,
        "kind": WAITING,
        "branching": -1,
        "split": np.nan,
        "lower_bound": current.lower_bound,
    }
    return {name: np.append(nodes[name], row[name]) for name in nodes}, len(table)


def _with_unprocessed(nodes: dict[str, npt.NDArray[Any]]) -> dict[str, npt.NDArray[Any]]:
    """Add a child on every side of a branched node that has none."""
    parent_row, side, kind = nodes["parent_row"], nodes["side"], nodes["kind"]
    below = np.flatnonzero(parent_row >= 0)
    other = np.zeros(len(kind), dtype=bool)
    other[parent_row[below[side[below] == 0]]] = True
    added = []
    for way in _SIDES:
        taken = other.copy()
        taken[parent_row[below[side[below] == way]]] = True
        parents = np.flatnonzero((kind == BRANCHED) & ~taken)
        added.append((parents, np.full(len(parents), way)))
    parents, ways = (np.concatenate(part) for part in zip(*added, strict=True))
    fresh = {
        "parent_row": parents,
        "depth": nodes["depth"][parents] + 1,
        "side": ways,
        "kind": np.full(len(parents), UNPROCESSED),
        "branching": np.full(len(parents), -1),
        "split": np.full(len(parents), np.nan),
        "lower_bound": np.full(len(parents), np.nan),
    }
    return {name: np.concatenate([nodes[name], fresh[name]]) for name in nodes}


def _leaf_counts(parent_row: Integers, levels: list[Integers]) -> Integers:
    """Add up the leaves of subtrees, from the deepest level to the root."""
    counts = np.zeros(len(parent_row), dtype=np.int64)
    for level in reversed(levels):
        counts[level] = np.maximum(counts[level], 1)
        above = parent_row[level]
        np.add.at(counts, above[above >= 0], counts[level[above >= 0]])
    return counts


def _columns(
    parent_row: Integers, levels: list[Integers], leaves: Integers
) -> npt.NDArray[np.float64]:
    """Return the columns: subtrees beside each other, then parents above their children.

    Args:
        parent_row: Row of the parent, -1 for the root.
        levels: Rows by depth; siblings stand next to each other, from left to right.
        leaves: Leaves of every subtree.
    """
    start = np.zeros(len(parent_row), dtype=np.int64)
    for level in levels:
        above = parent_row[level]
        before = np.cumsum(leaves[level]) - leaves[level]
        first = np.flatnonzero(np.append(True, above[1:] != above[:-1]))
        offset = before - np.repeat(before[first], np.diff(np.append(first, len(level))))
        start[level] = np.where(above >= 0, start[above], 0) + offset
    x = start.astype(np.float64)
    for level in reversed(levels[1:]):
        above = parent_row[level]
        new = above[1:] != above[:-1]
        first, last = level[np.append(True, new)], level[np.append(new, True)]
        x[parent_row[first]] = (x[first] + x[last]) / 2
    return x
