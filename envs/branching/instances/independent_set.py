"""Independent sets: the most nodes of a graph of which no two are neighbors."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np

from rewardloom.envs.branching.instances.checks import require_int, require_real
from rewardloom.envs.branching.instances.instance import MilpInstance, csr_from_pairs
from rewardloom.errors import ConfigError, unknown_name

__all__ = ["Graph", "clique_partition", "independent_set"]

Graph = Literal["barabasi_albert", "erdos_renyi"]


def independent_set(
    rng: np.random.Generator,
    *,
    num_nodes: int,
    graph: Graph = "barabasi_albert",
    affinity: int = 4,
    edge_probability: float = 0.25,
) -> MilpInstance:
    """Draw a maximum independent set program on a random graph, after Bergman et al. (2016).

    Maximize `sum(x)`, `x` binary with one variable a node. The nodes are split greedily into
    cliques; rows are `sum of a clique <= 1` for the cliques of two nodes or more, then
    `x_u + x_v <= 1` for the edges that lie in no clique. A node without neighbors is in no row.

    Args:
        rng: Where every random number comes from.
        num_nodes: Nodes, at least 2.
        graph: `barabasi_albert` (every new node is tied to `affinity` distinct older ones,
            preferring those with many neighbors) or `erdos_renyi` (every edge by itself).
        affinity: Edges of each new node, 1 to num_nodes - 1.
        edge_probability: Chance of each edge in (0, 1].

    Raises:
        ConfigError: A size out of range, or an unknown kind of graph.
    """
    require_int("num_nodes", num_nodes, 2)
    require_int("affinity", affinity, 1)
    require_real("edge_probability", edge_probability, 0.0, 1.0)
    if graph == "barabasi_albert":
        if affinity >= num_nodes:
            raise ConfigError(f"affinity={affinity} must be below num_nodes={num_nodes}.")
        adjacent = _preferential_attachment(rng, num_nodes, affinity)
    elif graph == "erdos_renyi":
        upper = np.triu(rng.random((num_nodes, num_nodes)) < edge_probability, k=1)
        adjacent = upper | upper.T
    else:
        raise ConfigError(unknown_name("kind of graph", graph, get_args(Graph)))
    return _program(adjacent)


def clique_partition(adjacent: np.ndarray) -> np.ndarray:
    """Split the nodes into cliques; return the clique number of each node, (num_nodes,).

    Greedy: the node with the most neighbors among those left opens a clique, which grows by its
    common neighbor with the most neighbors until there is none. Ties go to the lowest number.

    Args:
        adjacent: (num_nodes, num_nodes) bool, symmetric, False on the diagonal.
    """
    degree = adjacent.sum(axis=1)
    clique = np.full(len(adjacent), -1)
    left = np.ones(len(adjacent), dtype=bool)
    number = 0
    while left.any():
        fits = left.copy()
        while fits.any():
            node = int(np.argmax(np.where(fits, degree, -1)))
            clique[node] = number
            left[node] = False
            fits &= adjacent[node]
        number += 1
    return clique


def _preferential_attachment(rng: np.random.Generator, num_nodes: int, affinity: int) -> np.ndarray:
    """Return the adjacency of a graph with (num_nodes - affinity) * affinity edges."""
    adjacent = np.zeros((num_nodes, num_nodes), dtype=bool)
    adjacent[affinity, :affinity] = adjacent[:affinity, affinity] = True
    degree = adjacent.sum(axis=1)
    for node in range(affinity + 1, num_nodes):
        # The largest of u ** (1 / weight) are a draw without replacement, one by one by weight.
        keys = np.log(rng.random(node)) / degree[:node]
        older = np.argpartition(keys, node - affinity)[node - affinity :]
        adjacent[node, older] = adjacent[older, node] = True
        degree[older] += 1
        degree[node] = affinity
    return adjacent


def _program(adjacent: np.ndarray) -> MilpInstance:
    num_nodes = len(adjacent)
    clique = clique_partition(adjacent)
    shared = np.bincount(clique)[clique] > 1
    names, clique_rows = np.unique(clique[shared], return_inverse=True)
    tails, heads = np.nonzero(np.triu(adjacent) & (clique[:, None] != clique[None, :]))
    edge_rows = len(names) + np.arange(len(tails))
    rows = np.concatenate((clique_rows, edge_rows, edge_rows))
    columns = np.concatenate((np.flatnonzero(shared), tails, heads))
    num_rows = len(names) + len(tails)
    _, indices, indptr = csr_from_pairs(rows, columns, num_rows)
    return MilpInstance(
        objective=np.ones(num_nodes),
        data=np.ones(len(indices)),
        indices=indices,
        indptr=indptr,
        lhs=np.full(num_rows, -np.inf),
        rhs=np.ones(num_rows),
        lower=np.zeros(num_nodes),
        upper=np.ones(num_nodes),
        is_integer=np.ones(num_nodes, dtype=bool),
        sense="maximize",
        name=f"independent_set_{num_nodes}",
    )
