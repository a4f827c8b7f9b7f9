"""What is compared: steps, segments or whole episodes of the stored experience.

- `Units`: the rows of each unit and its factors.
- `make_units`: cuts stored episodes into units.
- `Pairs`, `draw_pairs`: random pairs with their labels.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from rewardloom.rewards.heron.factors import Margins
from rewardloom.rewards.heron.labels import hierarchical_preferences
from rewardloom.typing import I64E1

__all__ = ["UNITS", "Pairs", "Units", "draw_pairs", "make_units", "unit_sums"]

UNITS = ("step", "segment", "episode")
"""What may be compared."""


class Units(NamedTuple):
    """U units of stored experience.

    Attributes:
        first: (U,) int64, the first row of each.
        lengths: (U,) int64.
        sums: (U, F), factors summed over its rows, more being better.
    """

    first: np.ndarray
    lengths: np.ndarray
    sums: np.ndarray


class Pairs(NamedTuple):
    """P random pairs of units, undecided ones included.

    Attributes:
        first, second: (P,) units.
        labels: (P,) int8, 1 where the first is better.
        levels: (P,) int64, -1 where undecided.
        margins: (F,) that were used.
    """

    first: np.ndarray
    second: np.ndarray
    labels: np.ndarray
    levels: np.ndarray
    margins: np.ndarray

    @property
    def ordered(self) -> tuple[np.ndarray, np.ndarray]:
        """Return winners and losers of the decided pairs, (D,) each."""
        won = self.labels > 0
        decided = self.labels != 0
        winner = np.where(won, self.first, self.second)[decided]
        loser = np.where(won, self.second, self.first)[decided]
        return winner, loser


def make_units(factors: np.ndarray, offsets: I64E1, unit: str, segment_length: int) -> Units:
    """Cut episodes laid end to end into units.

    Segments of `segment_length` rows follow each other from an episode's first row; the last one
    ends with the episode and may overlap the one before. A shorter episode is one segment.

    Args:
        factors: (T, F), more being better.
        offsets: (E + 1,); no episode is empty.
        unit: One of `UNITS`.
        segment_length: In rows.
    """
    if unit == "step":
        return Units(np.arange(len(factors)), np.ones(len(factors), np.int64), factors)
    first, lengths = offsets[:-1], np.diff(offsets)
    if unit == "segment":
        counts = -(-lengths // segment_length)
        within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        latest = np.repeat(np.maximum(lengths - segment_length, 0), counts)
        first = np.repeat(first, counts) + np.minimum(within * segment_length, latest)
        lengths = np.repeat(np.minimum(lengths, segment_length), counts)
    return Units(first, lengths, unit_sums(factors, first, lengths))


def draw_pairs(units: Units, margins: Margins, count: int, rng: np.random.Generator) -> Pairs:
    """Draw `count` random pairs of units and label them."""
    first, second = rng.integers(0, len(units.first), (2, count))
    resolved = margins.resolve(units.sums, first, second)
    labels, levels = hierarchical_preferences(units.sums[first], units.sums[second], resolved)
    return Pairs(first, second, labels, levels, resolved)


def unit_sums(values: np.ndarray, first: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Return the sum of `values` (T, ...) over the rows of each unit; units may overlap."""
    bounds = np.stack([first, first + lengths], axis=1).ravel()
    padded = np.concatenate([values, np.zeros((1, *values.shape[1:]))])  # bounds must be rows
    return np.add.reduceat(padded, bounds, axis=0)[::2]
