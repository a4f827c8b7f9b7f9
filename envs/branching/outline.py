"""A search tree in numbers: counts, bounds, the path to the waiting node, the last nodes.

- `tree_text`: all of it as lines of text.
- `counts_line`, `waiting_line`: lines for a caption.
- `number`: a bound in few digits.
"""

from __future__ import annotations

import numpy as np

from rewardloom.envs.branching.layout import UNPROCESSED, WAITING, TreeLayout, lay_out
from rewardloom.envs.branching.records import Decision
from rewardloom.envs.branching.tree import BRANCHED, CUT_OFF, FEASIBLE, TreeTable

__all__ = ["counts_line", "number", "tree_text", "waiting_line"]

_WORDS = {
    BRANCHED: "branched",
    FEASIBLE: "feasible",
    CUT_OFF: "cut off",
    WAITING: "waiting",
    UNPROCESSED: "not processed",
}
_SIDES = {-1: "<=", 1: ">="}
_LAST = 8
_PATH = 12


def number(value: float) -> str:
    """Return a bound with six digits at most."""
    return f"{value:.6g}"


def counts_line(table: TreeTable, current: Decision | None = None) -> str:
    """Return how many nodes there are, of each outcome, and how deep.

    Args:
        table: The nodes that are done.
        current: The decision that waits; its node is counted apart, so that both together are
            `current.nodes`.
    """
    counts = np.bincount(table.outcome, minlength=3)
    parts = ", ".join(f"{counts[outcome]} {_WORDS[outcome]}" for outcome in range(3))
    deepest = int(table.depth.max(initial=0))
    nodes = f"{len(table)} node{'' if len(table) == 1 else 's'}"
    if current is None:
        return f"{nodes}: {parts}; deepest {deepest}"
    if not len(table):
        return f"{nodes} done, 1 waiting"
    return f"{nodes} done ({parts}), 1 waiting; deepest {deepest}"


def waiting_line(current: Decision) -> str:
    """Return which node waits, how deep it is and between how many candidates."""
    plural = "" if len(current) == 1 else "s"
    return (
        f"node {current.node} waits at depth {current.depth}, {len(current)} candidate{plural}, "
        f"lower bound {number(current.lower_bound)}"
    )


def tree_text(table: TreeTable, *, current: Decision | None = None, heading: str = "") -> str:
    """Describe a search tree.

    Args:
        table: The processed nodes.
        current: The decision that waits.
        heading: First line; left out if empty.

    Returns:
        Lines without color codes, no longer than 80 characters unless names are long.

    Raises:
        ConfigError: `current` is of another search.
    """
    layout = lay_out(table, current)
    lines = [heading] if heading else []
    lines += [counts_line(table, current), _bounds_line(table, current)]
    if current is not None:
        lines += ["", f"{waiting_line(current)}; the path:"]
        lines += _rows(layout, table, current, layout.path(layout.waiting), most=_PATH)
    if len(table):
        lines += ["", "last nodes:"]
        rows = list(range(max(len(table) - _LAST, 0), len(table)))
        lines += _rows(layout, table, current, rows, most=_LAST)
    return "\n".join(lines)


def _bounds_line(table: TreeTable, current: Decision | None) -> str:
    if current is not None:
        return f"dual bound {number(current.dual_bound)}, primal {number(current.primal_bound)}"
    feasible = table.lower_bound[table.outcome == FEASIBLE]
    return f"best feasible node {number(float(feasible.min(initial=np.inf)))}"


def _rows(
    layout: TreeLayout, table: TreeTable, current: Decision | None, rows: list[int], most: int
) -> list[str]:
    """Return a small table of nodes, with the middle left out where there are more than `most`."""
    lines = [_row(layout, table, current, row) for row in rows]
    if len(lines) > most:
        hidden = len(lines) - most
        lines[2 : 2 + hidden] = [f"{'...':>8}  {hidden} more"]
    return [f"{'node':>8} {'depth':>6}  {'branching':<16} {'bound':>12}  outcome", *lines]


def _row(layout: TreeLayout, table: TreeTable, current: Decision | None, row: int) -> str:
    node = int(table.node[row]) if row < len(table) or current is None else current.node
    branching = _branching(layout, row)
    depth, bound = int(layout.depth[row]), number(float(layout.lower_bound[row]))
    outcome = _WORDS[int(layout.kind[row])]
    return f"{node:>8} {depth:>6}  {branching:<16} {bound:>12}  {outcome}"


def _branching(layout: TreeLayout, row: int) -> str:
    """Return the bound that made a node; "-" without one, "?" where the variable is unknown."""
    side, parent = int(layout.side[row]), int(layout.parent_row[row])
    if not side:
        return "-"
    variable = int(layout.branching[parent])
    if variable < 0:
        return f"? {_SIDES[side]}"
    return f"{layout.names[variable]} {_SIDES[side]} {layout.split[parent] + (side > 0):.15g}"
