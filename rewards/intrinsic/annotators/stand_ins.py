"""Annotators for studies: your own function, and a worse annotator.

- `CallableAnnotator`: a function of captions.
- `NoisyAnnotator`: another annotator with errors, gaps and delay.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from rewardloom.errors import ConfigError
from rewardloom.rewards.intrinsic.annotators import checks
from rewardloom.rewards.intrinsic.annotators.chances import chances
from rewardloom.rewards.intrinsic.annotators.protocol import NO_LABEL, Annotator
from rewardloom.rewards.numbers import at_least_zero, check_integer, is_number
from rewardloom.typing import F64N

__all__ = ["CallableAnnotator", "NoisyAnnotator"]


class CallableAnnotator:
    """Labels captions by a function of yours, which is called with one caption or more.

    >>> keys = CallableAnnotator(lambda captions: ["key" in c for c in captions], "keys")
    >>> keys.label(["You take the key.", "A wall."])
    array([1., 0.])

    Args:
        fn: (captions) -> a number in [0, 1], a truth value, or None or NaN for no label, for each.
        name: What labels, and for which goal; goes into records.
        version: Change it when an answer of the function could change.
        compare: (pairs) -> 1 if the first shows more progress, 0 if the second, 0.5 for a tie, or
            None, for each.

    Attributes:
        name: As given. Likewise `version`.

    Raises:
        ConfigError: `fn` cannot be called, or the name or version is no text.
    """

    def __init__(
        self,
        fn: Callable[[Sequence[str]], Any],
        name: str,
        version: str = "1",
        compare: Callable[[Sequence[tuple[str, str]]], Any] | None = None,
    ):
        if not callable(fn) or not (compare is None or callable(compare)):
            raise ConfigError(f"fn and compare must be functions, got {fn!r} and {compare!r}.")
        if not (isinstance(name, str) and name and isinstance(version, str)):
            raise ConfigError(f"name and version must be texts, got {name!r} and {version!r}.")
        self.name, self.version = name, version
        self._fn, self._compare = fn, compare

    def label(self, captions: Sequence[str]) -> F64N:
        """See `Annotator.label`; raises `ConfigError` if the function's answers do not fit."""
        if not len(captions):
            return np.zeros(0)
        return checks.checked_answers(self.name, self._fn(captions), len(captions))

    def compare(self, pairs: Sequence[tuple[str, str]]) -> F64N:
        """See `Comparer.compare`; raises `ConfigError` if there is no function for it."""
        if self._compare is None:
            raise ConfigError(f"Annotator {self.name!r} was given no function to compare with.")
        if not len(pairs):
            return np.zeros(0)
        return checks.checked_answers(self.name, self._compare(pairs), len(pairs))


class NoisyAnnotator:
    """Answers as another annotator does, with errors, gaps and delay.

    Whether a caption's answer is turned round or missing depends on the seed and the caption only,
    not on when it is asked: a caption that is dropped stays without a label.

    Args:
        base: Who answers.
        flip: Share of captions (or pairs) whose answer y becomes 1 - y.
        drop: Share of captions (or pairs) without an answer.
        latency: Seconds that each call takes longer, whatever its size; `close` ends the wait.
        seed: Which captions are hit.

    Attributes:
        base: As given.
        name: "noisy:" and that of the base.
        version: That of the base and the settings.

    Raises:
        ConfigError: no annotator, a share outside [0, 1] or a negative latency.
    """

    def __init__(
        self,
        base: Annotator,
        *,
        flip: float = 0.0,
        drop: float = 0.0,
        latency: float = 0.0,
        seed: int = 0,
    ):
        self.base = checks.check_annotator(base)
        self.flip, self.drop = _share("flip", flip), _share("drop", drop)
        self.latency = at_least_zero("latency", latency)
        self.seed = check_integer("seed", seed, least=0)
        self.name = f"noisy:{base.name}"
        self.version = f"{base.version} flip={flip} drop={drop} seed={seed}"
        self._waiting = threading.Event()

    def __getstate__(self) -> dict[str, Any]:
        """Everything but what a thread waits for."""
        return {key: value for key, value in self.__dict__.items() if key != "_waiting"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore it."""
        self.__dict__.update(state)
        self._waiting = threading.Event()

    @property
    def available(self) -> bool:
        """Whether the base can be asked now."""
        return checks.is_available(self.base)

    def label(self, captions: Sequence[str]) -> F64N:
        """See `Annotator.label`."""
        return self._disturbed(captions, checks.label_with(self.base, captions))

    def compare(self, pairs: Sequence[tuple[str, str]]) -> F64N:
        """See `Comparer.compare`; raises `ConfigError` if the base does not compare."""
        answers = checks.compare_with(self.base, pairs)
        return self._disturbed(["\0".join(pair) for pair in pairs], answers)

    def metrics(self) -> dict[str, float]:
        """Return the counts of the base."""
        return checks.metrics_of(self.base)

    @property
    def depends_on_order(self) -> bool:
        """Whether the base's answers depend on what it was asked before."""
        return checks.depends_on_order(self.base)

    def state_dict(self) -> dict[str, Any]:
        """Return the state of the base; the noise has none."""
        return {"base": checks.state_of(self.base)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore it."""
        checks.restore(self.base, state["base"])

    def close(self) -> None:
        """End a wait, and close the base."""
        waiting, self._waiting = self._waiting, threading.Event()
        waiting.set()
        checks.close(self.base)

    def _disturbed(self, texts: Sequence[str], answers: F64N) -> F64N:
        if self.latency and len(texts):
            self._waiting.wait(self.latency)
        drawn = np.array([chances(self.seed, text) for text in texts]).reshape(-1, 2)
        answers = np.where(drawn[:, 0] < self.flip, 1.0 - answers, answers)
        return np.where(drawn[:, 1] < self.drop, NO_LABEL, answers)


def _share(name: str, value: Any) -> float:
    if not is_number(value) or not 0 <= value <= 1:
        raise ConfigError(f"{name} must be in [0, 1], got {value!r}.")
    return float(value)
