"""The reward designs that exist, by the name users write in configurations.

Registering a design here makes it reachable from `train` and `compare` and puts it under the
conformance suite, on every plug.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Mapping
from typing import Any, NamedTuple

from rewardloom.errors import ConfigError, refuse_unknown, unknown_name
from rewardloom.rewards.design import RewardDesign

__all__ = ["DESIGNS", "DesignEntry", "design_class", "make_design"]


class DesignEntry(NamedTuple):
    """Where a design lives and how it is tried.

    Attributes:
        path: "module:class" of the design.
        wrapper: Name of its plug in `rewardloom.wrappers`, `.wrappers.vector` and
            `.wrappers.parallel`.
        summary: One line for listings.
        example: Keyword arguments for a world with the components `a`, `b`, `c` and the terminal
            component `outcome`, used by the conformance suite.
    """

    path: str
    wrapper: str
    summary: str
    example: Mapping[str, Any]


DESIGNS: dict[str, DesignEntry] = {
    "weight": DesignEntry(
        "rewardloom.rewards.weight:WeightDesign",
        "WeightReward",
        "weighted sum of the components",
        {"weights": {"a": 1.0, "b": -0.5, "outcome": 3.0}},
    ),
    "scale": DesignEntry(
        "rewardloom.rewards.scale:ScaleDesign",
        "ScaleReward",
        "the reward times a constant",
        {"factor": 0.5},
    ),
    "defer": DesignEntry(
        "rewardloom.rewards.defer:DeferDesign",
        "DeferReward",
        "the episode's return, paid at its end",
        {},
    ),
    "count": DesignEntry(
        "rewardloom.rewards.count:CountDesign",
        "CountReward",
        "bonus for seldom visited states",
        {"coef": 0.5, "resolution": 0.25},
    ),
    "rnd": DesignEntry(
        "rewardloom.rewards.novelty:RNDDesign",
        "RNDReward",
        "bonus for states whose random features are hard to predict",
        {"learning": {"warmup_steps": 10, "train_every": 16, "batch_size": 8, "hidden": [8]}},
    ),
    "icm": DesignEntry(
        "rewardloom.rewards.novelty:ICMDesign",
        "ICMReward",
        "bonus for steps whose outcome is hard to predict",
        {"learning": {"warmup_steps": 10, "train_every": 16, "batch_size": 8, "hidden": [8]}},
    ),
    "ngu": DesignEntry(
        "rewardloom.rewards.novelty:NGUDesign",
        "NGUReward",
        "bonus for states far from those of the episode, and new over training",
        {"learning": {"warmup_steps": 10, "train_every": 16, "batch_size": 8, "hidden": [8]}},
    ),
    "e3b": DesignEntry(
        "rewardloom.rewards.novelty:E3BDesign",
        "E3BReward",
        "bonus for states whose embedding points where the episode has not been",
        {"learning": {"warmup_steps": 10, "train_every": 16, "batch_size": 8, "hidden": [8]}},
    ),
    "gate": DesignEntry(
        "rewardloom.rewards.gate:GateDesign",
        "GateReward",
        "levels of components that count only where a level above passes its threshold",
        {
            "levels": [
                {"components": "outcome", "priority": 2, "threshold": 0.0},
                {"components": "c", "priority": 1, "threshold": -0.5, "scope": "step"},
                {"components": ["a", "b"], "name": "steps", "weight": 0.5, "cap_per_kind": 1.0},
            ]
        },
    ),
    "redistribute": DesignEntry(
        "rewardloom.rewards.redistribute:RedistributeDesign",
        "RedistributeReward",
        "the episode's return, spread over its steps",
        {"mode": "difference", "score": "a"},
    ),
    "heron": DesignEntry(
        "rewardloom.rewards.heron:HeronDesign",
        "HeronReward",
        "learned from preferences that a ranking of the components gives",
        {
            "ranking": [{"component": "a"}, {"component": "c", "sign": -1}, {"component": "b"}],
            "margins": 0.5,
            "center": "mean",
            "learning": {"first_refit": 20, "refit_every": 30, "gradient_steps": 5, "pairs": 200},
        },
    ),
    "intrinsic": DesignEntry(
        "rewardloom.rewards.intrinsic.design:IntrinsicDesign",
        "IntrinsicReward",
        "learned from what an annotator says of captions, less at each repetition",
        {"goal": "score"},
    ),
}


def design_class(name: str) -> type:
    """Return the class of the design called `name`.

    Raises:
        ConfigError: no design has that name; names the nearest.
    """
    if name not in DESIGNS:
        raise ConfigError(unknown_name("reward design", name, DESIGNS))
    module, _, attribute = DESIGNS[name].path.partition(":")
    return getattr(importlib.import_module(module), attribute)


def make_design(name: str, **kwargs: Any) -> RewardDesign:
    """Build the design called `name`.

    Raises:
        ConfigError: unknown design or argument (with the nearest name), or a bad value.
    """
    cls = design_class(name)
    parameters = inspect.signature(cls).parameters
    refuse_unknown(kwargs, parameters, kind="argument", where=f"of reward design {name!r}")
    for parameter in parameters.values():
        if parameter.default is parameter.empty and parameter.name not in kwargs:
            raise ConfigError(
                f"Reward design {name!r} needs the argument {parameter.name!r}, for example "
                f"{dict(DESIGNS[name].example)!r}."
            )
    return cls(**kwargs)
