"""What scores a step: networks or weights. Plain numpy, so that paying needs no torch.

- `Networks`: perceptrons, whose mean is the score.
- `Weights`: a weighted sum of the factors.
- `fit_weights`: the weights that explain preferences best.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from rewardloom.rewards.heron.factors import factor_scale
from rewardloom.typing import F64T

__all__ = ["Layers", "Networks", "Weights", "fit_weights"]

Layers: TypeAlias = list[tuple[np.ndarray, np.ndarray]]
"""(inputs, outputs) weights and (outputs,) biases, a ReLU between each two."""

_ROWS_AT_ONCE = 8192
_RIDGE = 1e-4  # keeps the weights finite where a ranking separates all pairs
_NEWTON_STEPS = 50


class Networks:
    """Perceptrons on standardized inputs.

    Args:
        members: The layers of each.
        mean, scale: (D,), subtracted from the inputs and divided by.
    """

    def __init__(self, members: Sequence[Layers], mean: np.ndarray, scale: np.ndarray):
        self.members = list(members)
        self.mean = mean
        self.scale = scale
        self._layers = [
            [(w.astype(np.float64), b.astype(np.float64)) for w, b in layers] for layers in members
        ]

    def member_scores(self, inputs: np.ndarray) -> np.ndarray:
        """Return each member's scores of (T, D) inputs, (M, T)."""
        scores = np.empty((len(self._layers), len(inputs)))
        for first in range(0, len(inputs), _ROWS_AT_ONCE):
            rows = slice(first, first + _ROWS_AT_ONCE)
            standard = (inputs[rows] - self.mean) / self.scale
            for member, layers in enumerate(self._layers):
                hidden = standard
                for weight, bias in layers[:-1]:
                    hidden = np.maximum(hidden @ weight + bias, 0.0)
                weight, bias = layers[-1]
                scores[member, rows] = hidden @ weight[:, 0] + bias[0]
        return scores

    def state_dict(self) -> dict[str, Any]:
        """Return everything as arrays."""
        return {"members": self.members, "mean": self.mean, "scale": self.scale}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Networks:
        """Build what `state_dict` described."""
        return cls(state["members"], state["mean"], state["scale"])


class Weights:
    """A weighted sum of factors.

    Args:
        weights: (F,), per unit of each factor, more being better.
    """

    def __init__(self, weights: np.ndarray):
        self.weights = weights

    def member_scores(self, factors: np.ndarray) -> np.ndarray:
        """Return the scores of (T, F) factors, (1, T)."""
        return (factors * self.weights).sum(1)[None]

    def state_dict(self) -> dict[str, Any]:
        """Return the weights."""
        return {"weights": self.weights}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Weights:
        """Build what `state_dict` described."""
        return cls(state["weights"])


def fit_weights(sums: np.ndarray, winner: np.ndarray, loser: np.ndarray) -> F64T:
    """Return the (F,) weights on z-scored factors that explain preferences best.

    Logistic regression of the Bradley-Terry model without an intercept, by Newton's method, with
    a small ridge. Constant factors get 0.

    Args:
        sums: (U, F) factors of every unit.
        winner, loser: (P,) units.
    """
    gaps = (sums[winner] - sums[loser]) / factor_scale(sums)
    weights = np.zeros(sums.shape[1])
    loss = _logistic_loss(gaps, weights)
    for _ in range(_NEWTON_STEPS):
        wrong = 1.0 / (1.0 + np.exp(np.clip(gaps @ weights, -50.0, 50.0)))
        slope = _RIDGE * weights - gaps.T @ wrong / len(gaps)
        curve = (gaps * (wrong * (1.0 - wrong))[:, None]).T @ gaps / len(gaps)
        move = np.linalg.solve(curve + _RIDGE * np.eye(len(weights)), slope)
        size = 1.0
        while (new := _logistic_loss(gaps, weights - size * move)) > loss and size > 1e-6:
            size /= 2
        weights = weights - size * move
        if loss - new < 1e-12:
            break
        loss = new
    return weights


def _logistic_loss(gaps: np.ndarray, weights: np.ndarray) -> float:
    return float(np.logaddexp(0.0, -(gaps @ weights)).mean() + _RIDGE / 2 * weights @ weights)
