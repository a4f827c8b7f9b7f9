"""`LexiconAnnotator`: ordered regular expressions, with no network, no model and no chance."""

from __future__ import annotations

import hashlib
import os
import re
import warnings
from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias

import numpy as np

from rewardloom.rewards.intrinsic.annotators.rules import Rule, checked_on, read_rules
from rewardloom.typing import F64N

__all__ = ["LexiconAnnotator", "Rules"]

_STRANGE = 100
"""Different captions without any rule after which the shipped rules are taken to be out of place.
Random play of NetHack meets a caption that has one within its first 35."""

Rules: TypeAlias = str | os.PathLike[str] | Sequence[Any]


class LexiconAnnotator:
    """Labels and compares captions by an ordered list of regular expressions.

    A caption, which may hold several messages of one step, is read from left to right. Where
    several rules match at one place, the first in the list decides and takes the text it
    matched; reading goes on behind it. The caption has the highest weight found; it is helpful
    if that is at least 1. A caption that no rule matches is unhelpful and weighs 0: the
    lexicon always answers. If none of the first 100 different captions has one of the shipped
    rules, a warning says once that they do not fit the world. Of two captions the one of the
    higher weight shows more progress.

    The shipped rules are about the hero's own deeds in NetHack ("You kill the newt!"), not those
    of pets and monsters ("The newt is killed!"), and skip quoted text. They are ours; they are
    not a language model and reproduce no published number.

    Args:
        goal: What counts as helpful; of the shipped rules "score", "combat", "gold", "stairs" or
            "explore".
        rules: Rules of your own in place of the shipped ones: a list, or the path of a JSON file;
            see `rewardloom.rewards.intrinsic.rules`.

    Attributes:
        goal: As given.
        name: "lexicon:" and the goal.
        version: A digest of the rules, after the game version where they are the shipped ones.

    Raises:
        ConfigError: unknown goal (with the nearest name) or a bad rule (with its id).

    >>> lexicon = LexiconAnnotator("score")
    >>> lexicon.label(["You kill the newt!", "The newt is killed!"])
    array([1., 0.])
    >>> lexicon.compare([("It's a wall.", "You kill the newt!")])
    array([0.])
    >>> lexicon.explain("You kill the newt!")
    'kill'
    """

    def __init__(self, goal: str = "score", rules: Rules | None = None):
        self.goal = goal
        self._rules = read_rules(rules, goal)
        self.name = f"lexicon:{goal}"
        digest = hashlib.blake2b(repr(self._rules).encode(), digest_size=4).hexdigest()
        self.version = digest if rules is not None else f"{checked_on()} {digest}"
        self._strange: set[str] | None = set() if rules is None else None
        self._any = re.compile("|".join(f"({rule.regex})" for rule in self._rules))
        # these tell the common caption that counts for nothing in one search
        self._maybe_helpful = _any_of(rule for rule in self._rules if rule.weight >= 1)
        self._maybe_weighted = _any_of(rule for rule in self._rules if rule.weight)

    def label(self, captions: Sequence[str]) -> F64N:
        """Return 1.0 or 0.0 for each caption, (len(captions),) float64."""
        if self._strange is not None:
            self._doubt(captions)
        labels = np.zeros(len(captions))
        search = self._maybe_helpful.search
        for index, caption in enumerate(captions):
            if search(caption) is not None:
                rule = self._top(caption)
                labels[index] = rule is not None and rule.weight >= 1
        return labels

    def compare(self, pairs: Sequence[tuple[str, str]]) -> F64N:
        """Return 1.0, 0.0 or 0.5 for each pair: the caption of the higher weight, or a tie."""
        if self._strange is not None:
            self._doubt([caption for pair in pairs for caption in pair])
        ahead = [self._weight(first) - self._weight(second) for first, second in pairs]
        return 0.5 + 0.5 * np.sign(np.array(ahead, float))

    def explain(self, caption: str) -> str | None:
        """Return the id of the rule that decided on `caption`, or None if none matches."""
        rule = self._top(caption)
        return None if rule is None else rule.id

    def _doubt(self, captions: Sequence[str]) -> None:
        """Warn once if the shipped rules know nothing of a world; the first that does ends it."""
        strange = self._strange
        if strange is None:
            return
        for caption in captions:
            if self._any.search(caption) is not None:
                self._strange = None
                return
            if caption.strip():
                strange.add(caption)
        if len(strange) >= _STRANGE:
            self._strange = None
            warnings.warn(
                f"None of {len(strange)} different captions has a rule (0 %) for goal "
                f"{self.goal!r}: the shipped rules are about NetHack, and every caption here, such "
                f'as {min(strange)!r}, is unhelpful. For MiniGridCaptions give rules="minigrid", '
                "for other worlds rules of your own.",
                stacklevel=3,
            )

    def _weight(self, caption: str) -> int:
        if self._maybe_weighted.search(caption) is None:
            return 0
        rule = self._top(caption)
        return 0 if rule is None else rule.weight

    def _top(self, caption: str) -> Rule | None:
        """Return the first of the matching rules with the highest weight."""
        top: Rule | None = None
        for match in self._any.finditer(caption):
            rule = self._rules[(match.lastindex or 0) - 1]
            if top is None or rule.weight > top.weight:
                top = rule
        return top


def _any_of(rules: Iterable[Rule]) -> re.Pattern[str]:
    return re.compile("|".join(rule.regex for rule in rules) or "(?!)")  # that never matches
