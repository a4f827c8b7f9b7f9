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
        asked: The decisions' graphs and all their candidates.
        slot: (C,) int64, number of each candidate within its decision.
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
    """B decisions of a memory with their successors.

    Attributes:
        graphs: All G graphs that are needed, each once.
        chosen: (G,) int64, the chosen candidates, among those of all graphs.
        depth: (G,) float32.
        heads: The B decisions.
        taken: (B,) int64, the chosen ones among the candidates that the heads ask for.
        successors: Their S successors.
        followed: (S,) int64, the head of each successor.
        reward: (B,) float32, discounted sums of the rewards before the successors.
    """

    graphs: GraphBatch
    chosen: torch.Tensor
    depth: torch.Tensor
    heads: Window
    taken: torch.Tensor
    successors: Window
    followed: torch.Tensor
    reward: torch.Tensor


class Stored(NamedTuple):
    """A trajectory with what sampling needs of it.

    Attributes:
        trajectory: Its L decisions.
        paths, sides: (L, K) decisions above each, and the sides on which their paths go on.
        lengths: (L,) how many there are.
        sums: (L,) discounted sums of the rewards before the successors.
        later: (L, C) the successors; -1 past the last.
    """

    trajectory: Trajectory
    paths: Ints
    sides: Ints
    lengths: Ints
    sums: Floats
    later: Ints


class Part(NamedTuple):
    """A stretch of a trajectory.

    Attributes:
        stored: The trajectory.
        heads: (B,) its decisions.
        successors: (S,) their successors.
        followed: (S,) index of each successor's head.
        needed: Every decision that they and their paths need, ascending.
    """

    stored: Stored
    heads: Ints
    successors: Ints
    followed: Ints
    needed: Ints


def make_batch(parts: Sequence[Part]) -> Batch:
    """Lay out stretches of trajectories."""
    laid_out = batch_graphs(
        [part.stored.trajectory.graphs[index] for part in parts for index in part.needed]
    )
    starts = laid_out.candidate_starts
    actions = _joined([part.stored.trajectory.action[part.needed] for part in parts])
    depth = _joined([part.stored.trajectory.depth[part.needed] for part in parts])
    heads = _window(parts, [part.heads for part in parts])
    asking = _asking(heads, starts)
    firsts = np.searchsorted(asking.asked.owner.numpy(), np.arange(len(heads.graph)))
    offsets = np.cumsum([0] + [len(part.heads) for part in parts])
    followed = [part.followed + at for part, at in zip(parts, offsets[:-1], strict=True)]
    reward = _joined([part.stored.sums[part.heads] for part in parts])
    return Batch(
        graphs=laid_out,
        chosen=torch.from_numpy(starts[:-1] + actions),
        depth=torch.from_numpy(depth.astype(np.float32)),
        heads=asking,
        taken=torch.from_numpy(firsts + actions[heads.graph]),
        successors=_asking(_window(parts, [part.successors for part in parts]), starts),
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


def _asking(places: _Places, starts: Ints) -> Window:
    """Ask for all candidates of each decision; `starts` says where those of each graph begin."""
    begins = starts[places.graph]
    lengths = starts[places.graph + 1] - begins
    owner = np.repeat(np.arange(len(lengths)), lengths)
    slot = np.arange(len(owner)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    arrays = (places.graph, slot + np.repeat(begins, lengths), owner)
    return Window(
        Asked(*(torch.from_numpy(array) for array in arrays)),
        torch.from_numpy(slot),
        torch.from_numpy(places.path),
        torch.from_numpy(places.side.astype(np.float32)),
        torch.from_numpy(places.length),
    )


def _joined(arrays: Sequence[Any]) -> npt.NDArray[Any]:
    return np.concatenate(arrays)
