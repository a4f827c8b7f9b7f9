"""The lexicon's labels a second, what the intrinsic design adds to a step, and slow annotators."""

import itertools
import json
import time
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
        "bound": 5.0 if num_slots == 1 else 2.0,
        "note": "step and summary, less those of a design that copies the reward",
    }


def throughput():
    batches = list(ticks(256, captions()))
    design = IntrinsicDesign()
    design.bind((), 256)
    design.begin(np.ones(256, bool))
    action = stepper(design, batches)
    for _ in batches:
        action()
    seconds = block_times({"design": action}, 200)["design"]
    yield {
        "name": "IntrinsicDesign, known captions, 256 slots",
        "value": 256 / seconds,
        "unit": "captions/s",
        "bound": 1_000_000,
        "at_least": True,
        "note": "step and summary",
    }


class Slow:
    """Answers after 0.2 s, as a server does."""

    name, version = "slow", "1"

    def label(self, texts):
        time.sleep(0.2)
        return np.zeros(len(texts))


def new_captions(num_slots, share):
    """Yield ticks for ever in which a share of the captions is new."""
    known = captions()
    numbers = itertools.count()
    random = np.random.default_rng(0)
    base = next(ticks(num_slots, known))
    while True:
        column = np.empty(num_slots, object)
        column[:] = [
            f"You see newt {next(numbers)} here." if fresh else known[index]
            for fresh, index in zip(
                random.random(num_slots) < share,
                random.integers(len(known), size=num_slots),
                strict=True,
            )
        ]
        yield base._replace(extra={"caption": column})


def asynchronous(num_slots):
    share = 0.017  # new captions per step in the first 50,000 of random play in NetHack
    batches = list(itertools.islice(new_captions(num_slots, share), 4_000))
    design = IntrinsicDesign(annotator=Slow(), asynchronous=True)
    alone = IntrinsicDesign(annotator=Slow())
    alone.update_model = False  # asks nobody
    for each in (design, alone):
        each.bind((), num_slots)
        each.begin(np.ones(num_slots, bool))
    known = captions()
    design.model.learn(known, np.zeros(len(known)))
    alone.model.learn(known, np.zeros(len(known)))
    actions = {"slow": stepper(design, batches), "none": stepper(alone, batches)}
    times = block_times(actions, 2_000)
    design.close()
    yield {
        "name": f"asynchronous annotator of 0.2 s, {num_slots} slot(s)",
        "value": 1e6 * (times["slow"] - times["none"]) / num_slots,
        "unit": "us/step",
        "bound": 3.0,
        "note": "less the same design that asks nobody; 17 new captions per 1,000 steps",
    }


def run():
    """Return the rows of the table."""
    slots = (1, 16, 256)
    return [
        *lexicon(),
        *itertools.chain.from_iterable(map(known, slots)),
        *throughput(),
        *asynchronous(1),
        *asynchronous(8),
    ]


if __name__ == "__main__":
    for row in run():
        print(f"{row['name']:<50} {row['value']:>14,.3f} {row['unit']}")
