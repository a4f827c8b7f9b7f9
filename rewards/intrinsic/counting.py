"""How often a caption was shown: in its episode, and in all of training.

- `CaptionCounter`: counts of both kinds.
- `COUNT_KEYS`: what makes two captions the same.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from rewardloom.errors import ConfigError, unknown_name
from rewardloom.rewards.ragged import repeats
from rewardloom.typing import F64T, I64E1

__all__ = ["COUNT_KEYS", "CaptionCounter", "template"]

_MAX_EPISODE = 100_000  # captions of one open episode
_MAX_LIFETIME = 1_000_000

_LETTER = re.compile(r"(?<![\w'])[a-zA-Z$] - ")
_LISTED = re.compile(r"\[[^\]]*\]|\([^)]*\)")
_NUMBER = re.compile(r"\d+")


def template(caption: str) -> str:
    """Return a caption without what only counts or names slots: numbers, lists, item letters.

    >>> template("$ - 5 gold pieces (17 in total).")
    '# gold pieces .'
    >>> template("What do you want to eat? [abd or ?*]")
    'What do you want to eat? '
    """
    return _NUMBER.sub("#", _LISTED.sub("", _LETTER.sub("", caption)))


COUNT_KEYS: dict[str, Callable[[str], str] | None] = {"raw": None, "template": template}
"""Name -> what captions are counted by; None counts exact texts."""


class CaptionCounter:
    """Counts captions per slot and episode, and per lifetime over all slots.

    Args:
        key: A name of `COUNT_KEYS`, or a function caption -> text.
        lifetime: Whether the lifetime is counted.

    Raises:
        ConfigError: no such key.
    """

    def __init__(self, key: str | Callable[[str], str] = "raw", *, lifetime: bool = False):
        if isinstance(key, str):
            if key not in COUNT_KEYS:
                raise ConfigError(unknown_name("count_key", key, COUNT_KEYS))
            self._key = COUNT_KEYS[key]
        elif callable(key):
            self._key = key
        else:
            raise ConfigError(
                f"count_key must be one of {', '.join(COUNT_KEYS)} or a function, got {key!r}."
            )
        self._lifetime: dict[str, int] | None = {} if lifetime else None
        self._episodes: list[dict[str, int]] = []
        self._keys: dict[str, str] = {}

    def bind(self, num_slots: int) -> None:
        """Set the number of slots and drop every open episode."""
        self._episodes = [{} for _ in range(num_slots)]

    def begin(self, slot: int, caption: str | None) -> None:
        """Start an episode; the caption shown at reset, if any, counts as its first."""
        self._episodes[slot] = {}
        if caption is not None:
            self._episodes[slot][self._keyed([caption])[0]] = 1

    def count(
        self, captions: Sequence[str], slots: Sequence[int], *, freeze: bool = False
    ) -> tuple[list[int], list[int] | None]:
        """Count one tick.

        Args:
            captions: (n,) of the slots that play.
            slots: (n,) which these are.
            freeze: True leaves the counts for life as they are.

        Returns:
            Count of each caption in its episode, the present time included; and the same for
            life, where the captions of a tick are counted together before any is read (None
            without `lifetime`).
        """
        keys = self._keyed(captions)
        found: list[int] = []
        for slot, key in zip(slots, keys, strict=True):
            counts = self._episodes[slot]
            counts[key] = times = counts.get(key, 0) + 1
            if times == 1 and len(counts) > _MAX_EPISODE:
                del counts[next(iter(counts))]
            found.append(times)
        return found, self._live(keys, freeze)

    def count_episodes(
        self,
        captions: Sequence[str],
        offsets: I64E1,
        starts: Sequence[str] | None,
        *,
        freeze: bool = False,
    ) -> tuple[F64T, F64T | None]:
        """Count whole episodes, which are none of the open ones.

        Args:
            captions: (T,) of E episodes laid end to end.
            offsets: (E + 1,) their borders.
            starts: (E,) captions at reset, or None.
            freeze: As in `count`.

        Returns:
            As `count`, (T,) float64; for life the rows are counted one after the other.
        """
        keys = list(self._keyed(captions))
        ids: dict[str, int] = {}
        rows = np.array([ids.setdefault(key, len(ids)) for key in keys], np.int64)
        first = offsets[:-1].tolist()
        episode = np.repeat(np.arange(len(first)), np.diff(offsets))
        counts = (1 + repeats(episode * max(len(ids), 1) + rows)).astype(np.float64)
        if starts is not None and len(rows):
            at_reset = np.array([ids.get(key, -1) for key in self._keyed(list(starts))], np.int64)
            counts += rows == at_reset[episode]
        if self._lifetime is None:
            return counts, None
        before = np.array([self._lifetime.get(key, 0) for key in ids], np.float64)
        life = before[rows]
        if not freeze:
            life += 1 + repeats(rows)
        self._live(keys, freeze)
        return counts, np.maximum(life, 1.0)

    def state_dict(self) -> dict[str, Any]:
        """Return the lifetime counts."""
        lifetime = self._lifetime or {}
        return {
            "keys": list(lifetime),
            "counts": np.fromiter(lifetime.values(), np.int64, len(lifetime)),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore the lifetime counts."""
        if self._lifetime is not None:
            counts = map(int, state["counts"])
            self._lifetime = dict(zip(state["keys"], counts, strict=True))

    def _keyed(self, captions: Sequence[str]) -> Sequence[str]:
        if self._key is None:
            return captions
        known, fold = self._keys, self._key
        if len(known) > _MAX_EPISODE:
            known.clear()
        return [known.get(c) or known.setdefault(c, fold(c)) for c in captions]

    def _live(self, keys: Sequence[str], freeze: bool) -> list[int] | None:
        counts = self._lifetime
        if counts is None:
            return None
        if not freeze:
            for key in keys:
                counts[key] = counts.get(key, 0) + 1
            while len(counts) > _MAX_LIFETIME:
                del counts[next(iter(counts))]
        return [counts.get(key, 0) or 1 for key in keys]
