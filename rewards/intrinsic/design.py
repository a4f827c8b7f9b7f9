"""`IntrinsicDesign`: pay for what a caption is worth, less at each repetition."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from rewardloom.errors import ConfigError
from rewardloom.rewards.design import Depends, EpisodeBatch, Memory, Reduction, StepBatch
from rewardloom.rewards.intrinsic.annotators import Annotator, GoalLike, Rules
from rewardloom.rewards.intrinsic.asking import Asking, annotator_for, build_model
from rewardloom.rewards.intrinsic.counting import CaptionCounter
from rewardloom.rewards.intrinsic.models.base import CaptionModel
from rewardloom.rewards.numbers import at_least_zero
from rewardloom.typing import F64N, F64T, BoolN

__all__ = ["IntrinsicDesign"]


class IntrinsicDesign:
    r"""Pays extrinsic_coef * r_t + intrinsic_coef * v(c_t) / (N(c_t)^a M(c_t)^b).

    c_t is the caption reached by the step, v(c_t) its worth to a reward model that learns, while
    the agent plays, from what an annotator says of captions. N(c_t) is how often the caption was
    shown in this episode, the present time and the reset included: with a = `count_exponent` = 3
    a caption pays 1, then 1/8, then 1/27 of its worth. M(c_t) counts over all slots and episodes,
    with b = `lifetime_exponent`, 0 unless given. The reward models are those of ONI (Zheng et al.
    2024, "Online Intrinsic Rewards for Decision Making Agents from Large Language Model
    Feedback"):

    - "retrieval": the caption's label, 0 while it has none.
    - "classification": 1 where a network trained on the labels says p(helpful) > threshold.
    - "ranking": a network trained on comparisons of captions, standardized, 0 up to a threshold.

    Preserves nothing: it is a new reward. Memory: the reward model and the counts for life, shared
    by all slots; the other counts end with their episode. On a training buffer (`attach_relabel`)
    annotations that arrive between a step and the learning from it count, as in ONI.

    Args:
        goal: What is helpful: a goal of the lexicon ("score", "combat", "gold", "stairs",
            "explore"), of your `rules`, or for a language model also a `Goal` of your own.
        model: "retrieval", "classification" or "ranking".
        annotator: Who annotates: an object, or a name or mapping for
            `rewardloom.rewards.intrinsic.annotators.make_annotator`; None takes the lexicon.
        rules: Rules of your own for the lexicon: a list or the path of a JSON file.
        extrinsic_coef: Weight of the reward below the design, at least 0. The default leaves the
            task's own scale alone, as in ONI's code; 0 trains on the captions only.
        intrinsic_coef: Weight of the caption's worth, at least 0. The default is that of ONI's
            published command for the NetHack score, where it stands beside an extrinsic_coef of
            0.1.
        count_exponent: a, at least 0; 3 is ONI's, 0 pays every repetition in full.
        lifetime_exponent: b, at least 0.
        count_key: What makes two captions the same: "raw", the exact text; "template", the text
            without numbers, bracketed lists and item letters; or a function caption -> text.
        learning: Settings of the reward model, see its class.
        asynchronous: False annotates a new caption at the step that shows it, so that equal seeds
            give equal rewards. True leaves it to a thread, newest captions first; training never
            waits, and a caption pays 0 (retrieval) until its label arrives.
        max_pending: Asynchronous: captions that wait at most; the oldest are dropped.
        batch_size: Asynchronous: captions given to the annotator at once.
        max_tries: Times that a caption is asked in all if the annotator gives no label.

    Attributes:
        update_model: False freezes the model and the counts for life, and asks nothing.

    Raises:
        ConfigError: a number out of range, an unknown goal, model or setting, a bad rule, an
            annotator that cannot compare under "ranking", or an annotator object given together
            with a goal or rules.
    """

    needs = frozenset({"caption"})
    depends: Depends = "step"
    memory: Memory = "statistics"
    relabels = False
    settles_truncation = False
    reductions: Mapping[str, Reduction] = {"count": "mean", "known": "mean"}

    def __init__(
        self,
        goal: GoalLike = "score",
        *,
        model: str = "retrieval",
        annotator: Annotator | str | Mapping[str, Any] | None = None,
        rules: Rules | None = None,
        extrinsic_coef: float = 1.0,
        intrinsic_coef: float = 0.4,
        count_exponent: float = 3.0,
        lifetime_exponent: float = 0.0,
        count_key: str | Callable[[str], str] = "raw",
        learning: Mapping[str, Any] | None = None,
        asynchronous: bool = False,
        max_pending: int = 10_000,
        batch_size: int = 100,
        max_tries: int = 3,
    ):
        self.extrinsic_coef = at_least_zero("extrinsic_coef", extrinsic_coef)
        self.intrinsic_coef = at_least_zero("intrinsic_coef", intrinsic_coef)
        self.count_exponent = at_least_zero("count_exponent", count_exponent)
        self.lifetime_exponent = at_least_zero("lifetime_exponent", lifetime_exponent)
        self._counter = CaptionCounter(count_key, lifetime=self.lifetime_exponent > 0)
        self._asking = Asking(
            build_model(model, learning),
            annotator_for(goal, annotator, rules),
            asynchronous=asynchronous,
            max_pending=max_pending,
            batch_size=batch_size,
            max_tries=max_tries,
        )
        self.update_model = True
        self._steps = 0
        self._rewarded = 0  # steps with an intrinsic reward
        self._paid = 0.0
        self.bind((), 0)

    @property
    def model(self) -> CaptionModel:
        """The reward model."""
        return self._asking.model

    @property
    def annotator(self) -> Annotator:
        """Who annotates."""
        return self._asking.annotator

    @property
    def refits(self) -> int:
        """How often the reward model's network was trained."""
        return self.model.refits

    def bind(self, names: tuple[str, ...], num_slots: int) -> None:
        """See `RewardDesign.bind`; what was learned stays."""
        self._notices = False
        self._counter.bind(num_slots)
        self._slots: Sequence[int] = range(num_slots)
        self._shown = np.zeros((5, num_slots))

    def begin(self, slots: BoolN, extra: Mapping[str, Any] | None = None) -> None:
        """See `RewardDesign.begin`; the reset's caption is counted where the plug gives one."""
        captions = None if extra is None else extra.get("caption")
        for slot in np.flatnonzero(slots).tolist():
            self._counter.begin(slot, None if captions is None else captions[slot])

    def notice(self, batch: StepBatch) -> None:
        """Have a tick's captions annotated that `step` will pay later.

        A plug that pays at learning time calls this while it records; then `step` asks no more.
        """
        self._notices = True
        if self.update_model:
            captions = _captions(batch.extra)
            active = batch.active.tolist()
            self._asking.notice([c for c, on in zip(captions, active, strict=True) if on])

    def step(self, batch: StepBatch) -> F64N:
        """See `RewardDesign.step`; the tick's unknown captions are annotated in one call."""
        captions, slots = _captions(batch.extra), self._slots
        everyone = False not in batch.active.tolist()
        if not everyone:
            slots = np.flatnonzero(batch.active).tolist()
            captions = [captions[slot] for slot in slots]
        worth, known = self._worth(captions)
        counts, life = self._counter.count(captions, slots, freeze=not self.update_model)
        bonus = self._bonuses(worth, counts, life)
        self._note(len(bonus), len(bonus) - bonus.count(0.0), sum(bonus))
        scale, rewards = self.extrinsic_coef, batch.reward.tolist()
        if not everyone:
            rewards = [rewards[slot] for slot in slots]
        paid = [scale * reward + extra for reward, extra in zip(rewards, bonus, strict=True)]
        shown = np.array([*paid, *bonus, *worth, *counts, *known]).reshape(5, -1)
        if not everyone:
            all_slots = np.zeros((5, len(batch.active)))
            all_slots[:, batch.active] = shown
            shown = all_slots
        self._shown = shown
        return shown[0]

    def relabel(self, episodes: EpisodeBatch) -> F64T:
        """See `RewardDesign.relabel`; all unknown captions are annotated in one call."""
        captions = _captions(episodes.extra)
        worth, _ = self._worth(captions)
        starts = None if episodes.start is None else episodes.start.get("caption")
        counts, life = self._counter.count_episodes(
            captions, episodes.offsets, starts, freeze=not self.update_model
        )
        bonus = self.intrinsic_coef * np.array(worth) * counts**-self.count_exponent
        if life is not None:
            bonus = bonus * life**-self.lifetime_exponent
        self._note(len(bonus), int(np.count_nonzero(bonus)), float(bonus.sum()))
        return self.extrinsic_coef * episodes.reward + bonus

    def summary(self) -> dict[str, F64N]:
        """Return what was paid for captions, and why.

        `reward` is the intrinsic part after its coefficient, `value` what the caption is worth,
        `count` its number in the episode, `known` 0 where the reward model has no opinion yet.
        """
        _, reward, value, count, known = self._shown
        return {"reward": reward, "value": value, "count": count, "known": known}

    def diagnostics(self) -> dict[str, float]:
        """Return numbers about the reward model, the annotator and what was paid.

        `intrinsic_per_1000` and `rewarded_per_1000`, the intrinsic reward and the steps with some
        per 1,000 steps, are of the steps since the last call.
        """
        per = 1000.0 / max(self._steps, 1)
        facts = {"intrinsic_per_1000": self._paid * per, "rewarded_per_1000": self._rewarded * per}
        self._steps = self._rewarded = 0
        self._paid = 0.0
        return {**facts, **self._asking.diagnostics()}

    def close(self) -> None:
        """Stop the annotator's thread and connections; asking again starts them again."""
        self._asking.close()

    def state_dict(self) -> dict[str, Any]:
        """Return what the model learned, who taught it, and the counts for life."""
        return {**self._asking.state_dict(), "lifetime": self._counter.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore them; refuses what another annotator or other rules taught."""
        self._asking.load_state_dict(state)
        self._counter.load_state_dict(state["lifetime"])

    def _worth(self, captions: list[str]) -> tuple[list[float], list[float]]:
        learn = self.update_model
        return self._asking.worth(captions, ask=learn and not self._notices, learn=learn)

    def _note(self, steps: int, rewarded: int, paid: float) -> None:
        self._steps += steps
        self._rewarded += rewarded
        self._paid += paid

    def _bonuses(
        self, worth: list[float], counts: list[int], life: list[int] | None
    ) -> list[float]:
        """Return what each caption pays; lists, since one env pays for every call into numpy."""
        coef, power = self.intrinsic_coef, -self.count_exponent
        bonus = [coef * v * n**power if v else 0.0 for v, n in zip(worth, counts, strict=True)]
        if life is None:
            return bonus
        power = -self.lifetime_exponent
        return [paid * m**power for paid, m in zip(bonus, life, strict=True)]


def _captions(extra: Mapping[str, Any] | None) -> list[str]:
    if extra is None or "caption" not in extra:
        raise ConfigError(
            "IntrinsicDesign needs the column 'caption'. Let the world put a text into "
            "info['caption'] at reset and at every step, or give the plug a function of it."
        )
    captions = extra["caption"]
    return captions.tolist() if isinstance(captions, np.ndarray) else list(captions)
