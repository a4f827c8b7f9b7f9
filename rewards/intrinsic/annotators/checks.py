"""What one annotator may ask of another that it stands before.

- `checked_answers`: an annotator's answers, of the right shape and range.
- `is_available`, `metrics_of`, `close`: what annotators without such methods are taken to say.
- `compare_with`: comparisons by an annotator that may have none.
- `state_of`, `restore`: what an annotator must remember so that its answers stay the same.
- `depends_on_order`: whether its answers depend on what it was asked before.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np

from rewardloom.errors import ConfigError
from rewardloom.rewards.intrinsic.annotators.protocol import Annotator, Comparer
from rewardloom.typing import F64N

__all__ = [
    "check_annotator",
    "checked_answers",
    "close",
    "compare_with",
    "depends_on_order",
    "is_available",
    "label_with",
    "metrics_of",
    "restore",
    "state_of",
]


@runtime_checkable
class _Closable(Protocol):
    def close(self) -> None: ...


@runtime_checkable
class _Measured(Protocol):
    def metrics(self) -> dict[str, float]: ...


@runtime_checkable
class _MayBeAway(Protocol):
    @property
    def available(self) -> bool: ...


@runtime_checkable
class _Stateful(Protocol):
    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state: Mapping[str, Any]) -> None: ...


@runtime_checkable
class _OrderBound(Protocol):
    @property
    def depends_on_order(self) -> bool: ...


def check_annotator(annotator: Any) -> Annotator:
    """Return `annotator`, or raise `ConfigError` if it lacks name, version or label."""
    if not isinstance(annotator, Annotator):
        raise ConfigError(
            f"An annotator must have name, version and label(captions), got {annotator!r}."
        )
    return annotator


def checked_answers(name: str, answers: Any, count: int) -> F64N:
    """Return answers as (count,) float64.

    Raises:
        ConfigError: another shape, or a number outside [0, 1] that is not NaN.
    """
    try:
        values = np.asarray(answers, np.float64)
    except (TypeError, ValueError):
        values = np.empty(0)
    in_range = ((values >= 0) & (values <= 1)) | np.isnan(values)
    if values.shape != (count,) or not in_range.all():
        raise ConfigError(
            f"Annotator {name!r} must return a number in [0, 1] or NaN for each of {count} items, "
            f"got {answers!r}."
        )
    return values


def label_with(annotator: Annotator, captions: Sequence[str]) -> F64N:
    """Return an annotator's labels, checked."""
    return checked_answers(annotator.name, annotator.label(captions), len(captions))


def compare_with(annotator: Annotator, pairs: Sequence[tuple[str, str]]) -> F64N:
    """Return an annotator's comparisons, checked.

    Raises:
        ConfigError: it has no `compare`; also where `pairs` is empty, so that a caller can find
            out beforehand.
    """
    if not isinstance(annotator, Comparer):
        raise ConfigError(
            f"Annotator {annotator.name!r} labels captions but has no compare(pairs)."
        )
    return checked_answers(annotator.name, annotator.compare(pairs), len(pairs))


def is_available(annotator: Annotator) -> bool:
    """Return whether asking makes sense now; True for an annotator that does not say."""
    return annotator.available if isinstance(annotator, _MayBeAway) else True


def metrics_of(annotator: Annotator) -> dict[str, float]:
    """Return an annotator's counts; none for one that has no `metrics`."""
    return annotator.metrics() if isinstance(annotator, _Measured) else {}


def close(annotator: Annotator) -> None:
    """Close an annotator that can be closed."""
    if isinstance(annotator, _Closable):
        annotator.close()


def state_of(annotator: Annotator) -> dict[str, Any] | None:
    """Return what `restore` needs, as plain Python; None for an annotator without `state_dict`."""
    return annotator.state_dict() if isinstance(annotator, _Stateful) else None


def restore(annotator: Annotator, state: Mapping[str, Any] | None) -> None:
    """Restore what `state_of` returned; nothing to do for None or one without a state."""
    if state is not None and isinstance(annotator, _Stateful):
        annotator.load_state_dict(state)


def depends_on_order(annotator: Annotator) -> bool:
    """Return whether answers depend on earlier questions; False for one that does not say."""
    return annotator.depends_on_order if isinstance(annotator, _OrderBound) else False
