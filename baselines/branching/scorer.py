"""One network that scores any number of branching candidates.

- `Ragged`: decisions of different sizes as one batch.
- `CandidateScorer`: the network.
- `ScorerAgent`: branches on the candidate with the largest score.
- `log_softmax`, `argmax`: over each decision of a batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from rewardloom.envs.branching.features import CANDIDATE_FEATURES
from rewardloom.envs.branching.observations import NODE_FEATURES, node_features
from rewardloom.envs.branching.records import Decision
from rewardloom.rewards.numbers import check_integer

__all__ = ["CandidateScorer", "Ragged", "ScorerAgent", "argmax", "log_softmax"]

_LEAST_SPREAD = 1e-6
_LARGEST = 10.0  # of a standardized feature


class Ragged(NamedTuple):
    """D decisions with N candidates in all.

    Attributes:
        candidates: (N, F) float32, decision after decision.
        nodes: (D, G) float32.
        segments: (N,) int64, each candidate's decision, ascending; every decision has one.
    """

    candidates: Tensor
    nodes: Tensor
    segments: Tensor

    @classmethod
    def of(
        cls,
        candidates: Sequence[npt.NDArray[np.float32]],
        nodes: Sequence[npt.NDArray[np.float32]],
        device: str | torch.device = "cpu",
    ) -> Ragged:
        """Put decisions together.

        Args:
            candidates: D arrays (K, F), each with its own K >= 1.
            nodes: D arrays (G,).
            device: Where the tensors are to be.
        """
        sizes = [len(part) for part in candidates]
        return cls(
            torch.as_tensor(np.concatenate(candidates), device=device),
            torch.as_tensor(np.stack(nodes), device=device),
            torch.as_tensor(np.repeat(np.arange(len(sizes)), sizes), device=device),
        )


def _extreme(values: Tensor, segments: Tensor, decisions: int, kind: str) -> Tensor:
    """Return the largest ("amax") or smallest ("amin") value of each decision, (D, ...)."""
    index = segments.reshape(-1, *[1] * (values.dim() - 1)).expand_as(values)
    empty = values.new_zeros(decisions, *values.shape[1:])
    return empty.scatter_reduce(0, index, values, kind, include_self=False)


def _mean(values: Tensor, segments: Tensor, decisions: int) -> Tensor:
    """Return the mean of each decision, (D, H)."""
    sums = values.new_zeros(decisions, values.shape[1]).index_add(0, segments, values)
    return sums / torch.bincount(segments, minlength=decisions).unsqueeze(1)


def log_softmax(scores: Tensor, segments: Tensor) -> Tensor:
    """Return the logarithms of the softmax over each decision's candidates, (N,).

    Args:
        scores: (N,) scores.
        segments: (N,) each candidate's decision, ascending from 0 without gaps.
    """
    decisions = int(segments[-1]) + 1
    scores = scores - _extreme(scores.detach(), segments, decisions, "amax")[segments]
    total = scores.new_zeros(decisions).index_add(0, segments, scores.exp())
    return scores - total.log()[segments]


def argmax(scores: Tensor, segments: Tensor) -> Tensor:
    """Return the index among all N candidates of each decision's best, the first of equals, (D,).

    Args:
        scores: (N,) scores.
        segments: (N,) each candidate's decision, ascending from 0 without gaps.
    """
    decisions = int(segments[-1]) + 1
    index = torch.arange(len(scores), device=scores.device)
    best = scores == _extreme(scores, segments, decisions, "amax")[segments]
    index = torch.where(best, index, len(scores))
    return _extreme(index, segments, decisions, "amin")


class CandidateScorer(nn.Module):
    """Scores each candidate from its features, the node's, and the other candidates'.

    A candidate is described three times over: by its features in units of the training data, by
    where they lie between the smallest and the largest of its decision, and by the node's features.
    An MLP embeds the description; a second one sees the embedding beside the mean over the
    decision. Scores follow candidates that change places, and do not depend on the other decisions
    of a batch. Our formulation.

    Args:
        candidate_features: Number F of a candidate's features.
        node_features: Number G of a node's.
        width: Units of each hidden layer.
    """

    offset: Tensor
    scale: Tensor
    node_offset: Tensor
    node_scale: Tensor

    def __init__(
        self,
        candidate_features: int = len(CANDIDATE_FEATURES),
        node_features: int = len(NODE_FEATURES),
        width: int = 64,
    ):
        super().__init__()
        self.register_buffer("offset", torch.zeros(candidate_features))
        self.register_buffer("scale", torch.ones(candidate_features))
        self.register_buffer("node_offset", torch.zeros(node_features))
        self.register_buffer("node_scale", torch.ones(node_features))
        self.embed = nn.Sequential(
            nn.Linear(2 * candidate_features + node_features, width),
            nn.ReLU(),
            nn.Linear(width, width),
            nn.ReLU(),
        )
        self.head = nn.Sequential(nn.Linear(2 * width, width), nn.ReLU(), nn.Linear(width, 1))

    @torch.no_grad()
    def fit_units(self, batch: Ragged) -> None:
        """Take mean and standard deviation of the features in `batch` as their units.

        A feature that does not vary keeps the unit 1.
        """
        for name, values in (("", batch.candidates), ("node_", batch.nodes)):
            spread = values.std(0, correction=0)
            getattr(self, f"{name}offset").copy_(values.mean(0))
            getattr(self, f"{name}scale").copy_(
                torch.where(spread > _LEAST_SPREAD, spread, torch.ones_like(spread))
            )

    def forward(self, batch: Ragged) -> Tensor:
        """Return (N,) scores."""
        values, nodes, segments = batch
        decisions = len(nodes)
        low = _extreme(values, segments, decisions, "amin")
        spread = _extreme(values, segments, decisions, "amax") - low
        relative = (values - low[segments]) / spread.clamp_min(_LEAST_SPREAD)[segments]
        absolute = ((values - self.offset) / self.scale).clamp(-_LARGEST, _LARGEST)
        of_node = (nodes - self.node_offset) / self.node_scale
        of_node = of_node.clamp(-_LARGEST, _LARGEST)[segments]
        embedded = self.embed(torch.cat([absolute, relative, of_node], dim=1))
        context = _mean(embedded, segments, decisions)[segments]
        return cast("Tensor", self.head(torch.cat([embedded, context], dim=1)).squeeze(1))


class ScorerAgent:
    """Branches on the candidate that the network scores highest.

    Args:
        width: Units of each hidden layer.

    Attributes:
        network: The `CandidateScorer`, untrained until weights are loaded into it.
    """

    observation = "candidates"

    def __init__(self, width: int = 64):
        self.settings: dict[str, Any] = {"width": check_integer("width", width)}
        self.network = CandidateScorer(width=width)

    def begin(self) -> None:
        """Do nothing: no search is remembered."""

    def choose(self, decision: Decision) -> int:
        """Return the candidate with the largest score."""
        return int(self.score(decision.observation, node_features(decision)).argmax())

    @torch.no_grad()
    def score(
        self, candidates: npt.NDArray[np.float32], node: npt.NDArray[np.float32]
    ) -> npt.NDArray[np.float32]:
        """Return (K,) scores of one decision.

        Args:
            candidates: (K, 23) features of its candidates.
            node: (8,) features of its node.
        """
        device = self.network.offset.device
        return self.network(Ragged.of([candidates], [node], device)).cpu().numpy()
