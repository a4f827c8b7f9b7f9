"""`ReturnRange`: the range of the latest episodes' returns, which IRCR normalizes by."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Any

import numpy as np

from rewardloom.rewards.design import EpisodeBatch
from rewardloom.rewards.ragged import episode_sums, finished
from rewardloom.typing import F64N

__all__ = ["ReturnRange"]


class ReturnRange:
    """Keeps the returns of the latest finished episodes, the oldest leaving first.

    Args:
        max_episodes: How many.
        normalize: "mean" (the return per step, Gangwani et al. 2020) or "sum" (the return).

    Attributes:
        refits: How often returns were added.
    """

    def __init__(self, max_episodes: int, normalize: str):
        self.refits = 0
        self._normalize = normalize
        self._returns: deque[float] = deque(maxlen=max_episodes)

    def take_in(self, episodes: EpisodeBatch) -> None:
        """Add the returns of the finished episodes of a batch."""
        done = finished(episodes)
        if done.any():
            self._returns.extend(self._measure(episodes)[done].tolist())
            self.refits += 1

    def credit(self, episodes: EpisodeBatch) -> F64N:
        """Return (c - min) / (max - min) of each episode's c, clipped to [0, 1], (E,).

        0 where all returns are equal or none is known.
        """
        if not self._returns:
            return np.zeros(len(episodes.offsets) - 1)
        low, high = min(self._returns), max(self._returns)
        if high <= low:
            return np.zeros(len(episodes.offsets) - 1)
        return np.clip((self._measure(episodes) - low) / (high - low), 0.0, 1.0)

    def diagnostics(self) -> dict[str, float]:
        """Return `low`, `high` and the number of `episodes`, {} before the first."""
        if not self._returns:
            return {}
        return {
            "low": min(self._returns),
            "high": max(self._returns),
            "episodes": float(len(self._returns)),
        }

    def state_dict(self) -> dict[str, Any]:
        """Return the returns."""
        return {"returns": np.array(self._returns, np.float64), "refits": self.refits}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore them."""
        self._returns.clear()
        self._returns.extend(np.asarray(state["returns"]).tolist())
        self.refits = state["refits"]

    def _measure(self, episodes: EpisodeBatch) -> F64N:
        returns = episode_sums(episodes.reward, episodes.offsets)
        if self._normalize == "sum":
            return returns
        return returns / np.maximum(np.diff(episodes.offsets), 1)
