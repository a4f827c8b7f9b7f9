"""Samples of a memory as tensors.

- `Batch`, `Window`: decisions, the paths to them and their successors.
- `Stored`, `Part`: what a sample is made of; `make_batch` makes it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from rewardloom.baselines.branching.revived.graphs import GraphBatch, batch_graphs
from rewardloom.baselines.branching.revived.network import Asked, Steps
from rewardloom.baselines.branching.revived.trajectories import Floats, Ints, Trajectory

__all__ = ["Batch", "Part", "Stored", "Window", "make_batch"]


class Window(NamedTuple):
    """B decisions and the paths to them, as positions among the G graphs of a batch.

    Attributes:
        asked: The decisions' graphs and the columns whose values are wanted.
        slot: (C,) int64, number of each column within its decision.
        path: (B, K) int64, the graphs of the decisions above; 0 past the last.
        side: (B, K) float32, the sides on which the path goes on.
        length: (B,) int64, how many there are.
    """

    asked: Asked
    slot: torch.Tensor
    path: torch.Tensor
    side: torch.Tensor
    length: torch.Tensor

    def steps(self, summary: torch.Tensor, depth: torch.Tensor) -> Steps:
        """Revive the paths from (G, 2 d) summaries and (G,) depths."""
        return Steps(summary[self.path], depth[self.path], self.side, self.length)


class Batch(NamedTuple):
    """B decisions of a memory with their n-step successors.

    Attributes:
        graphs: All G graphs that are needed, each once.
        chosen: (G,) int64, the chosen columns.
        depth: (G,) float32.
        heads: The B decisions; one column each, the chosen one.
        successors: The S <= B decisions n steps later; all candidates of each.
        followed: (B,) bool, which heads have a successor.
        reward: (B,) float32, discounted sums of the rewards in between.
    """

    graphs: GraphBatch
    chosen: torch.Tensor
    depth: torch.Tensor
    heads: Window
    successors: Window
    followed: torch.Tensor
    reward: torch.Tensor


class Stored(NamedTuple):
    """A trajectory with what sampling needs of it; `paths`, `sides` (L, K), the rest (L,)."""

    trajectory: Trajectory
    paths: Ints
    sides: Ints
    lengths: Ints
    sums: Floats


class Part(NamedTuple):
    """A stretch of a trajectory: heads, successors and every decision that they need."""

    stored: Stored
    heads: Ints
    successors: Ints
    needed: Ints


def make_batch(parts: Sequence[Part], n_steps: int) -> Batch:
    """Lay out stretches of trajectories."""
    graphs = [part.stored.trajectory.graphs[index] for part in parts for index in part.needed]
    laid_out = batch_graphs(graphs)
    firsts = laid_out.column_starts[:-1]
    actions = _joined([part.stored.trajectory.action[part.needed] for part in parts])
    chosen = np.fromiter(
        (graph.candidates[action] for graph, action in zip(graphs, actions, strict=True)),
        np.int64,
        len(graphs),
    )
    depth = _joined([part.stored.trajectory.depth[part.needed] for part in parts])
    sizes = [len(part.stored.trajectory) for part in parts]
    followed = [part.heads + n_steps < size for part, size in zip(parts, sizes, strict=True)]
    heads = _window(parts, [part.heads for part in parts])
    successors = _window(parts, [part.successors for part in parts])
    reward = _joined([part.stored.sums[part.heads] for part in parts])
    return Batch(
        graphs=laid_out,
        chosen=torch.from_numpy(firsts + chosen),
        depth=torch.from_numpy(depth.astype(np.float32)),
        heads=_asking(heads, [(firsts + chosen)[[index]] for index in heads.graph]),
        successors=_asking(
            successors, [firsts[index] + graphs[index].candidates for index in successors.graph]
        ),
        followed=torch.from_numpy(_joined(followed)),
        reward=torch.from_numpy(reward.astype(np.float32)),
    )


class _Places(NamedTuple):
    """Decisions and their paths as positions among the graphs of a batch, as arrays."""

    graph: Ints
    path: Ints
    side: Ints
    length: Ints


def _window(parts: Sequence[Part], decisions: Sequence[Ints]) -> _Places:
    """Find decisions of each part, and the paths to them, among the graphs of all parts."""
    offset = 0
    found: list[tuple[Any, ...]] = []
    for part, own in zip(parts, decisions, strict=True):
        stored, path = part.stored, part.stored.paths[own]
        places = np.searchsorted(part.needed, path) + offset
        graph = np.searchsorted(part.needed, own) + offset
        path = np.where(path >= 0, places, 0)
        found.append((graph, path, stored.sides[own], stored.lengths[own]))
        offset += len(part.needed)
    return _Places(*(_joined(arrays) for arrays in zip(*found, strict=True)))


def _asking(places: _Places, columns: Sequence[Any]) -> Window:
    """Ask for columns of each decision."""
    lengths = [len(own) for own in columns]
    owner = np.repeat(np.arange(len(lengths)), lengths)
    firsts = np.cumsum(lengths) - lengths if lengths else np.zeros(0, np.int64)
    slot = np.arange(len(owner)) - np.repeat(firsts, lengths)
    flat = _joined(columns) if lengths else np.zeros(0, np.int64)
    asked = Asked(*(torch.from_numpy(array) for array in (places.graph, flat, owner)))
    return Window(
        asked,
        torch.from_numpy(slot),
        torch.from_numpy(places.path),
        torch.from_numpy(places.side.astype(np.float32)),
        torch.from_numpy(places.length),
    )


def _joined(arrays: Sequence[Any]) -> npt.NDArray[Any]:
    return np.concatenate(arrays)
