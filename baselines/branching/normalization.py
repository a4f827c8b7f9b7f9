"""Branching features on a scale that networks take, without estimates from earlier data.

- `logarithmic`: whatever ranges over orders of magnitude.
- `standardized`: how a candidate differs from the others of its decision.
- `segment_means`: means over the candidates of each decision.
"""

from __future__ import annotations

import math

from torch import Tensor

__all__ = ["logarithmic", "segment_means", "standardized"]

_FINEST = 1e-4  # below it the logarithm is about linear
_LEAST_SPREAD = 1e-3  # of logarithms; candidates that differ by less are equal


def logarithmic(values: Tensor) -> Tensor:
    """Return signed logarithms: 0 at 0, about 1 at 1, 1.5 at 100 and 0.26 at 0.001."""
    return values.sign() * (values.abs() / _FINEST).log1p() / -math.log(_FINEST)


def segment_means(values: Tensor, segments: Tensor, sizes: Tensor) -> Tensor:
    """Return the mean of each of D segments, (D, F).

    Args:
        values: (N, F).
        segments: (N,) int64, the segment of each row.
        sizes: (D, 1) rows of each segment, at least 1.
    """
    sums = values.new_zeros(len(sizes), values.shape[1]).index_add(0, segments, values)
    return sums / sizes


def standardized(values: Tensor, segments: Tensor, sizes: Tensor) -> Tensor:
    """Return how many standard deviations each value lies from its segment's mean, (N, F).

    A deviation below 0.001 counts as 0.001.

    Args:
        values: (N, F), such as what `logarithmic` returns.
        segments: (N,) int64, the segment of each row.
        sizes: (D, 1) rows of each segment, at least 1.
    """
    apart = values - segment_means(values, segments, sizes)[segments]
    spread = segment_means(apart.square(), segments, sizes).sqrt().clamp_min(_LEAST_SPREAD)
    return apart / spread[segments]
