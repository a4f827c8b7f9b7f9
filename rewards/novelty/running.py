"""`RunningMoments`: mean and deviation of all rows so far."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

__all__ = ["RunningMoments"]

_SMALLEST = 1e-8  # deviation up to which an entry counts as constant


class RunningMoments:
    """Mean and deviation of all rows so far, entry by entry, merged batch by batch.

    The merge is that of Chan, Golub and LeVeque 1979 and starts from nothing: no made-up first
    row distorts the early values.

    Args:
        shape: Of one row; () for numbers.

    Attributes:
        count: Rows so far.
        mean: float64, of `shape`.
    """

    def __init__(self, shape: tuple[int, ...] = ()):
        self.count = 0
        self.mean = np.zeros(shape)
        self._squares = np.zeros(shape)  # summed squared differences from the mean

    def update(self, rows: np.ndarray) -> None:
        """Take in (M, *shape) rows, M > 0."""
        added = len(rows)
        mean = rows.mean(0, dtype=np.float64)
        total = self.count + added
        gap = mean - self.mean
        if added > 1:
            self._squares = self._squares + ((rows - mean) ** 2).sum(0)
        self._squares = self._squares + gap**2 * (self.count * added / total)
        self.mean = self.mean + gap * (added / total)
        self.count = total

    def deviation(self) -> np.ndarray:
        """Return the standard deviation; 1 where all rows were equal, or none came."""
        spread = np.sqrt(self._squares / max(self.count, 1))
        return np.where(spread > _SMALLEST, spread, 1.0)

    def state_dict(self) -> dict[str, Any]:
        """Return count, mean and spread."""
        return {"count": self.count, "mean": self.mean, "squares": self._squares}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        self.count = int(state["count"])
        self.mean = np.array(state["mean"], np.float64)
        self._squares = np.array(state["squares"], np.float64)
