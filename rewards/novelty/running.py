"""Running statistics.

- `RunningMoments`: mean and deviation of all rows so far.
- `FadingMean`: a mean that forgets.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np

__all__ = ["FadingMean", "RunningMoments", "Statistic"]

_SMALLEST = 1e-8  # deviation up to which an entry counts as constant


class Statistic(Protocol):
    """Numbers that a checkpoint holds."""

    def state_dict(self) -> dict[str, Any]:
        """Return them."""
        ...

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        ...


class RunningMoments:
    """Mean and deviation of all rows so far, entry by entry, merged batch by batch.

    The merge is that of Chan, Golub and LeVeque 1979 and starts from nothing: no made-up first
    row distorts the early values.

    Attributes:
        count: Rows so far.
        mean: float64, of a row's shape; 0 before the first.
        deviation: Likewise; 1 where all rows were equal, or none came.
    """

    def __init__(self) -> None:
        self.count = 0
        self.mean = np.zeros(())
        self._squares = np.zeros(())  # summed squared differences from the mean
        self.deviation = np.ones(())

    def update(self, rows: np.ndarray) -> None:
        """Take in (M, ...) rows, M > 0."""
        added = len(rows)
        mean = rows.mean(0, dtype=np.float64)
        total = self.count + added
        gap = mean - self.mean
        squares = self._squares + gap * gap * (self.count * added / total)
        if added > 1:
            squares = squares + np.square(rows - mean).sum(0)
        self.count, self.mean = total, self.mean + gap * (added / total)
        self._set(squares)

    def state_dict(self) -> dict[str, Any]:
        """Return count, mean and spread."""
        return {"count": self.count, "mean": self.mean, "squares": self._squares}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        self.count = int(state["count"])
        self.mean = np.array(state["mean"], np.float64)
        self._set(np.array(state["squares"], np.float64))

    def _set(self, squares: np.ndarray) -> None:
        self._squares = squares
        spread = np.sqrt(squares / max(self.count, 1))
        self.deviation = np.where(spread > _SMALLEST, spread, 1.0)


class FadingMean:
    """A mean in which the weight of a number falls by `decay` with every later one.

    Numbers of one call weigh the same. Early on it is the plain mean: no first value distorts it.

    Args:
        decay: In (0, 1).
    """

    def __init__(self, decay: float):
        self._decay = decay
        self._total = 0.0
        self._weight = 0.0

    def update(self, mean: float, count: int) -> None:
        """Take in `count` numbers by their mean."""
        kept = self._decay**count
        self._total = kept * self._total + (1.0 - kept) * mean
        self._weight = kept * self._weight + (1.0 - kept)

    def value(self) -> float:
        """Return the mean; 0 before the first number."""
        return self._total / self._weight if self._weight else 0.0

    def state_dict(self) -> dict[str, Any]:
        """Return the sums."""
        return {"total": self._total, "weight": self._weight}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        self._total, self._weight = float(state["total"]), float(state["weight"])
