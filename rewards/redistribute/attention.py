"""`SegmentModel`: predicts a return by attention over an episode's stretches; needs torch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn

from rewardloom.rewards.learning.store import StoredEpisodes
from rewardloom.rewards.redistribute.regressor import Regressor, final_and_auxiliary_loss
from rewardloom.typing import F64T, I64E1

__all__ = ["SegmentModel"]

_EPISODES_AT_ONCE = 64


class _Segments(NamedTuple):
    """Episodes cut into at most S stretches of nearly equal length.

    Attributes:
        cells: (T,) the stretch of each row, numbered e * S + s.
        sizes: (E, S) rows in each stretch, 0 past an episode's end.
        counts: (E,) stretches of each episode.
    """

    cells: np.ndarray
    sizes: np.ndarray
    counts: np.ndarray


def _cut(lengths: np.ndarray, most: int) -> _Segments:
    counts = np.minimum(lengths, most)
    firsts = np.repeat(np.cumsum(lengths) - lengths, lengths)
    steps = np.arange(int(lengths.sum())) - firsts
    width = int(counts.max())
    cells = steps * np.repeat(counts, lengths) // np.repeat(lengths, lengths)
    cells += np.repeat(np.arange(len(lengths)) * width, lengths)
    sizes = np.bincount(cells, minlength=len(lengths) * width).reshape(len(lengths), width)
    return _Segments(cells, sizes, counts)


class _Attention(nn.Module):
    """One causal attention head over embedded stretches, and a perceptron that reads it."""

    def __init__(self, width: int, hidden: int, most: int):
        super().__init__()
        self.embed = nn.Sequential(nn.Linear(width, hidden), nn.ReLU(), nn.Linear(hidden, hidden))
        self.position = nn.Embedding(most, hidden)
        self.query = nn.Linear(hidden, hidden, bias=False)
        self.key = nn.Linear(hidden, hidden, bias=False)
        self.value = nn.Linear(hidden, hidden, bias=False)
        self.head = nn.Sequential(nn.Linear(2 * hidden, hidden), nn.ReLU(), nn.Linear(hidden, 1))

    def tokens(self, rows: torch.Tensor, cells: torch.Tensor, sizes: torch.Tensor) -> torch.Tensor:
        """Return (E, S, H): each stretch's mean embedding plus its position."""
        embedded = self.embed(rows)
        pooled = embedded.new_zeros(sizes.numel(), embedded.shape[1])
        pooled = pooled.index_add(0, cells, embedded).reshape(*sizes.shape, -1)
        return pooled / sizes.clamp(min=1)[..., None] + self.position.weight[: sizes.shape[1]]

    def logits(self, tokens: torch.Tensor) -> torch.Tensor:
        """Return (E, S, S) causal attention logits, query by key."""
        logits = self.query(tokens) @ self.key(tokens).transpose(1, 2)
        size = tokens.shape[1]
        later = torch.ones(size, size, dtype=torch.bool, device=tokens.device).triu(1)
        return (logits / tokens.shape[2] ** 0.5).masked_fill(later, -torch.inf)

    def read(self, weights: torch.Tensor, tokens: torch.Tensor, at: torch.Tensor) -> torch.Tensor:
        """Return predictions (E, Q) of attention (E, Q, S) by queries at the positions (E, Q)."""
        looked = weights @ self.value(tokens)
        return self.head(torch.cat([looked, self.position(at)], -1)).squeeze(-1)


class SegmentModel(Regressor):
    """A causal attention model of the return; our formulation.

    Episodes longer than `segments` steps are cut into that many stretches of nearly equal length,
    whose steps share a score, so time is linear in an episode's length.

    Args:
        width: Inputs per step.
        settings: Sizes and rates; the last of `hidden` is the width.
    """

    net: Any

    def build(self) -> nn.Module:
        """See `Regressor.build`."""
        return _Attention(self.width, self.settings.hidden[-1], self.settings.segments)

    def losses(
        self, held: StoredEpisodes, inputs: torch.Tensor, chosen: np.ndarray, rng: Any
    ) -> Iterator[torch.Tensor]:
        """See `Regressor.losses`."""
        lengths = np.diff(held.offsets)[chosen]
        firsts = held.offsets[chosen] - (np.cumsum(lengths) - lengths)
        rows = np.arange(int(lengths.sum())) + np.repeat(firsts, lengths)
        tokens, cut = self._tokens(inputs[torch.from_numpy(rows).to(self.device)], lengths)
        outputs = self._outputs(self.net[1].logits(tokens).softmax(-1), tokens)
        counts = torch.from_numpy(cut.counts).to(self.device)
        yield final_and_auxiliary_loss(outputs, counts, self.targets(held.returns[chosen]))

    def attention_scores(self, inputs: np.ndarray, offsets: I64E1) -> F64T:
        """Return the mean attention that a step gets from itself and the later ones, (T,)."""

        def scores(tokens: torch.Tensor, counts: torch.Tensor) -> torch.Tensor:
            weights = self.net[1].logits(tokens).softmax(-1)
            order = torch.arange(tokens.shape[1], device=self.device)
            weights = weights * (order < counts[:, None])[..., None]
            return weights.sum(1) / (counts[:, None] - order).clamp(min=1)

        return self._scores(inputs, offsets, scores)

    def occlusion_scores(self, inputs: np.ndarray, offsets: I64E1) -> F64T:
        """Return |g - g without the step|, (T,), g being the prediction after the last step."""

        def scores(tokens: torch.Tensor, counts: torch.Tensor) -> torch.Tensor:
            size = tokens.shape[1]
            last = (counts - 1)[:, None]
            logits = self.net[1].logits(tokens)
            logits = logits.gather(1, last[..., None].expand(-1, 1, size))
            hidden = torch.eye(size, dtype=torch.bool, device=self.device)
            without = logits.masked_fill(hidden, -torch.inf).softmax(-1).nan_to_num(0.0)
            read = self.net[1].read
            whole = read(logits.softmax(-1), tokens, last)
            return (whole - read(without, tokens, last.expand(-1, size))).abs()

        return self._scores(inputs, offsets, scores)

    def returns(self, inputs: np.ndarray, offsets: I64E1) -> F64T:
        """See `ReturnModel.returns`."""
        tokens, cut = self._tokens(self.standardized(inputs), np.diff(offsets))
        with torch.no_grad():
            outputs = self._outputs(self.net[1].logits(tokens).softmax(-1), tokens)
        return self.unscaled(outputs)[np.arange(len(cut.counts)), cut.counts - 1]

    def _outputs(self, weights: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
        order = torch.arange(tokens.shape[1], device=self.device)
        return self.net[1].read(weights, tokens, order.expand(len(tokens), -1))

    def _tokens(self, rows: torch.Tensor, lengths: np.ndarray) -> tuple[torch.Tensor, _Segments]:
        cut = _cut(lengths, self.settings.segments)
        cells, sizes = (torch.from_numpy(a).to(self.device) for a in (cut.cells, cut.sizes))
        return self.net[1].tokens(rows, cells, sizes), cut

    def _scores(self, inputs: np.ndarray, offsets: I64E1, score: Any) -> F64T:
        """Return a score of stretches, (E, S), shared evenly by the steps of each, (T,)."""
        scores = np.zeros(len(inputs))
        rows, lengths = self.standardized(inputs), np.diff(offsets)
        for first in range(0, len(lengths), _EPISODES_AT_ONCE):
            part = slice(offsets[first], offsets[min(first + _EPISODES_AT_ONCE, len(lengths))])
            sizes = lengths[first : first + _EPISODES_AT_ONCE]
            filled = sizes[sizes > 0]
            if not len(filled):
                continue
            with torch.no_grad():
                tokens, cut = self._tokens(rows[part], filled)
                found = score(tokens, torch.from_numpy(cut.counts).to(self.device))
            each = found.cpu().numpy().astype(np.float64) / np.maximum(cut.sizes, 1)
            scores[part] = each.ravel()[cut.cells]
        return scores
