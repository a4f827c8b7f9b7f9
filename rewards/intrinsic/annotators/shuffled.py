"""`ShuffledAnnotator`: a control, the answers of an annotator, each given for another caption."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from rewardloom.errors import ConfigError
from rewardloom.rewards.intrinsic.annotators import checks
from rewardloom.rewards.intrinsic.annotators.chances import chances
from rewardloom.rewards.intrinsic.annotators.protocol import Annotator
from rewardloom.rewards.numbers import check_integer
from rewardloom.typing import F64N

__all__ = ["ShuffledAnnotator"]

_URN = 64
_MOST_PARTNERS = 1_000_000


class ShuffledAnnotator:
    """A control: the answers of an annotator, each given for another caption.

    Every caption is judged as if it were another one, its partner, for good; labels and comparisons
    agree on who that is. What a caption says then has no bearing on its label, while the labels
    given have the same shares as before. If a reward still helps under it, the words were not what
    helped.

    A caption's partner is drawn when it is first asked about, from an urn of captions asked before;
    then it enters the urn itself. While the urn holds fewer than 64 a partner stays in it; later it
    is taken out, so that each caption is partner to one other, but for the last 64. The very first
    caption is its own partner. The draws depend on the seed and the order of the captions, so urn
    and partners are a state, which `state_dict` returns, and a cache has to stand behind the
    shuffling, not before it.

    A world of few captions wants `captions`: with that list partners are fixed beforehand, by one
    random cycle through all of them, so that the labels given are exactly those of the list and no
    caption keeps its own. A caption beside the list gets one of the list, by the seed and its text
    alone. Without the list a rare event that is seen last can be partner to nobody.

    Args:
        base: Whose answers.
        seed: Of the draws.
        captions: All, or the usual, captions of the world.

    Attributes:
        base: As given.
        name: "shuffled:" and that of the base.
        version: That of the base, the seed and the captions.

    Raises:
        ConfigError: no annotator, a bad seed, or `captions` that are no list of texts.
    """

    def __init__(self, base: Annotator, seed: int = 0, captions: Sequence[str] | None = None):
        self.base = checks.check_annotator(base)
        self.seed = check_integer("seed", seed, least=0)
        self.name = f"shuffled:{base.name}"
        self.version = f"{base.version} seed={seed}"
        self._random = np.random.default_rng(seed)
        self._urn: list[str] = []
        self._partners: dict[str, str] = {}
        self._known = [] if captions is None else _checked_captions(captions)
        self._lock = threading.Lock()
        if known := self._known:
            digest = hashlib.blake2b(repr(known).encode("utf-8", "surrogatepass"), digest_size=4)
            self.version += f" captions={digest.hexdigest()}"
            order = [known[i] for i in self._random.permutation(len(known))]
            self._partners = dict(zip(order, order[1:] + order[:1], strict=True))

    def __getstate__(self) -> dict[str, Any]:
        """Everything but the lock."""
        return {key: value for key, value in self.__dict__.items() if key != "_lock"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore it, with a lock of its own."""
        self.__dict__.update(state)
        self._lock = threading.Lock()

    @property
    def depends_on_order(self) -> bool:
        """Whether partners are drawn from the urn, or the base's answers depend on the order."""
        return not self._known or checks.depends_on_order(self.base)

    @property
    def available(self) -> bool:
        """Whether the base can be asked now."""
        return checks.is_available(self.base)

    def label(self, captions: Sequence[str]) -> F64N:
        """See `Annotator.label`."""
        with self._lock:
            partners = [self._partner(caption) for caption in captions]
        distinct = {partner: i for i, partner in enumerate(dict.fromkeys(partners))}
        labels = checks.label_with(self.base, list(distinct))
        return labels[[distinct[partner] for partner in partners]]

    def compare(self, pairs: Sequence[tuple[str, str]]) -> F64N:
        """See `Comparer.compare`; raises `ConfigError` if the base does not compare."""
        with self._lock:
            partners = [(self._partner(first), self._partner(second)) for first, second in pairs]
        distinct = {pair: i for i, pair in enumerate(dict.fromkeys(partners))}
        answers = checks.compare_with(self.base, list(distinct))
        return answers[[distinct[pair] for pair in partners]]

    def metrics(self) -> dict[str, float]:
        """Return the counts of the base."""
        return checks.metrics_of(self.base)

    def close(self) -> None:
        """Close the base."""
        checks.close(self.base)

    def state_dict(self) -> dict[str, Any]:
        """Return urn, partners (a million at most), generator, and the state of the base."""
        with self._lock:
            return {
                "base": checks.state_of(self.base),
                "urn": list(self._urn),
                "captions": list(self._partners),
                "partners": list(self._partners.values()),
                "generator": self._random.bit_generator.state,
            }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on as the saved annotator would have."""
        checks.restore(self.base, state["base"])
        with self._lock:
            self._urn = list(state["urn"])
            self._partners = dict(zip(state["captions"], state["partners"], strict=True))
            self._random.bit_generator.state = state["generator"]

    def _partner(self, caption: str) -> str:
        partner = self._partners.get(caption)
        if partner is None and self._known:
            return self._known[int(chances(self.seed, caption)[0] * len(self._known))]
        if partner is None:
            urn, partner = self._urn, caption
            if urn:
                drawn = int(self._random.integers(len(urn)))
                partner = urn[drawn]
                if len(urn) >= _URN:
                    urn[drawn] = urn[-1]
                    urn.pop()
            urn.append(caption)
            self._partners[caption] = partner
            if len(self._partners) > _MOST_PARTNERS:
                del self._partners[next(iter(self._partners))]
        return partner


def _checked_captions(captions: Any) -> list[str]:
    """Return distinct captions in an order of their own."""
    texts = isinstance(captions, Sequence) and not isinstance(captions, str | bytes)
    if not texts or not captions or not all(isinstance(c, str) for c in captions):
        raise ConfigError(f"captions must be a list of texts, at least one, got {captions!r}.")
    return sorted(set(captions))
