"""`RevivedNetwork`: Q-values of a decision's candidates, given the path that led to it.

Our formulation, inspired by ReviBranch (arXiv 2508.17452), whose details are not public; the
half-convolutions are after Gasse et al. (2019, arXiv 1906.01629), with linear messages.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.nn import functional

from rewardloom.baselines.branching.normalization import logarithmic, segment_means, standardized
from rewardloom.baselines.branching.revived.graphs import GraphBatch, Sums
from rewardloom.envs.branching.features import CANDIDATE_FEATURES, COLUMN_FEATURES, ROW_FEATURES
from rewardloom.envs.branching.observations import NODE_FEATURES

__all__ = ["Asked", "Encoded", "RevivedNetwork", "Steps", "weighted_sums"]

_FREQUENCIES = 8
_LONGEST = 1000.0  # depth of the slowest wave


class Encoded(NamedTuple):
    """G graphs after the encoder.

    Attributes:
        candidates: (Q, d) embeddings of all candidates.
        state: (G, d) what is known of each decision as a whole.
    """

    candidates: torch.Tensor
    state: torch.Tensor


class Steps(NamedTuple):
    """The decisions above B decisions: the first ones first, zeros where there are fewer than K.

    Attributes:
        summary: (B, K, 2 d) state and chosen candidate of each.
        depth: (B, K) float, branchings above it.
        side: (B, K) float, -1 or +1: the child through which the path goes on.
        length: (B,) int64, how many there are.
    """

    summary: torch.Tensor
    depth: torch.Tensor
    side: torch.Tensor
    length: torch.Tensor


class Asked(NamedTuple):
    """All C candidates of B decisions.

    Attributes:
        graph: (B,) int64, the decisions' graphs.
        candidates: (C,) int64, positions among the candidates of all graphs.
        owner: (C,) int64, which of the B decisions each one belongs to.
    """

    graph: torch.Tensor
    candidates: torch.Tensor
    owner: torch.Tensor


class _WeightedSums(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: torch.Tensor, sums: Sums) -> torch.Tensor:
        ctx.sums = sums
        return _sum(values, sums)

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor, None]:
        return _sum(grads[0].contiguous(), ctx.sums.transposed), None


def _sum(values: torch.Tensor, sums: Sums) -> torch.Tensor:
    return functional.embedding_bag(
        sums.indices,
        values,
        sums.starts,
        mode="sum",
        per_sample_weights=sums.weights,
        include_last_offset=True,
    )


def weighted_sums(values: torch.Tensor, sums: Sums) -> torch.Tensor:
    """Return y_i = sum_k w_ik x_k of (N, d) values, (M, d); differentiable in the values."""
    return _WeightedSums.apply(values, sums)  # pyright: ignore[reportReturnType]  # untyped in torch


class _HalfConvolution(nn.Module):
    """h_i <- relu(A h_i + B norm(m_i)) with the messages m_i = sum_k w_ik h_k."""

    def __init__(self, width: int):
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.own = nn.Linear(width, width)
        self.others = nn.Linear(width, width, bias=False)

    def forward(self, own: torch.Tensor, messages: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.own(own) + self.others(self.norm(messages)))


class _Attention(nn.Module):
    """One block of causal self-attention with a perceptron, both added to their input."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.first, self.second = nn.LayerNorm(width), nn.LayerNorm(width)
        self.project = nn.Linear(width, 3 * width, bias=False)
        self.merge = nn.Linear(width, width)
        self.perceptron = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width))

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        count, length, width = tokens.shape
        parts = self.project(self.first(tokens)).reshape(count, length, 3, self.heads, -1)
        query, key, value = parts.permute(2, 0, 3, 1, 4)
        looked = functional.scaled_dot_product_attention(query, key, value, is_causal=True)
        tokens = tokens + self.merge(looked.transpose(1, 2).reshape(count, length, width))
        return tokens + self.perceptron(self.second(tokens))


class RevivedNetwork(nn.Module):
    """Encoder, step builder, attention and decoder.

    All features are taken as signed logarithms. A half-convolution from all columns to the rows and
    one back embed the candidates' columns; an MLP of the candidates' own features, and of how many
    standard deviations they lie from the mean of their decision, is added. The mean candidate, the
    mean row and the node's features make the decision's state. Each decision above becomes a token:
    an MLP of its state, the chosen candidate, sines of its depth and the side on which the path
    leaves it. Causal self-attention runs over a learned token for the start and
    these; what it gives at the last is the context, which is added to the state.

    A value is that of the decision, read from state and context, plus the candidate's advantage,
    read from its embedding, state and context; the advantages of a decision have mean 0 (dueling:
    Wang et al. 2016, arXiv 1511.06581, equation 9).

    Args:
        history: False leaves out step builder and attention.
        width: d.
        heads: Attention heads; they must divide `width`.
    """

    def __init__(self, history: bool = True, width: int = 64, heads: int = 4):
        super().__init__()
        self.history = history
        self.column_input = nn.Sequential(
            nn.Linear(len(COLUMN_FEATURES), width), nn.ReLU(), nn.LayerNorm(width)
        )
        self.row_input = nn.Sequential(
            nn.Linear(len(ROW_FEATURES), width), nn.ReLU(), nn.LayerNorm(width)
        )
        self.to_rows, self.to_columns = _HalfConvolution(width), _HalfConvolution(width)
        self.candidate_input = nn.Sequential(
            nn.Linear(2 * len(CANDIDATE_FEATURES), width), nn.ReLU(), nn.Linear(width, width)
        )
        self.state = nn.Sequential(
            nn.Linear(2 * width + len(NODE_FEATURES), width), nn.ReLU(), nn.Linear(width, width)
        )
        if history:
            self.start = nn.Parameter(torch.zeros(width))
            inputs = 2 * width + 2 * _FREQUENCIES + 1
            self.builder = nn.Sequential(
                nn.Linear(inputs, width), nn.ReLU(), nn.Linear(width, width)
            )
            self.attention = _Attention(width, heads)
        self.decoder = nn.Sequential(nn.ReLU(), nn.Linear(width, width), nn.ReLU())
        self.advantage = nn.Linear(width, 1)
        self.value = nn.Sequential(
            nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 1)
        )

    def encode(self, graphs: GraphBatch) -> Encoded:
        """Embed graphs."""
        columns = self.column_input(logarithmic(graphs.columns))
        rows = self.row_input(logarithmic(graphs.rows))
        rows = self.to_rows(rows, weighted_sums(columns, graphs.to_rows))
        messages = weighted_sums(rows, graphs.to_rows.transposed)
        columns = self.to_columns(columns[graphs.positions], messages[graphs.positions])
        mean_row = weighted_sums(rows, graphs.means)
        sizes = torch.bincount(graphs.owner, minlength=len(mean_row)).unsqueeze(1)
        own = logarithmic(graphs.candidates)
        own = torch.cat([own, standardized(own, graphs.owner, sizes)], -1)
        candidates = torch.relu(columns + self.candidate_input(own))
        mean = segment_means(candidates, graphs.owner, sizes)
        state = self.state(torch.cat([mean, mean_row, logarithmic(graphs.node)], -1))
        return Encoded(candidates, state)

    def summarize(self, encoded: Encoded, chosen: torch.Tensor) -> torch.Tensor:
        """Return what a path keeps of each graph, (G, 2 d).

        Args:
            encoded: G graphs.
            chosen: (G,) int64, position of the chosen one among the candidates of all graphs.
        """
        return torch.cat([encoded.state, encoded.candidates[chosen]], -1)

    def attend(self, steps: Steps) -> torch.Tensor:
        """Return the attention's outputs, (B, K + 1, d): for the start and after each step."""
        parts = [steps.summary, _waves(steps.depth), steps.side[..., None]]
        tokens = self.builder(torch.cat(parts, -1))
        start = self.start.expand(len(tokens), 1, -1)
        return self.attention(torch.cat([start, tokens], 1))

    def context(self, steps: Steps) -> torch.Tensor | None:
        """Return what the path says, (B, d); None without history."""
        if not self.history:
            return None
        outputs = self.attend(steps)
        return outputs[torch.arange(len(outputs), device=outputs.device), steps.length]

    def values(self, encoded: Encoded, asked: Asked, context: torch.Tensor | None) -> torch.Tensor:
        """Return the (C,) values of candidates, on the scale of `learner.compress`."""
        state, owner = encoded.state[asked.graph], asked.owner
        if context is not None:
            state = state + context
        hidden = self.decoder(encoded.candidates[asked.candidates] + state[owner])
        advantage = self.advantage(hidden)
        sizes = torch.bincount(owner, minlength=len(state)).unsqueeze(1)
        level = self.value(state) - segment_means(advantage, owner, sizes)
        return (level[owner] + advantage).squeeze(-1)


def _waves(depth: torch.Tensor) -> torch.Tensor:
    """Return sines and cosines of a depth, (..., 16)."""
    exponents = torch.arange(_FREQUENCIES, device=depth.device) / (_FREQUENCIES - 1)
    angles = depth[..., None] * torch.exp(-math.log(_LONGEST) * exponents)
    return torch.cat([angles.sin(), angles.cos()], -1)
