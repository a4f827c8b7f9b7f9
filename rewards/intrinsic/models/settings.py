"""How the networks of captions are sized and trained.

- `CaptionLearning`: what both models have.
- `ClassificationSettings`, `RankingSettings`: one model's own.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from rewardloom.errors import ConfigError
from rewardloom.rewards.learning.device import check_device
from rewardloom.rewards.numbers import check_integer, check_number

__all__ = ["CaptionLearning", "ClassificationSettings", "RankingSettings"]


@dataclasses.dataclass(frozen=True)
class CaptionLearning:
    """Sizes and schedule.

    The schedule and `dropout` are those of ONI's code, spread over `refit_labels` labels; network,
    `learning_rate` and `batch_size` are ours, so small that a processor core can keep up.
    ONI's own come close with embedding=32, channels=(64,) * 6, kernel=7, hidden=(128, 512, 512),
    learning_rate=1e-4, batch_size=256.

    Attributes:
        embedding: Numbers per byte.
        channels: Of each convolution; the first two are followed by a pooling of 3.
        kernel: Width of the first two convolutions, odd; further ones are 3 wide.
        hidden: Widths of the layers between the convolutions and the score.
        dropout: Share of the last hidden layer that is silenced in training, in [0, 1).
        learning_rate: Of Adam.
        batch_size: Labels per gradient step.
        gradient_steps: Per refit.
        gradient_steps_slow: Per refit after `slow_after` labels.
        slow_after: Labels, in all, after which the model is nearly done.
        refit_labels: New labels that bring about a refit. While there are fewer than `min_labels`,
            any new one does, but for the first refit.
        min_labels: Labels before the first refit; until then every caption is worth 0.
        patience: Captions offered without a new label after which those that are there bring about
            a refit, however few: in a small world no others may come.
        max_labels: Labels kept, the oldest leaving first.
        max_table: Worths kept between refits, the oldest leaving first.
        seed: Of weights, batches and dropout.
        device: "cpu", or a GPU of this machine such as "cuda" or "cuda:1".

    Raises:
        ConfigError: a value is out of range, or there is no such device.
    """

    embedding: int = 16
    channels: Sequence[int] = (32, 64, 64)
    kernel: int = 5
    hidden: Sequence[int] = (64,)
    dropout: float = 0.1
    learning_rate: float = 3e-3
    batch_size: int = 64
    gradient_steps: int = 32
    gradient_steps_slow: int = 1
    slow_after: int = 25_000
    refit_labels: int = 50
    min_labels: int = 100
    patience: int = 2_000
    max_labels: int = 50_000
    max_table: int = 100_000
    seed: int = 0
    device: str = "cpu"

    def __post_init__(self) -> None:
        for name in ("channels", "hidden"):
            widths = getattr(self, name)
            if isinstance(widths, str) or not isinstance(widths, Sequence) or not widths:
                raise ConfigError(f"{name} must list at least one width, got {widths!r}.")
            object.__setattr__(self, name, tuple(widths))
            for width in widths:
                check_integer(name, width)
        for field in dataclasses.fields(self):
            if field.type == "int":
                least = 0 if field.name == "seed" else 1
                check_integer(field.name, getattr(self, field.name), least=least)
        if self.kernel % 2 == 0:
            raise ConfigError(f"kernel must be odd, got {self.kernel}.")
        if self.max_labels < self.min_labels:
            raise ConfigError(
                f"max_labels={self.max_labels} is below min_labels={self.min_labels}, so that "
                "the model would never be trained."
            )
        check_number("learning_rate", self.learning_rate, above=0.0)
        check_number("dropout", self.dropout)
        if not 0 <= self.dropout < 1:
            raise ConfigError(f"dropout must be in [0, 1), got {self.dropout!r}.")
        check_device(self.device)


@dataclasses.dataclass(frozen=True)
class ClassificationSettings(CaptionLearning):
    """Of `ClassificationModel`: those of `CaptionLearning`, and the threshold.

    Attributes:
        eta: Probability of being helpful above which a caption is worth 1, in [0, 1); more makes
            the reward sparser.
    """

    eta: float = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number("eta", self.eta)
        if not 0 <= self.eta < 1:
            raise ConfigError(f"eta must be in [0, 1), got {self.eta!r}.")


@dataclasses.dataclass(frozen=True)
class RankingSettings(CaptionLearning):
    """Of `RankingModel`: those of `CaptionLearning`, the threshold, and what is compared.

    Attributes:
        eps: Standard deviations from the pool's mean up to which a caption is worth 0.
        subsample: Every how many-th offered caption enters the pool.
        max_pool: Captions in the pool, the oldest leaving first.
        distinct: Leave out captions that the pool already has; without it, frequent captions are
            compared often, and weigh in mean and deviation.
        draw_every: Offered captions between two draws of pairs.
        pairs_per_draw: Pairs in one draw, at most.
    """

    eps: float = -0.5
    subsample: int = 10
    max_pool: int = 5_000
    distinct: bool = False
    draw_every: int = 100
    pairs_per_draw: int = 10

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number("eps", self.eps)
        if not isinstance(self.distinct, bool):
            raise ConfigError(f"distinct must be True or False, got {self.distinct!r}.")
        if self.max_pool < 2:
            raise ConfigError("max_pool must be at least 2: a pair has two captions.")
