"""`Asking`: a reward model together with the annotator that teaches it."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from typing import Any, cast

from rewardloom.errors import ConfigError, unknown_name
from rewardloom.rewards.intrinsic.annotators import (
    Annotator,
    Comparer,
    GoalLike,
    ReplayAnnotator,
    Rules,
    checks,
    make_annotator,
)
from rewardloom.rewards.intrinsic.background import BackgroundLabeler
from rewardloom.rewards.intrinsic.labeling import Ask, ImmediateLabeler, Labeler, Source
from rewardloom.rewards.intrinsic.models.base import CaptionModel
from rewardloom.rewards.intrinsic.models.retrieval import RetrievalModel

__all__ = ["MODELS", "Asking", "annotator_for", "build_model"]

MODELS = ("retrieval", "classification", "ranking")


def build_model(name: str, learning: Mapping[str, Any] | None) -> CaptionModel:
    """Return the reward model called `name`; those with a network import torch.

    Raises:
        ConfigError: no such model, or a setting it does not have.
    """
    if name == "retrieval":
        if learning:
            raise ConfigError(
                f"model='retrieval' is a table and learns nothing; leave out learning={learning!r}."
            )
        return RetrievalModel()
    if name == "classification":
        from rewardloom.rewards.intrinsic.models.classification import ClassificationModel

        return ClassificationModel(learning)
    if name == "ranking":
        from rewardloom.rewards.intrinsic.models.ranking import RankingModel

        return RankingModel(learning)
    raise ConfigError(unknown_name("model", name, MODELS, where="of IntrinsicDesign"))


class Asking:
    """Says what captions are worth, and has those annotated that the model wants to know.

    Args:
        model: The reward model.
        annotator: Who annotates; must have `compare` where the model wants pairs.
        asynchronous: Whether a thread asks; see `BackgroundLabeler`.
        max_pending: See there. Likewise `batch_size` and `max_tries`.

    Raises:
        ConfigError: the annotator cannot do what the model needs, or a number is out of range.
    """

    def __init__(
        self,
        model: CaptionModel,
        annotator: Annotator,
        *,
        asynchronous: bool,
        max_pending: int,
        batch_size: int,
        max_tries: int,
    ):
        self.model = model
        self.annotator = annotator
        source = _source(model, annotator)
        self._labeler: Labeler
        if asynchronous:
            self._labeler = BackgroundLabeler(
                source,
                batch_size=batch_size,
                max_pending=max_pending,
                max_tries=max_tries,
            )
        else:
            self._labeler = ImmediateLabeler(source, max_tries=max_tries)
        self._pairs = model.annotates == "pairs"
        # ONI draws no more pairs while two calls' worth of them wait
        self._most_pairs = 2 * batch_size if asynchronous else self._labeler.room

    def worth(
        self, captions: list[str], *, ask: bool, learn: bool
    ) -> tuple[list[float], list[float]]:
        """Return the worth of captions, and 1.0 or 0.0 for whether the model knows it.

        Args:
            captions: Texts, repeated or not.
            ask: Whether unknown ones are given to the annotator.
            learn: Whether the answers that are there are learned from.
        """
        if ask and self._pairs:
            self.notice(captions)
        elif learn and self._labeler.arrived:
            self._learn()
        known = self._known(captions)
        if ask and None in known and not self._pairs:
            unknown = [c for c, value in zip(captions, known, strict=True) if value is None]
            if self.notice(unknown):
                known = self._known(captions)
        elif ask and not self._pairs:
            self.model.wanted(captions, 0)  # it counts how long nothing new has come
        if None not in known:
            return known, [1.0] * len(captions)  # pyright: ignore[reportReturnType] (no None in it)
        missing = dict.fromkeys(c for c, v in zip(captions, known, strict=True) if v is None)
        _check_texts(missing)
        found = dict(zip(missing, self.model.values(list(missing)).tolist(), strict=True))
        table = self.model.table
        filled = [found[c] if v is None else v for c, v in zip(captions, known, strict=True)]
        return filled, [float(c in table) for c in captions]

    def notice(self, captions: list[str]) -> bool:
        """Give captions to the annotator; return whether answers were there to learn from."""
        _check_texts(captions)
        labeler, room = self._labeler, len(captions)
        if self._pairs:
            room = max(0, min(labeler.room, self._most_pairs - labeler.pending))
        labeler.submit(self.model.wanted(captions, room))  # nothing too: it may have to restart
        if arrived := labeler.arrived:
            self._learn()
        return arrived

    def diagnostics(self) -> dict[str, float]:
        """Return what the model, the queue and the annotator say of themselves."""
        facts = {**self.model.diagnostics(), "pending": float(self._labeler.pending)}
        facts |= self._labeler.metrics()
        measured = checks.metrics_of(self.annotator)
        return facts | {f"annotator_{key}": float(value) for key, value in measured.items()}

    def close(self) -> None:
        """Stop the thread and the annotator's connections."""
        self._labeler.close()
        checks.close(self.annotator)

    def state_dict(self) -> dict[str, Any]:
        """Return what model, queue and annotator remember, and who annotated."""
        return {
            "model": self.model.state_dict(),
            "annotator": self.annotator.name,
            "version": self.annotator.version,
            "labeler": self._labeler.state_dict(),
            "answers": checks.state_of(self.annotator),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore the model and the counts.

        Raises:
            ConfigError: another annotator, or another version of this one, taught it.
        """
        made_by = (state["annotator"], state["version"])
        own = (self.annotator.name, self.annotator.version)
        if made_by != own:
            raise ConfigError(
                f"These labels were made by annotator {made_by[0]!r}, version {made_by[1]!r}; this "
                f"reward model has {own[0]!r}, version {own[1]!r}. Use the same goal and rules, or "
                "start with an empty table."
            )
        self.model.load_state_dict(state["model"])
        self._labeler.load_state_dict(state["labeler"])
        checks.restore(self.annotator, state["answers"])

    def _learn(self) -> None:
        self.model.learn(*self._labeler.collect())

    def _known(self, captions: list[str]) -> list[float | None]:
        try:
            return list(map(self.model.table.get, captions))
        except TypeError:  # not hashable, so no text
            _check_texts(captions)
            raise


def annotator_for(
    goal: GoalLike, annotator: Annotator | str | Mapping[str, Any] | None, rules: Rules | None
) -> Annotator:
    """Return the annotator that the arguments of `IntrinsicDesign` describe.

    Raises:
        ConfigError: an object given together with a goal or rules, which it has itself.
    """
    if annotator is None or isinstance(annotator, str | Mapping):
        return make_annotator(annotator, goal, rules)
    if rules is not None or goal != "score":
        raise ConfigError("An annotator object has its own goal and rules. Give one or the other.")
    return annotator


def _check_texts(captions: Iterable[Any]) -> None:
    for caption in captions:
        if not isinstance(caption, str):
            raise ConfigError(
                f"A caption must be a text, got {caption!r}. Let the world put one into info at "
                "reset and at every step, '' where there is nothing to say."
            )


def _source(model: CaptionModel, annotator: Annotator) -> Source:
    checks.check_annotator(annotator)
    if model.annotates == "captions":
        ask: Ask = annotator.label
        if isinstance(annotator, ReplayAnnotator):
            annotator.label([])  # raises where its file holds none
    else:
        checks.compare_with(annotator, [])  # raises where it cannot
        ask = cast(Comparer, annotator).compare
    available = functools.partial(checks.is_available, annotator)
    return Source(ask, annotator.name, available, functools.partial(checks.close, annotator))
