"""Trajectories as they are kept, and the arithmetic on them.

A trajectory keeps each decision's graph once. What led to a decision are pointers to the decisions
at its tree ancestors, which need not be the ones made just before it. So L decisions take O(L).

- `Trajectory`: the decisions of one search.
- `ancestors`, `root_paths`, `children`, `n_step_sums`, `own_costs`: the arithmetic.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rewardloom.baselines.branching.revived.graphs import Graph
from rewardloom.envs.branching.tree import TreeTable

__all__ = ["Trajectory", "ancestors", "children", "n_step_sums", "own_costs", "root_paths"]

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


def ancestors(node: Sequence[int], parent: Sequence[int]) -> Ints:
    """Return for each decision the last one before it at its node's parent, (L,); -1 if none.

    Args:
        node: Node of each decision, in the order of the search.
        parent: Number of its parent.
    """
    last: dict[int, int] = {}
    found = np.full(len(node), -1, np.int64)
    for index, (own, above) in enumerate(zip(node, parent, strict=True)):
        found[index] = last.get(above, -1)
        last[own] = index
    return found


def root_paths(ancestor: Ints, length: int) -> tuple[Ints, Ints]:
    """Return the last `length` ancestors of each decision and their number.

    Args:
        ancestor: (L,) what `ancestors` returned.
        length: K.

    Returns:
        (L, K) indices of decisions, the one nearest to the root first, then -1; and (L,) counts.
    """
    upwards = np.full((len(ancestor), length), -1, np.int64)
    current = ancestor
    for k in range(length):
        upwards[:, k] = current
        current = np.where(current >= 0, ancestor[current], -1)
    count = (upwards >= 0).sum(1)
    place = count[:, None] - 1 - np.arange(length)
    return np.where(place >= 0, np.take_along_axis(upwards, place % length, 1), -1), count


def children(node: Sequence[int], parent: Sequence[int]) -> Ints:
    """Return for each decision the last decision at each child of its node, (L, C); then -1.

    Args:
        node: Node of each decision, in the order of the search.
        parent: Number of its parent.
    """
    last = {own: index for index, own in enumerate(node)}
    above = dict(zip(node, parent, strict=True))
    below: dict[int, list[int]] = {}
    for own, index in last.items():
        below.setdefault(above[own], []).append(index)
    most = max(1, max((len(below.get(own, ())) for own in last), default=1))
    found = np.full((len(node), most), -1, np.int64)
    for index, own in enumerate(node):
        own_children = below.get(own, [])
        found[index, : len(own_children)] = own_children
    return found


def own_costs(node: Ints, tree: TreeTable) -> Floats:
    """Return minus the processed nodes that belong to each decision alone, (L,).

    These are its own node and those of its processed children where nothing was decided. A tree
    in which every branching was a decision at another node has minus their sum of nodes.

    Args:
        node: (L,) node of each decision.
        tree: The processed nodes.
    """
    leaves = tree.parent[~np.isin(tree.node, node)]
    ordered = np.sort(leaves)
    counts = np.searchsorted(ordered, node, "right") - np.searchsorted(ordered, node, "left")
    return -1.0 - counts.astype(np.float64)


def n_step_sums(reward: Floats, steps: int, gamma: float) -> Floats:
    """Return sum_{i < steps} gamma^i r_{t + i} of each step, (L,); r is 0 past the end."""
    padded = np.concatenate([reward, np.zeros(steps - 1)])
    windows = np.lib.stride_tricks.sliding_window_view(padded, steps)
    return windows @ gamma ** np.arange(steps)


@dataclass(frozen=True, eq=False)
class Trajectory:
    """The L decisions of one search.

    Attributes:
        graphs: L graphs.
        action: (L,) index of the choice among the candidates.
        node, parent, depth, side: (L,) as `Decision` has them.
        bound: (L,) the nodes' lower bounds.
        dual_bound: (L,) the search's lower bound at each decision.
        reward: (L,) what the learner is paid.
    """

    graphs: list[Graph]
    action: Ints
    node: Ints
    parent: Ints
    depth: Ints
    side: Ints
    bound: Floats
    dual_bound: Floats
    reward: Floats

    def __len__(self) -> int:
        """Return the number of decisions."""
        return len(self.graphs)

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays, shared ones counted once."""
        structures = {id(graph.structure): graph.structure for graph in self.graphs}
        own = sum(sum(array.nbytes for array in graph[:5]) for graph in self.graphs)
        columns = (self.action, self.node, self.parent, self.depth, self.side)
        numbers = (*columns, self.bound, self.dual_bound, self.reward)
        shared = sum(structure.nbytes for structure in structures.values())
        return own + shared + sum(array.nbytes for array in numbers)
