"""Running statistics.

- `RunningMoments`: mean and deviation of all rows so far.
- `FadingMoments`: mean and deviation of numbers, which forget.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np

__all__ = ["FadingMoments", "RunningMoments", "Statistic"]

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


class FadingMoments:
    """Mean and deviation in which the weight of a number falls by `decay` with every later one.

    Numbers of one call weigh the same. Early on all do: no first value distorts them.

    Args:
        decay: In (0, 1).

    Attributes:
        mean: 0 before the first number.
        deviation: 1 where all numbers were equal, or none came.
    """

    def __init__(self, decay: float):
        self._decay = decay
        self._weight = 0.0
        self._squares = 0.0  # mean squared difference from the mean
        self.mean = 0.0
        self.deviation = 1.0

    def update(self, numbers: np.ndarray) -> None:
        """Take in (M,) numbers, M > 0."""
        kept = self._decay ** len(numbers)
        self._weight = kept * self._weight + (1.0 - kept)
        share = (1.0 - kept) / self._weight  # of these in the mean
        gap = float(numbers.mean()) - self.mean
        spread = (1.0 - share) * self._squares + share * float(numbers.var())
        self.mean += share * gap
        self._set(spread + share * (1.0 - share) * gap**2)

    def state_dict(self) -> dict[str, Any]:
        """Return weight, mean and spread."""
        return {"weight": self._weight, "mean": self.mean, "squares": self._squares}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        self._weight, self.mean = float(state["weight"]), float(state["mean"])
        self._set(float(state["squares"]))

    def _set(self, squares: float) -> None:
        self._squares = squares
        spread = squares**0.5
        self.deviation = spread if spread > _SMALLEST else 1.0
