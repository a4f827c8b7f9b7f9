"""`CaptionTrainer`: annotations, and the schedule by which a network learns them."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rewardloom.errors import MissingDependency
from rewardloom.rewards.intrinsic.models.caption_data import Key, Labels
from rewardloom.rewards.intrinsic.models.settings import CaptionLearning

__all__ = ["CaptionTrainer"]

_MOST_REFITS = 10  # at once
_JUDGED = 1000  # latest labels by which the network is judged


class CaptionTrainer:
    """Stores annotations and trains a network when enough of them are new.

    Args:
        settings: Sizes and schedule.

    Attributes:
        store: The annotations.
        refits: How often the network was trained: `gradient_steps` each.
        loss: The mean loss of the latest refit, 0.0 before.
        judged: (log-odds, label) of the latest 1,000 annotations that the network was asked about
            before it was trained on them.

    Raises:
        MissingDependency: torch is not installed.
    """

    def __init__(self, settings: CaptionLearning):
        try:  # here, since it needs torch
            from rewardloom.rewards.intrinsic.models.caption_net import CaptionLearner
        except ImportError as error:
            raise MissingDependency(
                'A learned model of captions needs torch. Run: pip install "rewardloom[baselines]"'
            ) from error
        self._settings = settings
        self.learner = CaptionLearner(settings)
        self.store = Labels(settings.max_labels)
        self.refits = 0
        self.loss = 0.0
        self.judged: deque[tuple[float, float]] = deque(maxlen=_JUDGED)
        self._unseen: dict[Key, float] = {}
        self._fresh = 0  # labels that await a refit
        self._waited = 0  # captions since the last of them
        self._taken = 0

    def learn(self, keys: Sequence[Key], labels: NDArray[np.float64]) -> bool:
        """Store annotations, train if it is time, and return whether it was.

        Many at once bring about as many refits as if they had come one by one, up to 10; those
        above are made up for at the next call.
        """
        fresh = self._fresh
        for key, label in zip(keys, labels.tolist(), strict=True):
            new = key not in self.store
            self._taken += new
            self._fresh += self.store.add(key, label)
            if new or key in self._unseen:
                self._unseen[key] = label
        if self._fresh > fresh:
            self._waited = 0
        settings = self._settings
        if len(self.store) < settings.min_labels:  # one that is rare here is known without delay
            due = self.refits > 0 and self._fresh > 0
        else:
            due = self._fresh >= (settings.refit_labels if self.refits else 1)
        if due:
            self._refit()
        return due

    def wait(self, captions: int) -> bool:
        """Count captions that were offered; train and return True if labels waited too long."""
        if not self._fresh:
            return False
        self._waited += captions
        if self._waited < self._settings.patience:
            return False
        self._refit()
        return True

    def state_dict(self) -> dict[str, Any]:
        """Return annotations, network and counters."""
        return {
            "store": self.store.state_dict(),
            "learner": self.learner.state_dict(),
            "refits": self.refits,
            "loss": self.loss,
            "judged": list(self.judged),
            "unseen": dict(self._unseen),
            "fresh": self._fresh,
            "waited": self._waited,
            "taken": self._taken,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        self.learner.load_state_dict(state["learner"])
        self.store.load_state_dict(state["store"])
        self.refits = state["refits"]
        self.loss = state["loss"]
        self.judged = deque(map(tuple, state["judged"]), maxlen=_JUDGED)
        self._unseen = dict(state["unseen"])
        self._fresh = state["fresh"]
        self._waited = state["waited"]
        self._taken = state["taken"]

    def _refit(self) -> None:
        if self.refits and self._unseen:
            foretold = self.learner.logits(list(self._unseen)).tolist()
            self.judged.extend(zip(foretold, self._unseen.values(), strict=True))
        self._unseen.clear()
        settings = self._settings
        every = settings.refit_labels
        fresh = self._fresh if self.refits else self._fresh - settings.min_labels + every
        refits = min(max(fresh // every, 1), _MOST_REFITS)
        self._fresh, self._waited = max(fresh - refits * every, 0), 0
        slow = self._taken > settings.slow_after
        steps = settings.gradient_steps_slow if slow else settings.gradient_steps
        self.loss = self.learner.fit(self.store.keys, self.store.array(), refits * steps)
        self.refits += refits
