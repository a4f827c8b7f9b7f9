"""Search trees and decisions made by hand, for the tests of layouts and pictures."""

import numpy as np

from rewardloom.envs.branching.records import Decision
from rewardloom.envs.branching.tree import BRANCHED, CUT_OFF, FEASIBLE, TreeTable


def table(rows, branched=None):
    """Return a table of rows (node, parent, side, outcome, name or None, lower bound).

    `branched` has {node: (variable, split)}; what it does not name, the name of a node's last child
    tells, split at 0.
    """
    branched = {row[1]: (row[4], 0) for row in rows if row[4]} | (branched or {})
    row_of = {row[0]: index for index, row in enumerate(rows)}
    names = list(dict.fromkeys(name for name, _ in branched.values()))
    ways = [branched.get(row[0], (None, np.nan)) for row in rows]
    parent_row = [row_of.get(row[1], -1) for row in rows]
    depth, size = [], [1] * len(rows)
    for above in parent_row:
        depth.append(depth[above] + 1 if above >= 0 else 0)
    for index in range(len(rows) - 1, 0, -1):
        size[parent_row[index]] += size[index]
    return TreeTable(
        node=np.array([row[0] for row in rows], np.int64),
        parent=np.array([row[1] for row in rows], np.int64),
        parent_row=np.array(parent_row, np.int64),
        depth=np.array(depth, np.int32),
        side=np.array([row[2] for row in rows], np.int8),
        outcome=np.array([row[3] for row in rows], np.int8),
        variable=np.array([names.index(r[4]) if r[4] else -1 for r in rows], np.int32),
        branching=np.array([names.index(name) if name else -1 for name, _ in ways], np.int32),
        split=np.array([split for _, split in ways], np.float64),
        lower_bound=np.array([row[5] for row in rows], np.float64),
        subtree_size=np.array(size, np.int64),
        names=tuple(names),
    )


def random_table(rng, nodes):
    """Return a random binary tree of at most `nodes` processed nodes; some children are left."""
    rows, waiting = [], [(1, 0, 0, None, 0.0)]
    while waiting and len(rows) < nodes:
        node, parent, side, name, bound = waiting.pop(int(rng.integers(len(waiting))))
        outcome = int(rng.choice([BRANCHED, FEASIBLE, CUT_OFF], p=[0.7, 0.1, 0.2]))
        rows.append((node, parent, side, outcome, name, np.inf if outcome == CUT_OFF else bound))
        if outcome == BRANCHED:
            name, gain = f"x{rng.integers(9)}", rng.random()
            waiting += [(2 * node + (way > 0), node, way, name, bound + gain) for way in (-1, 1)]
    return table(rows)


def decision(node, parent, depth, side, lower_bound, candidates=2):
    """Return a decision that waits at a node."""
    return Decision(
        node=node,
        parent=parent,
        depth=depth,
        side=side,
        candidates=np.arange(candidates, dtype=np.int32),
        values=np.full(candidates, 0.5),
        fractions=np.full(candidates, 0.5),
        lower_bound=lower_bound,
        dual_bound=lower_bound,
        primal_bound=np.inf,
        nodes=node,
        lp_iterations=0,
        solver_seconds=0.0,
        variables=(None,) * candidates,
    )
