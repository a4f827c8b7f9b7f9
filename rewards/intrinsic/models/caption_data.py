"""Captions as bytes, and what is kept of their annotations.

- `caption_key`, `padded`: what a network reads of captions.
- `Labels`: annotations without duplicates, of bounded number.
- `Pool`: captions to be compared, of bounded number.
- `remember`: adds to a bounded table.
"""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from rewardloom.errors import ConfigError

__all__ = [
    "LONGEST",
    "PAD",
    "Key",
    "Labels",
    "Pool",
    "caption_key",
    "checked_labels",
    "padded",
    "remember",
]

LONGEST = 256
"""Bytes of a caption that are read; those behind them are cut off."""

PAD = 0xFF
"""Fills up short captions: UTF-8 never has this byte, while 0 may stand in a caption."""

_BUCKET = 32  # widths are multiples of it, so that few shapes occur
_DRAWS_PER_PAIR = 16  # since one caption drawn twice is no pair, and many may be known

Key: TypeAlias = tuple[bytes, ...]
"""What was annotated: one caption, or the two of a pair."""


def caption_key(caption: str) -> bytes:
    """Return what a network reads: the first 256 bytes of the caption in UTF-8.

    Lone surrogates, which UTF-8 does not know, are written as if it did. Captions that agree in
    these bytes are one caption to a network.
    """
    return caption[:LONGEST].encode("utf-8", "surrogatepass")[:LONGEST]


def padded(keys: Sequence[bytes]) -> NDArray[np.uint8]:
    """Return captions as a (len(keys), width) array, filled up with `PAD` on the right.

    The width is the longest caption's, rounded up to a multiple of 32.
    """
    longest = max(map(len, keys), default=0)
    width = max(_BUCKET, -(-longest // _BUCKET) * _BUCKET)
    fill = bytes([PAD])
    rows = b"".join([key.ljust(width, fill) for key in keys])
    return np.frombuffer(rows, np.uint8).reshape(len(keys), width)


def checked_labels(count: int, labels: NDArray[Any]) -> NDArray[np.float64]:
    """Return labels as float64, or raise `ConfigError` unless they are `count` in [0, 1]."""
    checked = np.asarray(labels, np.float64)
    if checked.shape != (count,) or not ((checked >= 0) & (checked <= 1)).all():
        raise ConfigError(f"Need {count} labels in [0, 1], got {labels!r}.")
    return checked


def remember(
    table: dict[str, float], captions: Sequence[str], values: NDArray[np.float64], limit: int
) -> None:
    """Add the worths of captions to a table; above `limit` entries the oldest leave."""
    table.update(zip(captions, values.tolist(), strict=True))
    surplus = len(table) - limit
    if surplus > 0:
        for caption in list(table)[:surplus]:
            del table[caption]


class Labels:
    """Annotations, by caption or by pair of captions; each is kept once, with its newest label.

    Args:
        limit: How many at most; the ones that came first leave first.

    Attributes:
        keys: What was annotated, at the row of its label.
    """

    def __init__(self, limit: int):
        self.limit = limit
        self.keys: list[Key] = []
        self._labels: list[float] = []
        self._rows: dict[Key, int] = {}
        self._oldest = 0

    def __len__(self) -> int:
        return len(self.keys)

    def __contains__(self, key: object) -> bool:
        return key in self._rows

    def array(self) -> NDArray[np.float64]:
        """Return the (len(self),) labels, at the rows of `keys`."""
        return np.array(self._labels, np.float64)

    def add(self, key: Key, label: float) -> bool:
        """Store an annotation; return whether it is new, or another one than before."""
        row = self._rows.get(key)
        if row is not None:
            changed = self._labels[row] != label
            self._labels[row] = label
            return changed
        row = len(self.keys)
        if row < self.limit:
            self.keys.append(key)
            self._labels.append(label)
        else:
            row = self._oldest
            self._oldest = (row + 1) % self.limit
            del self._rows[self.keys[row]]
            self.keys[row], self._labels[row] = key, label
        self._rows[key] = row
        return True

    def state_dict(self) -> dict[str, Any]:
        """Return the annotations as a list and an array."""
        return {
            "keys": list(self.keys),
            "labels": self.array(),
            "oldest": self._oldest,
            "limit": self.limit,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore them; of more than the limit, the newest."""
        keys, labels, first = list(state["keys"]), state["labels"].tolist(), state["oldest"]
        if state["limit"] != self.limit:
            keys = [*keys[first:], *keys[:first]][-self.limit :]
            labels = [*labels[first:], *labels[:first]][-self.limit :]
            first = 0
        self.keys, self._labels, self._oldest = keys, labels, first
        self._rows = {key: row for row, key in enumerate(keys)}


class Pool:
    """Captions that pairs are drawn from, of bounded number.

    Args:
        limit: How many at most; the oldest leave first.
        distinct: Whether a caption that is in the pool does not enter again.

    Attributes:
        captions: The oldest first.
    """

    def __init__(self, limit: int, distinct: bool):
        self.limit = limit
        self.distinct = distinct
        self.captions: list[str] = []
        self._held: set[str] = set()  # of a distinct pool

    def add(self, captions: Sequence[str]) -> None:
        """Take captions in."""
        if self.distinct:
            captions = [c for c in dict.fromkeys(captions) if c not in self._held]
            self._held.update(captions)
        self.captions.extend(captions)
        surplus = len(self.captions) - self.limit
        if surplus > 0:
            self._held.difference_update(self.captions[:surplus])
            del self.captions[:surplus]

    def draw(
        self, count: int, rng: np.random.Generator, known: Container[object]
    ) -> list[tuple[str, str]]:
        """Return uniformly drawn pairs of captions that differ to a network, each pair once.

        Fewer than `count` come back where nearly all captions are the same one, or nearly all
        pairs are known.

        Args:
            count: Most pairs.
            rng: Draws.
            known: Keys of pairs that are left out, in either order.
        """
        if not self.captions:
            return []
        drawn: dict[frozenset[bytes], tuple[str, str]] = {}
        for one, two in rng.integers(0, len(self.captions), (_DRAWS_PER_PAIR * count, 2)).tolist():
            first, second = self.captions[one], self.captions[two]
            key = caption_key(first), caption_key(second)
            if key[0] != key[1] and key not in known and key[::-1] not in known:
                drawn.setdefault(frozenset(key), (first, second))
                if len(drawn) == count:
                    break
        return list(drawn.values())
