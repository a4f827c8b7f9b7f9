"""How far apart two bounds are.

- `relative_gap`: their distance as a share, from 0 to 1.
"""

from __future__ import annotations

import math

__all__ = ["relative_gap"]

_EQUAL = 1e-9


def relative_gap(one: float, other: float) -> float:
    """Return `|one - other| / max(|one|, |other|)`, cut to 1; 1 for signs that differ or infinity.

    The gap of Berthold (2013), Measuring the impact of primal heuristics, section 2.

    Args:
        one: A bound.
        other: Another bound on the same objective.
    """
    if math.isinf(one) or math.isinf(other):
        return 1.0
    if abs(one - other) <= _EQUAL:
        return 0.0
    if one * other < 0.0:
        return 1.0
    return min(abs(one - other) / max(abs(one), abs(other)), 1.0)
