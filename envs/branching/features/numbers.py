"""Numbers as learners need them: finite, in single precision, from SCIP's getters in one pass."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["AGE_OFFSET", "LIMIT", "finite_float32", "gather"]

LIMIT = 1e20
"""SCIP's infinity: larger magnitudes are cut to it."""

AGE_OFFSET = 5
"""Added to the number of solved LPs before an age is divided by it, as Gasse et al. (2019) do."""


def gather(getter: Callable[[Any], float], items: Sequence[Any]) -> NDArray[np.float64]:
    """Return `getter(item)` of every item as one array."""
    return np.fromiter(map(getter, items), np.float64, len(items))


def finite_float32(features: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return the transpose of (F, n) features as a contiguous, finite float32 array (n, F).

    Args:
        features: Overwritten. NaN becomes 0, magnitudes above `LIMIT` become `LIMIT`.
    """
    np.nan_to_num(features, copy=False, posinf=LIMIT, neginf=-LIMIT)
    np.clip(features, -LIMIT, LIMIT, out=features)
    return features.T.astype(np.float32, order="C")
