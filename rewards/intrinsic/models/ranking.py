"""`RankingModel`: a network learns an order of captions from comparisons of two."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Literal, cast

import numpy as np
from numpy.typing import NDArray

from rewardloom.rewards.intrinsic.models.base import Item
from rewardloom.rewards.intrinsic.models.caption_data import (
    Pool,
    caption_key,
    checked_labels,
    remember,
)
from rewardloom.rewards.intrinsic.models.settings import RankingSettings
from rewardloom.rewards.intrinsic.models.trainer import CaptionTrainer
from rewardloom.rewards.learning.settings import read_settings
from rewardloom.typing import F64N

__all__ = ["RankingModel"]

_MOST_PUT_OFF = 100  # draws that an annotator without room is asked for later
_SMALLEST = 1e-6  # deviation, as a share of the largest score, that rounding alone can make


class RankingModel:
    r"""Pays z(c) 1[z(c) > eps], z being a network's score of caption c, standardized.

    The ranking form of ONI (Zheng et al. 2024, "Online Intrinsic Rewards for Decision Making
    Agents from Large Language Model Feedback"), with a smaller network. Its score f is trained by
    the cross-entropy to comparisons, sigma(f(first) - f(second)) being the probability that the
    first is better (Bradley-Terry; Christiano et al. 2017, eq. 1), a tie counting half for each.
    z = (f - m) / s, m and s being mean and deviation of f over the pool of captions, measured anew
    after every refit: our formulation, in which adding a number to f changes nothing. ONI keeps a
    running estimate across refits, and its published code pays f itself. Where s is 0, and before
    the first refit, every caption is worth 0.

    Args:
        learning: Sizes, schedule, threshold and pool; a mapping of `RankingSettings`' fields.

    Attributes:
        settings: The `RankingSettings`.
        table: Worths of the captions that were scored since the latest refit.

    Raises:
        ConfigError: a bad setting, or no such device.
        MissingDependency: torch is not installed.
    """

    annotates: Literal["captions", "pairs"] = "pairs"

    def __init__(self, learning: RankingSettings | Mapping[str, Any] | None = None):
        self.settings = read_settings(RankingSettings, learning)
        self.table: dict[str, float] = {}
        self._trainer = CaptionTrainer(self.settings)
        self._pool = Pool(self.settings.max_pool, self.settings.distinct)
        self._rng = np.random.default_rng((self.settings.seed, 1))
        self._until_entry = 0  # offered captions that are passed over before one enters the pool
        self._since_draw = 0
        self._mean, self._deviation, self._pruned = 0.0, 0.0, 0.0

    @property
    def refits(self) -> int:
        """How often the network was trained."""
        return self._trainer.refits

    @property
    def labels(self) -> int:
        """How many compared pairs are kept."""
        return len(self._trainer.store)

    def wanted(self, captions: Sequence[str], room: int) -> list[Item]:
        """Take some captions into the pool, and now and then draw pairs from it.

        Draws for which there is no room are put off, 100 at most.

        Args:
            captions: All captions of one tick or rollout, in their order.
            room: Most pairs to return.

        Returns:
            Pairs of different captions that have no label in either order, at most
            `pairs_per_draw` for every `draw_every` captions.
        """
        if self._trainer.wait(len(captions)):
            self._take_over()
        entering = captions[self._until_entry :: self.settings.subsample]
        self._until_entry += len(entering) * self.settings.subsample - len(captions)
        if entering:
            self._pool.add(entering)
        every, pairs = self.settings.draw_every, self.settings.pairs_per_draw
        self._since_draw = min(self._since_draw + len(captions), _MOST_PUT_OFF * every)
        count = min(room, self._since_draw // every * pairs)
        if count < 1:
            return []
        self._since_draw -= -(-count // pairs) * every
        return cast("list[Item]", self._pool.draw(count, self._rng, self._trainer.store))

    def learn(self, items: Sequence[Item], labels: NDArray[Any]) -> None:
        """Take in comparisons, a later one of a pair replacing the former.

        Args:
            items: Pairs of captions.
            labels: (len(items),) in [0, 1], the probability that the first is better.

        Raises:
            ConfigError: there is not one label in [0, 1] for each item.
        """
        checked = checked_labels(len(items), labels)
        pairs = cast("Sequence[tuple[str, str]]", items)
        keys = [(caption_key(first), caption_key(second)) for first, second in pairs]
        if self._trainer.learn(keys, checked):
            self._take_over()

    def values(self, captions: Sequence[str]) -> F64N:
        """Return z 1[z > eps] of distinct captions, 0 where there is nothing to standardize by."""
        if not self._deviation:
            return np.zeros(len(captions))
        values = self._worth(self._scores(captions))
        remember(self.table, captions, values, self.settings.max_table)
        return values

    def diagnostics(self) -> dict[str, float]:
        """Return what shows whether the network has learned.

        `labels` are the compared pairs that are kept, `ties` those with the label 0.5; `loss` is
        that of the latest refit. `accuracy` is the share of the latest 1,000 pairs whose order the
        network foretold before it was trained on them, ties left out. `pool` is its size, and
        `pruned_share` the part of it that eps makes worth 0.
        """
        judged = np.array(self._trainer.judged).reshape(-1, 2)
        judged = judged[judged[:, 1] != 0.5]
        right = (judged[:, 0] > 0) == (judged[:, 1] > 0.5)
        return {
            "labels": float(self.labels),
            "ties": float((self._trainer.store.array() == 0.5).sum()),
            "loss": self._trainer.loss,
            "accuracy": float(right.mean()) if len(right) else 0.0,
            "pool": float(len(self._pool.captions)),
            "pruned_share": self._pruned,
            "refits": float(self.refits),
        }

    def state_dict(self) -> dict[str, Any]:
        """Return comparisons, pool, network, optimizer, generators, counters and table."""
        return {
            "trainer": self._trainer.state_dict(),
            "pool": list(self._pool.captions),
            "generator": self._rng.bit_generator.state,
            "until_entry": self._until_entry,
            "since_draw": self._since_draw,
            "mean": self._mean,
            "deviation": self._deviation,
            "pruned": self._pruned,
            "captions": list(self.table),
            "values": np.array(list(self.table.values()), np.float64),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on as the saved model would have.

        Raises:
            ConfigError: its network has other sizes.
        """
        self._trainer.load_state_dict(state["trainer"])
        self._pool = Pool(self.settings.max_pool, self.settings.distinct)
        self._pool.add(state["pool"])
        self._rng.bit_generator.state = state["generator"]
        self._until_entry, self._since_draw = state["until_entry"], state["since_draw"]
        self._mean, self._deviation = state["mean"], state["deviation"]
        self._pruned = state["pruned"]
        self.table = {}
        remember(self.table, state["captions"], state["values"], self.settings.max_table)

    def _take_over(self) -> None:
        """Pay by the network as it was just trained."""
        self._measure()
        self.table.clear()

    def _scores(self, captions: Sequence[str]) -> NDArray[np.float64]:
        return self._trainer.learner.scores([caption_key(caption) for caption in captions])

    def _worth(self, scores: NDArray[np.float64]) -> F64N:
        standard = (scores - self._mean) / self._deviation
        return np.where(standard > self.settings.eps, standard, 0.0)

    def _measure(self) -> None:
        """Take mean and deviation of the scores over the pool, as often as captions are in it."""
        counts = Counter(self._pool.captions)
        self._mean, self._deviation, self._pruned = 0.0, 0.0, 0.0
        if not counts:
            return
        scores = self._scores(list(counts))
        weights = np.array(list(counts.values())) / counts.total()
        mean = weights @ scores
        deviation = float(np.sqrt(weights @ (scores - mean) ** 2))
        if deviation > _SMALLEST * np.abs(scores).max():
            self._mean, self._deviation = float(mean), deviation
            self._pruned = float(weights @ (self._worth(scores) == 0.0))
