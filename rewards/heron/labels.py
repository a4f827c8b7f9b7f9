"""Preferences from a ranking of factors.

- `hierarchical_preferences`: which of two is better, by the first factor that decides.
- `cycle_rate`: how often three of them are preferred in a circle.
"""

from __future__ import annotations

import numpy as np

from rewardloom.errors import ConfigError

__all__ = ["cycle_rate", "hierarchical_preferences"]


def hierarchical_preferences(
    factors_i: np.ndarray,
    factors_j: np.ndarray,
    margins: np.ndarray,
    signs: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Compare pairs level by level; the first factor that differs by more than its margin decides.

    The decision tree of HERON (Bukharin et al. 2023, arXiv 2309.02632). Not transitive where a
    margin is above 0.

    Args:
        factors_i, factors_j: (P, F), the most important factor first.
        margins: (F,) in the factors' units, at least 0; infinite ones never decide.
        signs: (F,) of 1 or -1, whether more or less is better; None takes 1 for all.

    Returns:
        labels: (P,) int8, 1 where i is better, -1 where j is, 0 where no level decides.
        levels: (P,) int64, the level that decided, -1 where none did.

    Raises:
        ConfigError: shapes do not fit, or a margin is negative or NaN.

    >>> import numpy as np
    >>> a, b = np.array([[5.0, 0.2]]), np.array([[4.8, 0.9]])
    >>> labels, levels = hierarchical_preferences(a, b, np.array([1.0, 0.5]))
    >>> labels.tolist(), levels.tolist()  # 5.0 and 4.8 lie within the margin, 0.9 beats 0.2
    ([-1], [1])
    """
    i, j, margins, flips = _checked(factors_i, factors_j, margins, signs)
    labels = np.zeros(len(i), np.int8)
    levels = np.full(len(i), -1, np.int64)
    left: np.ndarray | slice = slice(None)
    for level in range(i.shape[1]):
        gap = i[left, level] - j[left, level]
        better = (gap > margins[level]).view(np.int8) - (gap < -margins[level]).view(np.int8)
        decided = better != 0
        rows = np.arange(len(i)) if isinstance(left, slice) else left
        labels[left] = -better if flips[level] else better
        levels[rows[decided]] = level
        left = rows[~decided]
        if not len(left):
            break
    return labels, levels


def cycle_rate(
    sums: np.ndarray, margins: np.ndarray, rng: np.random.Generator, triples: int = 2000
) -> float:
    """Return the share of cycles among random triples whose three pairs are all decided.

    Args:
        sums: (U, F) factors of every unit, more being better.
        margins: (F,).
        rng: Draws the triples.
        triples: How many.
    """
    a, b, c = rng.integers(0, len(sums), (3, triples))
    ab, _ = hierarchical_preferences(sums[a], sums[b], margins)
    bc, _ = hierarchical_preferences(sums[b], sums[c], margins)
    ca, _ = hierarchical_preferences(sums[c], sums[a], margins)
    decided = (ab != 0) & (bc != 0) & (ca != 0)
    cyclic = decided & (ab == bc) & (bc == ca)
    return float(cyclic.sum() / max(int(decided.sum()), 1))


def _checked(
    factors_i: np.ndarray, factors_j: np.ndarray, margins: np.ndarray, signs: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    i, j = np.asarray(factors_i, np.float64), np.asarray(factors_j, np.float64)
    margins = np.asarray(margins, np.float64)
    flips = np.zeros(len(margins), bool) if signs is None else np.asarray(signs) < 0
    if i.ndim != 2 or i.shape != j.shape or not i.shape[1:] == margins.shape == flips.shape:
        raise ConfigError(
            f"Pairs need factors (P, F) twice, with F margins and F signs; got {i.shape}, "
            f"{j.shape}, {margins.shape} and {flips.shape}."
        )
    if not (margins >= 0).all():
        raise ConfigError(f"Margins must be numbers of at least 0, got {margins.tolist()}.")
    return i, j, margins, flips
