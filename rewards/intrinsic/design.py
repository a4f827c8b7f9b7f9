"""`IntrinsicDesign`: pay for captions that an annotator finds helpful, less at each repetition."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from rewardloom.errors import ConfigError
from rewardloom.rewards.design import Depends, EpisodeBatch, Memory, StepBatch
from rewardloom.rewards.intrinsic.annotators import Annotator, LexiconAnnotator, Rules
from rewardloom.rewards.intrinsic.retrieval import RetrievalModel
from rewardloom.rewards.numbers import is_number
from rewardloom.typing import F64N, F64T, BoolN

__all__ = ["IntrinsicDesign"]

_NOTHING = (0.0, 0.0, 0.0, 0.0, 0.0)


class IntrinsicDesign:
    r"""Pays extrinsic_coef * r_t + intrinsic_coef * y(c_t) / N(c_t)^count_exponent.

    c_t is the caption reached by the step, y(c_t) in [0, 1] its label, and N(c_t) how often this
    very caption has been shown in this episode, the present time and the reset included: a caption
    first seen at a step pays 1, then 1/8, then 1/27 with exponent 3. The retrieval form of ONI
    (Zheng et al. 2024, "Online Intrinsic Rewards for Decision Making Agents from Large Language
    Model Feedback"), with labels made at once instead of later. Preserves nothing: it is a new
    reward. Memory: the table of labels, shared by all slots; counts end with their episode.

    Args:
        goal: What the lexicon finds helpful: "score", "combat", "gold", "stairs" or "explore", or
            a goal of your `rules`.
        annotator: Who labels; None takes `LexiconAnnotator(goal, rules)`.
        rules: Rules of your own for the lexicon: a list or the path of a JSON file.
        extrinsic_coef: Weight of the reward below the design, at least 0. The default leaves the
            task's own scale alone, as in ONI's code; 0 trains on the captions only.
        intrinsic_coef: Weight of the label, at least 0. The default is that of ONI's published
            command for the NetHack score, where it stands beside an extrinsic_coef of 0.1.
        count_exponent: At least 0; 3 is ONI's, 0 pays every repetition in full.

    Attributes:
        model: The reward model, a `RetrievalModel`.

    Raises:
        ConfigError: a number out of range, an unknown goal, a bad rule, or an annotator given
            together with a goal or rules.
    """

    needs = frozenset({"caption"})
    depends: Depends = "step"
    memory: Memory = "statistics"
    relabels = False
    settles_truncation = False

    def __init__(
        self,
        goal: str = "score",
        *,
        annotator: Annotator | None = None,
        rules: Rules | None = None,
        extrinsic_coef: float = 1.0,
        intrinsic_coef: float = 0.4,
        count_exponent: float = 3.0,
    ):
        if annotator is not None and (rules is not None or goal != "score"):
            raise ConfigError(
                "goal and rules are the lexicon's; an annotator of your own has its own goal. "
                "Give one or the other."
            )
        self.extrinsic_coef = _at_least_zero("extrinsic_coef", extrinsic_coef)
        self.intrinsic_coef = _at_least_zero("intrinsic_coef", intrinsic_coef)
        self.count_exponent = _at_least_zero("count_exponent", count_exponent)
        if annotator is None:
            annotator = LexiconAnnotator(goal, rules)
        self.model = RetrievalModel(annotator)
        self._counts: list[dict[str, int]] = []
        self._shown = np.zeros((5, 0))

    def bind(self, names: tuple[str, ...], num_slots: int) -> None:
        """See `RewardDesign.bind`; the labels stay."""
        self._counts = [{} for _ in range(num_slots)]
        self._shown = np.zeros((5, num_slots))

    def begin(self, slots: BoolN, extra: Mapping[str, Any] | None = None) -> None:
        """See `RewardDesign.begin`; the reset's caption is counted where the plug gives one."""
        captions = None if extra is None else extra.get("caption")
        for slot in np.flatnonzero(slots).tolist():
            self._counts[slot] = {} if captions is None else {captions[slot]: 1}

    def step(self, batch: StepBatch) -> F64N:
        """See `RewardDesign.step`; the tick's unseen captions are labelled in one call."""
        extra = batch.extra
        if extra is None or "caption" not in extra:
            raise _no_captions()
        captions, active = extra["caption"].tolist(), batch.active.tolist()
        labels = list(map(self.model.table.get, captions))
        if None in labels or False in active:
            labels = self._labels(captions, active)
        scale, coef, power = self.extrinsic_coef, self.intrinsic_coef, -self.count_exponent
        rewards, all_counts = batch.reward.tolist(), self._counts
        columns: list[float] = []  # five a slot, converted at once: one env pays for every call
        for slot, caption in enumerate(captions):
            if not active[slot]:
                columns += _NOTHING
                continue
            counts, label = all_counts[slot], labels[slot]
            counts[caption] = count = counts.get(caption, 0) + 1
            if label:
                bonus = coef * label * count**power
                columns += (scale * rewards[slot] + bonus, bonus, label, count, 1.0)
            else:
                columns += (scale * rewards[slot], 0.0, 0.0, count, 0.0 if label is None else 1.0)
        self._shown = np.array(columns).reshape(5, -1, order="F")
        return self._shown[0]

    def _labels(self, captions: list[Any], active: list[bool]) -> list[float | None]:
        """Return the label of each slot, None where it is inactive or has none."""
        known = self.model.ask(c for c, on in zip(captions, active, strict=True) if on)
        return [known.get(c) if on else None for c, on in zip(captions, active, strict=True)]

    def relabel(self, episodes: EpisodeBatch) -> F64T:
        """See `RewardDesign.relabel`; all unseen captions are labelled in one call."""
        if episodes.extra is None or "caption" not in episodes.extra:
            raise _no_captions()
        captions = np.asarray(episodes.extra["caption"], object).tolist()
        labels = self.model.ask(captions)
        starts = None if episodes.start is None else episodes.start.get("caption")
        bonus = np.zeros(len(captions))
        for episode, first in enumerate(episodes.offsets[:-1].tolist()):
            counts: dict[str, int] = {} if starts is None else {starts[episode]: 1}
            for row in range(first, int(episodes.offsets[episode + 1])):
                caption = captions[row]
                count = counts[caption] = counts.get(caption, 0) + 1
                if label := labels.get(caption):
                    bonus[row] = self.intrinsic_coef * label * count**-self.count_exponent
        return self.extrinsic_coef * episodes.reward + bonus

    def summary(self) -> dict[str, F64N]:
        """Return what was paid for captions, and why.

        `reward` is the intrinsic part after its coefficient, `label` 1 where the caption is
        helpful, `count` its number in the episode, `label_known` 0 where the annotator had no
        answer.
        """
        shown = self._shown
        return {"reward": shown[1], "label": shown[2], "count": shown[3], "label_known": shown[4]}

    def state_dict(self) -> dict[str, Any]:
        """Return the table of labels and who made it."""
        return self.model.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore the table; refuses one that another annotator or other rules made."""
        self.model.load_state_dict(state)


def _no_captions() -> ConfigError:
    return ConfigError(
        "IntrinsicDesign needs the column 'caption'. Let the world put a text into "
        "info['caption'] at reset and at every step, or give the plug a function of it."
    )


def _at_least_zero(name: str, value: float) -> float:
    if not is_number(value):
        raise ConfigError(f"{name} must be a number, got {value!r}.")
    if not (math.isfinite(value) and value >= 0):
        raise ConfigError(f"{name} must be a finite number >= 0, got {value!r}.")
    return float(value)
