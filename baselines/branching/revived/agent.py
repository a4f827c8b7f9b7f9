"""`RevivedAgent`: branches greedily by Q-values, remembering the path to every node."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from rewardloom.baselines.branching.revived.graphs import (
    Graph,
    batch_graphs,
    moved,
    read_graph,
)
from rewardloom.baselines.branching.revived.network import Asked, Encoded, RevivedNetwork, Steps
from rewardloom.envs.branching.records import Decision
from rewardloom.rewards.numbers import check_integer

__all__ = ["RevivedAgent"]


class _Step(NamedTuple):
    """What is remembered of a decision."""

    summary: torch.Tensor
    depth: int
    side: int
    parent: int


class RevivedAgent:
    """Takes the candidate with the highest value.

    It keeps 2 `width` numbers of each decision of a search, not its graph. While the network is
    being trained these are of the weights at the time.

    Args:
        history: Whether the path to a node counts.
        width: Of the network.
        heads: Attention heads of the network.
        path: Decisions of a path, at most; the last ones.
        seed: Of the initial weights.

    Attributes:
        network: The Q-network.
        graph: Graph of the decision that was valued last, None before the first.

    Raises:
        ConfigError: A size is not a positive integer, or `heads` does not divide `width`.
    """

    observation = "graph"

    def __init__(
        self, history: bool = True, width: int = 64, heads: int = 4, path: int = 16, seed: int = 0
    ):
        self.path = check_integer("path", path)
        self.settings: dict[str, Any] = {
            "history": history,
            "width": check_integer("width", width),
            "heads": check_integer("heads", heads),
            "path": path,
            "seed": check_integer("seed", seed, least=0),
        }
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.network = RevivedNetwork(history, width, heads)
        self.begin()

    def begin(self) -> None:
        """Forget the last search."""
        self.graph: Graph | None = None
        self._steps: dict[int, _Step] = {}
        self._waiting: tuple[Decision, Encoded] | None = None

    def choose(self, decision: Decision) -> int:
        """Return the candidate with the highest value, the first of equal ones."""
        choice = int(np.argmax(self.values(decision)))
        self.take(choice)
        return choice

    def values(self, decision: Decision) -> npt.NDArray[np.float32]:
        """Return the (K,) values of the candidates, on the scale of `learner.compress`."""
        self.graph = read_graph(decision, self.graph)
        batch = batch_graphs([self.graph])
        candidates = torch.arange(len(decision))
        asked = Asked(torch.zeros(1, dtype=torch.int64), candidates, torch.zeros_like(candidates))
        device = self.network.advantage.weight.device
        with torch.no_grad():
            encoded = self.network.encode(moved(batch, device))
            context = self.network.context(moved(self._path_to(decision), device))
            values = self.network.values(encoded, moved(asked, device), context)
        self._waiting = decision, encoded
        return values.cpu().numpy()

    def take(self, choice: int) -> None:
        """Remember what was chosen at the decision that was valued last."""
        assert self._waiting is not None
        decision, encoded = self._waiting
        chosen = torch.tensor([choice], device=encoded.candidates.device)
        with torch.no_grad():
            summary = self.network.summarize(encoded, chosen)[0]
        self._steps[decision.node] = _Step(
            summary.cpu(), decision.depth, decision.side, decision.parent
        )

    def _path_to(self, decision: Decision) -> Steps:
        """Return the decisions above a waiting one."""
        above: list[_Step] = []
        sides: list[int] = []
        side, node = decision.side, decision.parent
        while len(above) < self.path and node in self._steps:
            step = self._steps[node]
            above.append(step)
            sides.append(side)
            side, node = step.side, step.parent
        count = len(above)
        summary = torch.zeros(1, self.path, 2 * self.settings["width"])
        depth, leaving = torch.zeros(1, self.path), torch.zeros(1, self.path)
        if count:
            summary[0, :count] = torch.stack([step.summary for step in reversed(above)])
            depth[0, :count] = torch.tensor([float(step.depth) for step in reversed(above)])
            leaving[0, :count] = torch.tensor([float(side) for side in reversed(sides)])
        return Steps(summary, depth, leaving, torch.tensor([count]))
