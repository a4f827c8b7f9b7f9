"""`Visits`: how often each of a growing set of keys was seen, a batch of keys at a time."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import repeat
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rewardloom.rewards.ragged import repeats

__all__ = ["Visits"]

I64N = NDArray[np.int64]


class Visits:
    """Counts of keys: one look-up per key, the rest in arrays.

    Args:
        keys: Known keys, without repetition.
        counts: (len(keys),) how often each was seen.
    """

    def __init__(self, keys: Iterable[bytes] = (), counts: Any = ()):
        self._numbers = _Numbers(list(keys))
        self._counts = np.array(counts, np.int64)

    @property
    def keys(self) -> list[bytes]:
        """All keys, in the order in which they were first seen."""
        return list(self._numbers)

    @property
    def counts(self) -> I64N:
        """(len(keys),) how often each was seen, a copy."""
        return self._counts[: len(self._numbers)].copy()

    def look(self, keys: Sequence[bytes]) -> I64N:
        """Return how often each key was seen, without counting; 0 for unknown ones."""
        numbers = np.fromiter(map(self._numbers.get, keys, repeat(-1)), np.int64, len(keys))
        known = numbers >= 0
        seen = np.zeros(len(keys), np.int64)
        seen[known] = self._counts[numbers[known]]
        return seen

    def visit(self, keys: Sequence[bytes]) -> I64N:
        """Count keys, all before any is read; return how often each was seen by now."""
        numbers = self._find(keys)
        np.add.at(self._counts, numbers, 1)
        return self._counts[numbers]

    def visit_in_order(self, keys: Sequence[bytes]) -> I64N:
        """Count keys one after the other; return how often each was seen when it was counted."""
        numbers = self._find(keys)
        before = self._counts[numbers]
        np.add.at(self._counts, numbers, 1)
        return before + repeats(numbers) + 1

    def _find(self, keys: Sequence[bytes]) -> I64N:
        """Return the keys' numbers; new keys get the next ones."""
        numbers = np.fromiter(map(self._numbers.__getitem__, keys), np.int64, len(keys))
        missing = len(self._numbers) - len(self._counts)
        if missing > 0:  # room for as many again, so that growing costs each key a constant
            room = np.zeros(max(missing, len(self._counts)), np.int64)
            self._counts = np.concatenate([self._counts, room])
        return numbers


class _Numbers(defaultdict[bytes, int]):
    """Numbers new keys by themselves, at the speed of a plain look-up."""

    def __init__(self, keys: Sequence[bytes] = ()):
        super().__init__(None, zip(keys, range(len(keys)), strict=True))
        self.default_factory = self.__len__

    def __reduce__(self) -> tuple[Any, ...]:
        return _Numbers, (list(self),)
