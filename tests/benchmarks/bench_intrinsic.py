"""The lexicon's labels a second, and what the intrinsic design adds to a step."""

import json
from pathlib import Path

import numpy as np
from blocks import block_times

from rewardloom.rewards import IntrinsicDesign, LexiconAnnotator, StepBatch
from rewardloom.rewards.intrinsic import lexicon_goals

DATA = Path(__file__).resolve().parents[1] / "rewards" / "data" / "captions.json"


def captions():
    """Distinct captions, a third of them helpful: harder than play, where most say nothing."""
    return [row["text"] for row in json.loads(DATA.read_text())["captions"]]


def lexicon():
    texts = captions()
    annotators = {goal: LexiconAnnotator(goal) for goal in lexicon_goals()}
    actions = {goal: lambda a=annotator: a.label(texts) for goal, annotator in annotators.items()}
    for goal, seconds in block_times(actions, 20).items():
        yield {
            "name": f"lexicon labels, goal {goal}",
            "value": len(texts) / seconds,
            "unit": "captions/s",
            "bound": 200_000,
            "at_least": True,
            "note": f"{len(texts)} distinct captions, no cache",
        }


class Passing:
    """Pays the reward below it."""

    def step(self, batch):
        return batch.reward.copy()

    def summary(self):
        return {}


def ticks(num_slots, texts):
    ones = np.ones(num_slots, bool)
    for first in range(len(texts)):
        column = np.empty(num_slots, object)
        column[:] = [texts[(first + slot) % len(texts)] for slot in range(num_slots)]
        yield StepBatch(
            np.ones(num_slots),
            np.zeros((num_slots, 0)),
            ~ones,
            ~ones,
            ones,
            ~ones,
            extra={"caption": column},
        )


def stepper(design, batches):
    at = iter(())

    def step():
        nonlocal at
        batch = next(at, None)
        if batch is None:
            at = iter(batches)
            batch = next(at)
        design.step(batch)
        design.summary()

    return step


def known(num_slots):
    batches = list(ticks(num_slots, captions()))
    design = IntrinsicDesign()
    design.bind((), num_slots)
    design.begin(np.ones(num_slots, bool))
    for batch in batches:
        design.step(batch)
    actions = {"design": stepper(design, batches), "passing": stepper(Passing(), batches)}
    times = block_times(actions, max(200, 8000 // num_slots))
    yield {
        "name": f"IntrinsicDesign, known captions, {num_slots} slot(s)",
        "value": 1e6 * (times["design"] - times["passing"]) / num_slots,
        "unit": "us/step",
        "bound": 2.0,
        "note": "step and summary, less those of a design that copies the reward",
    }


def run():
    """Return the rows of the table."""
    return [*lexicon(), *known(1), *known(16), *known(256)]


if __name__ == "__main__":
    for row in run():
        print(f"{row['name']:<50} {row['value']:>14,.3f} {row['unit']}")
