"""`RetrievalModel`: a reward model that is a table of labelled captions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from rewardloom.rewards.intrinsic.models.base import Item
from rewardloom.rewards.numbers import check_integer
from rewardloom.typing import F64N

__all__ = ["RetrievalModel"]


class RetrievalModel:
    """A caption is worth its label; nothing is generalized.

    The retrieval form of ONI (Zheng et al. 2024). "5 gold pieces" and "6 gold pieces" are two
    captions; one without a label is worth 0 until it has one. Soft labels are paid as they are.

    Args:
        capacity: Most captions kept; the oldest are forgotten first, and asked again if they
            return.

    Attributes:
        table: caption -> label, in [0, 1].

    Raises:
        ConfigError: `capacity` is not at least 1.
    """

    annotates: Literal["captions", "pairs"] = "captions"
    refits = 0

    def __init__(self, *, capacity: int = 1_000_000):
        self.capacity = check_integer("capacity", capacity)
        self.table: dict[str, float] = {}

    @property
    def labels(self) -> int:
        """Captions with a label."""
        return len(self.table)

    def wanted(self, captions: Sequence[str], room: int) -> Sequence[Item]:
        """Return the captions without a label, the newest last; see `CaptionModel.wanted`."""
        if not room:
            return []
        table = self.table
        unknown = [c for c in dict.fromkeys(captions) if c not in table]
        return unknown[-room:]

    def learn(self, items: Sequence[Item], labels: NDArray[Any]) -> None:
        """Store labels; see `CaptionModel.learn`."""
        table = self.table
        for item, label in zip(items, labels.tolist(), strict=True):
            table[str(item)] = label
        while len(table) > self.capacity:
            del table[next(iter(table))]

    def values(self, captions: Sequence[str]) -> F64N:
        """Return the label of each caption, 0 where there is none."""
        return np.array([self.table.get(caption, 0.0) for caption in captions], np.float64)

    def diagnostics(self) -> dict[str, float]:
        """Return the number of `labels` and of `positives`, those of at least 0.5."""
        positives = sum(label >= 0.5 for label in self.table.values())
        return {"labels": float(len(self.table)), "positives": float(positives)}

    def state_dict(self) -> dict[str, Any]:
        """Return the table as a list of captions and an array of labels."""
        table = self.table
        return {
            "captions": list(table),
            "labels": np.fromiter(table.values(), np.float64, len(table)),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore the table."""
        labels = np.asarray(state["labels"], np.float64).tolist()
        self.table = dict(zip(state["captions"], labels, strict=True))
