"""`PreferenceLearning`: how a model of preferences is trained, and when."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from rewardloom.errors import ConfigError

__all__ = ["LARGEST_GAP", "PreferenceLearning"]

LARGEST_GAP = 50.0
"""Differences of scores are clipped at this before the Bradley-Terry loss."""


@dataclasses.dataclass(frozen=True)
class PreferenceLearning:
    """Sizes and schedule.

    Attributes:
        first_refit: Steps of finished episodes before the first refit.
        refit_every: Such steps between refits.
        pairs: Random pairs drawn at a refit.
        holdout: Share of the decided pairs that is kept to measure accuracy, in [0, 1).
        max_episodes, max_steps, max_bytes: What the store keeps at most, the oldest episode leaving
            first and the newest always staying; a refit needs a few times its memory.
        hidden: Sizes of the network's hidden layers.
        learning_rate: Of Adam, which starts anew at each refit; the weights go on.
        gradient_steps: Per refit and network.
        batch_pairs: Pairs per gradient step.
        ensemble: Networks, whose mean is paid.
        label_smoothing: Probability in [0, 0.5) that a label is taken to be wrong.
        output_penalty: Weight of the mean squared output in the loss.
        seed: Of pairs and weights.
        device: Of the network's gradient steps, "cpu" or a GPU of this machine such as "cuda";
            rewards are always computed on the CPU.

    Raises:
        ConfigError: a number is out of range.
    """

    first_refit: int = 1000
    refit_every: int = 2000
    pairs: int = 10_000
    holdout: float = 0.2
    max_episodes: int = 1000
    max_steps: int = 50_000
    max_bytes: int = 2**30
    hidden: Sequence[int] = (64, 64)
    learning_rate: float = 1e-3
    gradient_steps: int = 200
    batch_pairs: int = 256
    ensemble: int = 1
    label_smoothing: float = 0.0
    output_penalty: float = 0.0
    seed: int = 0
    device: str = "cpu"

    def __post_init__(self) -> None:
        counts = ("first_refit", "refit_every", "pairs", "max_episodes", "max_steps", "max_bytes")
        for name in (*counts, "gradient_steps", "batch_pairs", "ensemble"):
            _check_count(name, getattr(self, name))
        if isinstance(self.hidden, str | int):
            raise ConfigError(f"hidden must list layer sizes, got {self.hidden!r}.")
        for size in self.hidden:
            _check_count("hidden", size)
        object.__setattr__(self, "hidden", tuple(self.hidden))
        _check_range("holdout", self.holdout, 0.0, 1.0)
        _check_range("label_smoothing", self.label_smoothing, 0.0, 0.5)
        _check_range("output_penalty", self.output_penalty, 0.0, float("inf"))
        _check_range("learning_rate", self.learning_rate, 0.0, float("inf"))


def _check_count(name: str, value: Any) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ConfigError(f"learning: {name} must be a whole number above 0, got {value!r}.")


def _check_range(name: str, value: Any, low: float, high: float) -> None:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not low <= value < high:
        raise ConfigError(f"learning: {name} must be in [{low:g}, {high:g}), got {value!r}.")
