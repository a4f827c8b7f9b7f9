"""`Recorder`: collects the decisions of a search that goes on."""

from __future__ import annotations

import numpy as np

from rewardloom.baselines.branching.revived.graphs import Graph
from rewardloom.baselines.branching.revived.trajectories import Trajectory
from rewardloom.envs.branching.records import Decision

__all__ = ["Recorder"]


class Recorder:
    """Collects graphs, choices and rewards, and lays them out at the end."""

    def __init__(self) -> None:
        self._graphs: list[Graph] = []
        self._places: list[tuple[int, ...]] = []
        self._bounds: list[tuple[float, float]] = []
        self._rewards: list[float] = []

    def add(self, graph: Graph, decision: Decision, choice: int) -> None:
        """Keep a decision and the index of the candidate that was chosen."""
        self._graphs.append(graph)
        place = (choice, decision.node, decision.parent, decision.depth, decision.side)
        self._places.append(place)
        self._bounds.append((decision.lower_bound, decision.dual_bound))

    def pay(self, reward: float) -> None:
        """Keep the reward of the decision that was added last."""
        self._rewards.append(reward)

    def finish(self) -> Trajectory:
        """Return the decisions."""
        action, node, parent, depth, side = np.array(self._places, np.int64).T
        bound, dual_bound = np.array(self._bounds, np.float64).T
        reward = np.array(self._rewards, np.float64)
        return Trajectory(
            self._graphs, action, node, parent, depth, side, bound, dual_bound, reward
        )
