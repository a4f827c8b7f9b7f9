"""The learned models of captions on one core: refits, new captions, and ticks without any."""

import json
from pathlib import Path

import numpy as np
import torch
from blocks import block_times

from rewardloom.rewards.intrinsic.models.classification import ClassificationModel
from rewardloom.rewards.intrinsic.models.ranking import RankingModel

DATA = Path(__file__).resolve().parents[1] / "rewards" / "data" / "captions.json"
SIZES = {
    "default": {},
    "ONI's size": {
        "embedding": 32,
        "channels": [64] * 6,
        "kernel": 7,
        "hidden": [128, 512, 512],
        "batch_size": 256,
        "learning_rate": 1e-4,
    },
}
MODELS = {"classification": ClassificationModel, "ranking": RankingModel}
EVERY_LABEL = {"min_labels": 1, "refit_labels": 1}
TICK = 16


def captions(count=2000):
    """Distinct captions of two messages, 75 bytes in the mean; every 50th fills all 256."""
    texts = [row["text"] for row in json.loads(DATA.read_text())["captions"]]
    joined = [f"{texts[k % len(texts)]} {texts[k * 7 % len(texts)]} {k}" for k in range(count)]
    joined[::50] = [(text * 20)[:256] for text in joined[::50]]
    return joined


def items_of(name, texts):
    return texts if name == "classification" else list(zip(texts, texts[::-1], strict=True))


def trained(name, size, texts):
    """A model that has learned half of the captions, with a full pool."""
    model = MODELS[name]({**SIZES[size], **EVERY_LABEL})
    model.wanted([*texts] * 25, 0)
    half = items_of(name, texts)[: len(texts) // 2]
    model.learn(half, np.arange(len(half)) % 2.0)
    return model


def learning(name, size, texts):
    model = trained(name, size, texts)
    fresh = iter(items_of(name, texts)[len(texts) // 2 + 1 :])
    refit = block_times({"": lambda: model.learn([next(fresh)], np.ones(1))}, 1, blocks=3)[""]
    scoring = block_times({"": lambda: model.values(texts)}, 1, blocks=3)[""]
    settings, bounded = model.settings, size == "default"
    yield {
        "name": f"{name}, {size}: refit",
        "value": refit,
        "unit": "s",
        "bound": 2.0 if bounded else None,
        "note": f"{settings.gradient_steps} gradient steps on {settings.batch_size} labels"
        + (f", and scores of a pool of {settings.max_pool}" if name == "ranking" else ""),
    }
    yield {
        "name": f"{name}, {size}: new captions",
        "value": len(texts) / scoring,
        "unit": "captions/s",
        "bound": 1500 if bounded else None,
        "at_least": True,
        "note": f"{len(texts)} in one call",
    }


def known(texts):
    """What a tick costs whose captions all have a label."""
    tick, actions = texts[:TICK], {}
    for name in MODELS:
        model = trained(name, "default", texts)
        model.values(texts)
        actions[name] = lambda model=model: model.wanted(tick, TICK)
    for name, seconds in block_times(actions, 500).items():
        yield {
            "name": f"{name}: wanted(), a tick of {TICK} labelled captions",
            "value": 1e6 * seconds / TICK,
            "unit": "us/caption",
            "bound": 2.0,
            "note": "the table is asked first, so that most ticks do not even come to this",
        }


def run():
    """Return the rows of the table."""
    threads, texts = torch.get_num_threads(), captions()
    torch.set_num_threads(1)
    try:
        rows = [row for size in SIZES for name in MODELS for row in learning(name, size, texts)]
        return [*rows, *known(texts)]
    finally:
        torch.set_num_threads(threads)


if __name__ == "__main__":
    for row in run():
        print(f"{row['name']:<60} {row['value']:>12,.3f} {row['unit']}")
