"""Having captions annotated, at once.

- `Source`: who answers.
- `Labeler`: the protocol; `rewardloom.rewards.intrinsic.background` has the one that never waits.
- `ImmediateLabeler`: asks in `submit`; deterministic.
- `Tries`: which items had no answer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from rewardloom.rewards.intrinsic.annotators.checks import checked_answers
from rewardloom.rewards.intrinsic.models.base import Item
from rewardloom.rewards.numbers import check_integer

__all__ = ["Ask", "ImmediateLabeler", "Labeler", "Source", "Tries"]

Ask: TypeAlias = Callable[[Sequence[Any]], NDArray[Any]]
"""`Annotator.label` or `Comparer.compare`: one number in [0, 1] or NaN per item."""

_MAX_GIVEN_UP = 100_000


def _always() -> bool:
    return True


def _nothing() -> None:
    return


class Source(NamedTuple):
    """Who answers.

    Attributes:
        ask: Answers.
        name: The annotator's, for messages.
        available: Whether asking makes sense now; what has no answer while it does not, was not
            tried.
        stop: Makes `ask` abandon what is in flight.
    """

    ask: Ask
    name: str = ""
    available: Callable[[], bool] = _always
    stop: Callable[[], None] = _nothing

    def answers(self, items: Sequence[Item]) -> NDArray[np.float64]:
        """Return (len(items),) answers.

        Raises:
            ConfigError: there is not one number in [0, 1] or NaN for each item.
        """
        return checked_answers(self.name, self.ask(items), len(items))


class Labeler(Protocol):
    """Takes items and gives back annotated ones."""

    @property
    def room(self) -> int:
        """Items that can be taken now without dropping others."""
        ...

    @property
    def pending(self) -> int:
        """Items taken and not yet answered."""
        ...

    @property
    def arrived(self) -> bool:
        """Whether `collect` would return something."""
        ...

    def submit(self, items: Sequence[Item]) -> None:
        """Have items annotated; those that wait already or were given up are passed over."""
        ...

    def collect(self) -> tuple[list[Item], NDArray[np.float64]]:
        """Return items answered since the last call with their labels, none of them NaN."""
        ...

    def metrics(self) -> dict[str, float]:
        """Return counts; the keys never change."""
        ...

    def close(self) -> None:
        """Stop what runs; a later `submit` starts it again."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """Return the counts and what had no answer."""
        ...

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        ...


class Tries:
    """Remembers items without an answer, and those that got none too often."""

    def __init__(self, max_tries: int):
        self.max_tries = max_tries
        self.unanswered = 0
        self._tries: dict[Item, int] = {}
        self.given_up: dict[Item, None] = {}

    def failed(self, item: Item) -> bool:
        """Note one more try without an answer; return whether the item is given up."""
        self.unanswered += 1
        tries = self._tries.pop(item, 0) + 1
        if tries < self.max_tries:
            _bounded(self._tries, item, tries)
            return False
        _bounded(self.given_up, item, None)
        return True

    def state_dict(self) -> dict[str, Any]:
        """Return the tries as plain Python."""
        return {
            "unanswered": self.unanswered,
            "tries": list(self._tries.items()),
            "given_up": list(self.given_up),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        self.unanswered = state["unanswered"]
        self._tries = dict(state["tries"])
        self.given_up.clear()
        self.given_up.update(dict.fromkeys(state["given_up"]))


def _bounded(entries: dict[Item, Any], item: Item, value: Any) -> None:
    entries[item] = value
    if len(entries) > _MAX_GIVEN_UP:
        del entries[next(iter(entries))]


class ImmediateLabeler:
    """Annotates items in `submit`.

    What the annotator raises is raised to the caller. An item without an answer is asked again
    when it is submitted again, `max_tries` times in all; times when the annotator was not
    available do not count.

    Args:
        source: Who answers.
        max_tries: At least 1.
    """

    def __init__(self, source: Source, *, max_tries: int = 3):
        self._source = source
        self._tries = Tries(check_integer("max_tries", max_tries))
        self._done: dict[Item, float] = {}
        self._answered = 0
        self.room = 1_000_000
        self.pending = 0

    @property
    def arrived(self) -> bool:
        """Whether `collect` would return something."""
        return bool(self._done)

    def submit(self, items: Sequence[Item]) -> None:
        """See `Labeler.submit`."""
        given_up, done = self._tries.given_up, self._done
        fresh = [item for item in dict.fromkeys(items) if item not in given_up and item not in done]
        if not fresh or not self._source.available():
            return
        labels = self._source.answers(fresh).tolist()
        tried = self._source.available()
        for item, label in zip(fresh, labels, strict=True):
            if label == label:
                done[item] = label
                self._answered += 1
            elif tried:
                self._tries.failed(item)

    def collect(self) -> tuple[list[Item], NDArray[np.float64]]:
        """See `Labeler.collect`."""
        done, self._done = self._done, {}
        return list(done), np.fromiter(done.values(), np.float64, len(done))

    def metrics(self) -> dict[str, float]:
        """Return `answered`, `unanswered` tries and items `given_up`."""
        return {
            "answered": float(self._answered),
            "unanswered": float(self._tries.unanswered),
            "given_up": float(len(self._tries.given_up)),
        }

    def close(self) -> None:
        """Nothing runs."""

    def state_dict(self) -> dict[str, Any]:
        """Return the counts and what had no answer."""
        return {"answered": self._answered, "tries": self._tries.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        self._answered = state["answered"]
        self._tries.load_state_dict(state["tries"])
