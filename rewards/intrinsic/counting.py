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
from rewardloom.typing import F64N

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

    Attributes:
        frozen: True stops counting for life; episodes are counted still.

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
        self.frozen = False

    def bind(self, num_slots: int) -> None:
        """Set the number of slots and drop every open episode."""
        self._episodes = [{} for _ in range(num_slots)]

    def begin(self, slot: int, caption: str | None) -> None:
        """Start an episode; the caption shown at reset, if any, counts as its first."""
        self._episodes[slot] = {}
        if caption is not None:
            self._episodes[slot][self._keyed([caption])[0]] = 1

    def count(self, captions: Sequence[str], slots: Sequence[int]) -> tuple[F64N, F64N | None]:
        """Count one tick.

        Args:
            captions: (n,) of the slots that play.
            slots: (n,) which these are.

        Returns:
            (n,) count of each caption in its episode, the present time included; and the same for
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
        return np.array(found, np.float64), self._live(keys)

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

    def _live(self, keys: Sequence[str]) -> F64N | None:
        counts = self._lifetime
        if counts is None:
            return None
        if not self.frozen:
            for key in keys:
                counts[key] = counts.get(key, 0) + 1
            while len(counts) > _MAX_LIFETIME:
                del counts[next(iter(counts))]
        return np.array([counts.get(key, 0) or 1 for key in keys], np.float64)
