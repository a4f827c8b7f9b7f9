"""`NoveltyLearning`: the sizes of the networks that tell what is new, and when they are trained."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from rewardloom.errors import ConfigError
from rewardloom.rewards.numbers import check_number, is_integer

__all__ = [
    "Learning",
    "NoveltyLearning",
    "check_count",
    "check_flag",
    "plain_learning",
]


@dataclasses.dataclass(frozen=True)
class NoveltyLearning:
    """Sizes and schedule; all defaults are ours.

    Attributes:
        hidden: Sizes of the hidden layers of every network.
        features: Size of the embedding, or of the random target.
        learning_rate: Of Adam, whose state goes on from one training to the next.
        train_every: Steps, of all slots together, between two trainings. A training goes through
            the steps since the last one and then forgets them: at most `train_every` steps and
            one tick are held.
        epochs: How often a training goes through them.
        batch_size: Steps per gradient step.
        warmup_steps: Steps at the start, of all slots together, in which statistics are gathered,
            nothing is trained and no bonus is paid.
        seed: Of weights and batches.
        device: Of the networks, "cpu" or a GPU of this machine such as "cuda".

    Raises:
        ConfigError: a number is out of range.
    """

    hidden: Sequence[int] = (64, 64)
    features: int = 32
    learning_rate: float = 1e-3
    train_every: int = 256
    epochs: int = 1
    batch_size: int = 64
    warmup_steps: int = 1000
    seed: int = 0
    device: str = "cpu"

    def __post_init__(self) -> None:
        for name in ("features", "train_every", "epochs", "batch_size"):
            check_count(f"learning: {name}", getattr(self, name))
        for name in ("warmup_steps", "seed"):
            check_count(f"learning: {name}", getattr(self, name), least=0)
        if isinstance(self.hidden, str) or not isinstance(self.hidden, Sequence):
            raise ConfigError(f"learning: hidden must list layer sizes, got {self.hidden!r}.")
        for size in self.hidden:
            check_count("learning: hidden", size)
        object.__setattr__(self, "hidden", tuple(self.hidden))
        check_number("learning: learning_rate", self.learning_rate, above=0.0)


Learning: TypeAlias = NoveltyLearning | Mapping[str, Any] | None
"""How the settings are given; None takes the defaults."""


def plain_learning(value: Learning) -> Mapping[str, Any] | None:
    """Return settings as a mapping, which the spec of an environment can hold."""
    return dataclasses.asdict(value) if isinstance(value, NoveltyLearning) else value


def check_flag(name: str, value: Any) -> bool:
    """Return a bool, or raise `ConfigError`."""
    if not isinstance(value, bool):
        raise ConfigError(f"{name} must be True or False, got {value!r}.")
    return value


def check_count(name: str, value: Any, *, least: int = 1) -> int:
    """Return a whole number that is at least `least`, or raise `ConfigError`."""
    if not is_integer(value) or value < least:
        raise ConfigError(f"{name} must be a whole number >= {least}, got {value!r}.")
    return int(value)
