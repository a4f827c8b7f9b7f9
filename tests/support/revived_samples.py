"""Small graphs and trajectories for the tests of the revived-trajectory learner."""

import numpy as np

from rewardloom.baselines.branching.revived.graphs import Graph, Structure
from rewardloom.baselines.branching.revived.trajectories import Trajectory
from rewardloom.envs.branching.tree import TreeTable


def graph(rng, columns=6, rows=4, candidates=3, structure=None):
    """Return a graph with random features; every second entry of the matrix is an edge."""
    if structure is None:
        edges = np.argwhere(rng.random((rows, columns)) < 0.5).T.astype(np.int32)
        values = rng.normal(size=edges.shape[1]).astype(np.float32)
        structure = Structure.read(edges, values, rows, columns)
    return Graph(
        rng.normal(size=(columns, 20)).astype(np.float32),
        rng.normal(size=(rows, 5)).astype(np.float32),
        rng.normal(size=8).astype(np.float32),
        np.sort(rng.choice(columns, candidates, replace=False)).astype(np.int32),
        rng.normal(size=(candidates, 23)).astype(np.float32),
        structure,
    )


def trajectory(rng, node, parent, side=None, depth=None, reward=None, graphs=None, action=None):
    """Return a trajectory through a tree that is given by its nodes."""
    length = len(node)
    structure = graph(rng).structure
    return Trajectory(
        graphs or [graph(rng, structure=structure) for _ in range(length)],
        np.zeros(length, np.int64) if action is None else np.array(action),
        np.array(node),
        np.array(parent),
        np.zeros(length, np.int64) if depth is None else np.array(depth),
        np.zeros(length, np.int64) if side is None else np.array(side),
        np.zeros(length),
        np.zeros(length),
        -np.ones(length) if reward is None else np.array(reward, float),
    )


def tree_table(node, parent):
    """Return processed nodes of which only numbers and parents matter."""
    count = len(node)
    return TreeTable(
        node=np.array(node),
        parent=np.array(parent),
        parent_row=np.zeros(count, np.int64),
        depth=np.zeros(count, np.int32),
        side=np.zeros(count, np.int8),
        outcome=np.zeros(count, np.int8),
        variable=np.zeros(count, np.int32),
        branching=np.zeros(count, np.int32),
        split=np.zeros(count),
        lower_bound=np.zeros(count),
        subtree_size=np.ones(count, np.int64),
        names=("x",),
    )
