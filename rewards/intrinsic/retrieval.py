"""`RetrievalModel`: a reward model that is a table of labelled captions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from rewardloom.errors import ConfigError
from rewardloom.rewards.intrinsic.annotators import Annotator

__all__ = ["RetrievalModel"]


class RetrievalModel:
    """Remembers an annotator's labels, caption by caption; the reward of a caption is its label.

    The retrieval form of ONI (Zheng et al. 2024). A caption that is not in the table is labelled
    at once. One that gets no label pays nothing, is not stored, and is asked again when it comes
    back. Nothing is generalized: "5 gold pieces" and "6 gold pieces" are two captions.

    Args:
        annotator: Who labels.
        capacity: Most captions kept; the oldest are forgotten first, and asked again if they
            return.

    Attributes:
        annotator: As given.
        table: caption -> label, in [0, 1]. Read it; change it through `ask` and `load_state_dict`.

    Raises:
        ConfigError: `annotator` is none, or `capacity` is not at least 1.
    """

    def __init__(self, annotator: Annotator, *, capacity: int = 1_000_000):
        if not isinstance(annotator, Annotator):
            raise ConfigError(
                f"annotator must have name, version and label(captions), got {annotator!r}."
            )
        if isinstance(capacity, bool) or not isinstance(capacity, int) or capacity < 1:
            raise ConfigError(f"capacity must be an integer >= 1, got {capacity!r}.")
        self.annotator = annotator
        self.capacity = capacity
        self.table: dict[str, float] = {}

    def ask(self, captions: Iterable[str]) -> dict[str, float]:
        """Return the labels of `captions`, having the unknown ones labelled in one call.

        Args:
            captions: Any texts, repeated or not.

        Returns:
            caption -> label; captions without a label are absent.

        Raises:
            ConfigError: a caption is no text, or the annotator broke its protocol.
        """
        table = self.table
        distinct = dict.fromkeys(captions)
        known = {caption: table[caption] for caption in distinct if caption in table}
        unseen = [caption for caption in distinct if caption not in known]
        if unseen:
            fresh = self._annotate(unseen)
            known |= fresh
            table |= fresh
            while len(table) > self.capacity:
                del table[next(iter(table))]
        return known

    def state_dict(self) -> dict[str, Any]:
        """Return the table and who made it, as plain Python and numpy."""
        return {
            "captions": list(self.table),
            "labels": np.fromiter(self.table.values(), float, len(self.table)),
            "annotator": self.annotator.name,
            "version": self.annotator.version,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore the table.

        Raises:
            ConfigError: another annotator, or another version of this one, made the table.
        """
        made_by = (state["annotator"], state["version"])
        own = (self.annotator.name, self.annotator.version)
        if made_by != own:
            raise ConfigError(
                f"These labels were made by annotator {made_by[0]!r}, version {made_by[1]!r}; this "
                f"reward model has {own[0]!r}, version {own[1]!r}. Use the same goal and rules, or "
                "start with an empty table."
            )
        labels = map(float, state["labels"])
        self.table = dict(zip(state["captions"], labels, strict=True))

    def _annotate(self, captions: list[str]) -> dict[str, float]:
        for caption in captions:
            if not isinstance(caption, str):
                raise ConfigError(
                    f"A caption must be a text, got {caption!r}. Let the world put one into info "
                    "at reset and at every step, '' where there is nothing to say."
                )
        labels = np.asarray(self.annotator.label(captions))
        if labels.shape != (len(captions),) or ((labels < 0) | (labels > 1)).any():
            raise ConfigError(
                f"Annotator {self.annotator.name!r} must return a label in [0, 1], or NaN for "
                f"none, for each of {len(captions)} captions, got {labels!r}."
            )
        pairs = zip(captions, labels.tolist(), strict=True)
        return {caption: float(label) for caption, label in pairs if label == label}
