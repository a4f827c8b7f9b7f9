"""Numbers that say whether a preference model can be trusted.

- `rank_correlation`: Spearman's, ties averaged.
- `pair_accuracy`: share of preferences that scores reproduce.
- `level_shares`: which factor decided how many pairs.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rewardloom.rewards.heron.factors import Factor
from rewardloom.rewards.heron.pairs import Pairs

__all__ = ["level_shares", "pair_accuracy", "rank_correlation", "relative_weights"]


def rank_correlation(first: np.ndarray, second: np.ndarray) -> float:
    """Return Spearman's rank correlation; 0.0 where either is constant or has fewer than 2."""
    a, b = _ranks(first), _ranks(second)
    if len(a) < 2 or not a.std() or not b.std():
        return 0.0
    return float(((a - a.mean()) * (b - b.mean())).mean() / (a.std() * b.std()))


def pair_accuracy(scores: np.ndarray, winner: np.ndarray, loser: np.ndarray) -> float:
    """Return the share of pairs whose winner scores higher, ties one half; 0.0 without pairs."""
    gap = scores[winner] - scores[loser]
    return float(((gap > 0) + 0.5 * (gap == 0)).mean()) if len(gap) else 0.0


def level_shares(pairs: Pairs, factors: Sequence[Factor]) -> dict[str, float]:
    """Return `decided_<component>` for each factor and `undecided`, shares of all pairs."""
    counts = np.bincount(pairs.levels + 1, minlength=len(factors) + 1) / len(pairs.levels)
    shares = {f"decided_{f.component}": float(counts[k + 1]) for k, f in enumerate(factors)}
    return {**shares, "undecided": float(counts[0])}


def relative_weights(weights: np.ndarray, factors: Sequence[Factor]) -> dict[str, float]:
    """Return `weight_<component>`, each divided by the first's size; 0.0 where that is 0."""
    first = abs(weights[0])
    relative = weights / first if first > 1e-9 else np.zeros(len(weights))
    return {f"weight_{f.component}": float(w) for f, w in zip(factors, relative, strict=True)}


def _ranks(values: np.ndarray) -> np.ndarray:
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts - 1) / 2)[place]
