"""Numbers as learners need them: finite, in single precision, from SCIP's getters in one pass."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["AGE_OFFSET", "LIMIT", "finite_float32", "gather", "take_segments", "total"]

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


def take_segments(
    lengths: NDArray[np.intp], chosen: NDArray[np.intp]
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return where the entries of some segments lie in an array of segments laid end to end.

    Args:
        lengths: Lengths of all segments.
        chosen: (k,) the segments that are wanted; one may be wanted twice.

    Returns:
        The index into `chosen` of each wanted entry, ascending, and its place in the array.
    """
    wanted = lengths[chosen]
    owner = np.repeat(np.arange(len(chosen)), wanted)
    shift = (np.cumsum(lengths) - lengths)[chosen] - (np.cumsum(wanted) - wanted)
    return owner, np.arange(len(owner)) + shift[owner]


def total(owner: NDArray[np.intp], values: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    """Return the sum of the values of each of `count` owners."""
    return np.bincount(owner, values, count).astype(np.float64, copy=False)
