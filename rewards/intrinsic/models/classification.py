"""`ClassificationModel`: a network learns which captions an annotator finds helpful."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any, Literal, cast

import numpy as np
from numpy.typing import NDArray

from rewardloom.rewards.intrinsic.models.base import Item
from rewardloom.rewards.intrinsic.models.caption_data import (
    Key,
    caption_key,
    checked_labels,
    remember,
)
from rewardloom.rewards.intrinsic.models.settings import ClassificationSettings
from rewardloom.rewards.intrinsic.models.trainer import CaptionTrainer
from rewardloom.rewards.learning.settings import read_settings
from rewardloom.typing import F64N

__all__ = ["ClassificationModel"]

_SHOWN = 1000  # latest scored captions of which the paid share is shown


class ClassificationModel:
    r"""Pays 1[p(c) > eta], p being a network's probability that caption c is helpful.

    The classification form of ONI (Zheng et al. 2024, "Online Intrinsic Rewards for Decision
    Making Agents from Large Language Model Feedback"), with a smaller network of one logit, which
    is the difference of ONI's two. It is trained by the cross-entropy to the annotator's labels,
    unweighted; a label may be a probability. Every caption is scored by the network, labelled or
    not, from the first refit on; before, all are worth 0, while ONI pays what an untrained network
    says.

    Args:
        learning: Sizes, schedule and threshold; a mapping of `ClassificationSettings`' fields.

    Attributes:
        settings: The `ClassificationSettings`.
        table: Worths of the captions that were scored since the latest refit.

    Raises:
        ConfigError: a bad setting, or no such device.
        MissingDependency: torch is not installed.
    """

    annotates: Literal["captions", "pairs"] = "captions"

    def __init__(self, learning: ClassificationSettings | Mapping[str, Any] | None = None):
        self.settings = read_settings(ClassificationSettings, learning)
        self.table: dict[str, float] = {}
        self._trainer = CaptionTrainer(self.settings)
        self._paid: deque[float] = deque(maxlen=_SHOWN)
        eta = self.settings.eta
        self._threshold = math.log(eta / (1 - eta)) if eta else -math.inf  # p > eta, as log-odds

    @property
    def refits(self) -> int:
        """How often the network was trained."""
        return self._trainer.refits

    @property
    def labels(self) -> int:
        """How many captions with a label are kept."""
        return len(self._trainer.store)

    def wanted(self, captions: Sequence[str], room: int) -> list[Item]:
        """Return the newest captions without a label, see `CaptionModel.wanted`."""
        if self._trainer.wait(len(captions)):
            self.table.clear()  # the network has changed
        chosen: dict[Key, Item] = {}
        store = self._trainer.store
        for caption in reversed(captions):
            if len(chosen) >= room:
                break
            key = (caption_key(caption),)
            if key not in store:
                chosen.setdefault(key, caption)
        return list(chosen.values())[::-1]

    def learn(self, items: Sequence[Item], labels: NDArray[Any]) -> None:
        """Take in labels, a later one of a caption replacing the former; see `CaptionModel.learn`.

        Raises:
            ConfigError: there is not one label in [0, 1] for each item.
        """
        checked = checked_labels(len(items), labels)
        keys = [(caption_key(caption),) for caption in cast("Sequence[str]", items)]
        if self._trainer.learn(keys, checked):
            self.table.clear()  # the network has changed

    def values(self, captions: Sequence[str]) -> F64N:
        """Return 1[p > eta] of distinct captions, 0 before the first refit."""
        if not self.refits:
            return np.zeros(len(captions))
        logits = self._trainer.learner.scores([caption_key(caption) for caption in captions])
        values = self._helpful(logits).astype(np.float64)
        remember(self.table, captions, values, self.settings.max_table)
        self._paid.extend(values.tolist())
        return values

    def diagnostics(self) -> dict[str, float]:
        """Return what shows whether the network has learned.

        `labels` are those kept, `positives` those of at least 0.5; `loss` is that of the latest
        refit. `accuracy` is the share of labels that the network foretold before it was trained on
        them, `recall` that among the positive ones: what most captions say is unhelpful, so that a
        network that pays nothing is accurate too. `positive_share` is the paid share of captions
        that were scored. The latest 1,000 count; without any, these three are 0.
        """
        judged = np.array(self._trainer.judged).reshape(-1, 2)
        foretold, positive = self._helpful(judged[:, 0]), judged[:, 1] >= 0.5
        return {
            "labels": float(self.labels),
            "positives": float((self._trainer.store.array() >= 0.5).sum()),
            "loss": self._trainer.loss,
            "accuracy": _mean(foretold == positive),
            "recall": _mean(foretold[positive]),
            "positive_share": _mean(np.array(self._paid)),
            "refits": float(self.refits),
        }

    def state_dict(self) -> dict[str, Any]:
        """Return labels, network, optimizer, generator, counters and table."""
        return {
            "trainer": self._trainer.state_dict(),
            "captions": list(self.table),
            "values": np.array(list(self.table.values()), np.float64),
            "paid": list(self._paid),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on as the saved model would have.

        Raises:
            ConfigError: its network has other sizes.
        """
        self._trainer.load_state_dict(state["trainer"])
        self.table = {}
        remember(self.table, state["captions"], state["values"], self.settings.max_table)
        self._paid = deque(state["paid"], maxlen=_SHOWN)

    def _helpful(self, logits: NDArray[np.float64]) -> NDArray[np.bool_]:
        return logits > self._threshold


def _mean(values: NDArray[Any]) -> float:
    return float(values.mean()) if len(values) else 0.0
