"""`Replay`: the latest trajectories, and samples of their decisions with the paths to them."""

from __future__ import annotations

from collections import deque

import numpy as np

from rewardloom.baselines.branching.revived.batches import Batch, Part, Stored, make_batch
from rewardloom.baselines.branching.revived.trajectories import (
    Ints,
    Trajectory,
    ancestors,
    children,
    n_step_sums,
    root_paths,
)

__all__ = ["Replay"]


class Replay:
    """The latest trajectories; whole ones leave when there are too many decisions.

    Args:
        capacity: Decisions, at most; the newest trajectory always stays.
        history: K, decisions of a path, at most; may be 0.
        n_steps: n, decisions from a value to its successor; None takes the decisions at the node's
            children as its successors.
        gamma: Discount of a reward for each decision since the first.
    """

    def __init__(
        self,
        capacity: int,
        *,
        history: int = 16,
        n_steps: int | None = None,
        gamma: float = 1.0,
    ):
        self.capacity = capacity
        self.history = history
        self.n_steps = n_steps
        self.gamma = gamma
        self._stored: deque[Stored] = deque()
        self._count = 0
        self._ends = np.zeros(0, np.int64)

    def __len__(self) -> int:
        """Return the number of decisions."""
        return self._count

    @property
    def trajectories(self) -> int:
        """Number of trajectories."""
        return len(self._stored)

    @property
    def nbytes(self) -> int:
        """Bytes of the trajectories."""
        return sum(stored.trajectory.nbytes for stored in self._stored)

    def add(self, trajectory: Trajectory) -> None:
        """Keep a finished trajectory of at least one decision."""
        ancestor = ancestors(trajectory.node.tolist(), trajectory.parent.tolist())
        paths, counts = root_paths(ancestor, self.history)
        sides = np.zeros_like(paths)
        sides[:, :-1] = np.where(paths[:, 1:] >= 0, trajectory.side[paths[:, 1:]], 0)
        some = np.flatnonzero(counts)
        sides[some, counts[some] - 1] = trajectory.side[some]
        sums, later = trajectory.reward, self._later(trajectory)
        if self.n_steps is not None:
            sums = n_step_sums(sums, self.n_steps, self.gamma)
        self._stored.append(Stored(trajectory, paths, sides, counts, sums, later))
        self._count += len(trajectory)
        while self._count > self.capacity and len(self._stored) > 1:
            self._count -= len(self._stored.popleft().trajectory)
        self._ends = np.cumsum([len(stored.trajectory) for stored in self._stored])

    def _later(self, trajectory: Trajectory) -> Ints:
        """Return the successors of each decision, (L, C); -1 past the last."""
        if self.n_steps is None:
            return children(trajectory.node.tolist(), trajectory.parent.tolist())
        later = np.arange(len(trajectory))[:, None] + self.n_steps
        return np.where(later < len(trajectory), later, -1)

    def sample(self, rng: np.random.Generator, stretches: int, length: int) -> Batch:
        """Draw stretches of decisions that were made one after the other.

        Neighbors share ancestors and successors, so that few graphs serve many decisions.

        Args:
            rng: Where every random number comes from.
            stretches: How many; trajectories are drawn in proportion to their length.
            length: Decisions of each; fewer where the trajectory is shorter.
        """
        drawn = rng.integers(self._count, size=stretches)
        which = np.searchsorted(self._ends, drawn, side="right")
        before = rng.integers(length, size=stretches)
        parts: list[Part] = []
        for index, at, back in zip(which.tolist(), drawn.tolist(), before.tolist(), strict=True):
            stored = self._stored[index]
            size = len(stored.trajectory)
            first = at - (int(self._ends[index]) - size) - back
            first = min(max(first, 0), max(size - length, 0))
            parts.append(self._part(stored, np.arange(first, min(first + length, size))))
        return make_batch(parts)

    def _part(self, stored: Stored, heads: Ints) -> Part:
        later = stored.later[heads]
        followed, place = np.nonzero(later >= 0)
        successors = later[followed, place]
        wanted = np.union1d(heads, successors)
        above = stored.paths[wanted]
        needed = np.union1d(wanted, above[above >= 0])
        return Part(stored, heads, successors, followed, needed)
