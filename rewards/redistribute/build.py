"""`build_mode`: the payer of a mode and, for learned modes, what learns."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

from rewardloom.errors import ConfigError, unknown_name
from rewardloom.rewards.learning.device import check_device
from rewardloom.rewards.learning.settings import read_settings
from rewardloom.rewards.learning.store import input_needs
from rewardloom.rewards.numbers import check_number
from rewardloom.rewards.redistribute import payers
from rewardloom.rewards.redistribute.learner import Learner
from rewardloom.rewards.redistribute.return_range import ReturnRange
from rewardloom.rewards.redistribute.settings import Learning

__all__ = ["build_mode"]

_MODELS = {  # loaded when a model is made, since they need torch
    "rrd": "rewardloom.rewards.redistribute.rrd:RateModel",
    "rudder": "rewardloom.rewards.redistribute.rudder:SequenceModel",
    "attention": "rewardloom.rewards.redistribute.attention:SegmentModel",
    "occlusion": "rewardloom.rewards.redistribute.attention:SegmentModel",
}
_SCORES = {"attention": "attention_scores", "occlusion": "occlusion_scores"}


class _MakeModel:
    """Makes a model of a path; an object, so that designs pickle."""

    def __init__(self, path: str):
        self._path = path

    def __call__(self, width: int, settings: Learning) -> Any:
        module, _, attribute = self._path.partition(":")
        return getattr(importlib.import_module(module), attribute)(width, settings)


def build_mode(
    mode: str, options: Mapping[str, Any]
) -> tuple[payers.Payer, Learner | ReturnRange | None]:
    """Return the payer of a mode with checked options, and what takes in its episodes.

    Raises:
        ConfigError: an option is out of range, or the device does not exist here.
    """
    if mode in _MODELS:
        return _learned(mode, read_settings(Learning, options["learning"]))
    if mode == "ircr":
        settings = read_settings(Learning, options["learning"])
        returns = ReturnRange(
            settings.max_episodes, _choice("normalize", options["normalize"], ("mean", "sum"))
        )
        return payers.ReturnRangePayer(returns), returns
    column = payers.ScoreColumn(options["score"])
    if mode == "softmax":
        temperature = check_number("temperature", _given(options["temperature"], 1.0), above=0.0)
        sign = _choice("sign", options["sign"], ("credit", "blame"))
        return payers.SoftmaxPayer(column, temperature, sign), None
    if mode == "difference":
        return payers.DifferencePayer(column), None
    if mode == "potential":
        gamma = check_number("gamma", _given(options["gamma"], 1.0), above=0.0, most=1.0)
        return payers.PotentialPayer(column, gamma), None
    return payers.UniformPayer(), None


def _learned(mode: str, settings: Learning) -> tuple[payers.Payer, Learner]:
    check_device(settings.device)
    learner = Learner(settings, _MakeModel(_MODELS[mode]))
    if mode == "rrd":
        payer: payers.Payer = payers.RatePayer(learner)
    elif mode == "rudder":
        payer = payers.EstimatePayer(learner)
    else:
        payer = payers.ModelWeightPayer(learner, _SCORES[mode])
    payer.needs = input_needs(settings.inputs)
    return payer, learner


def _given(value: Any, default: Any) -> Any:
    return default if value is None else value


def _choice(name: str, value: str | None, options: tuple[str, ...]) -> str:
    """Return one of `options`, the first for None."""
    if value is None:
        return options[0]
    if value not in options:
        raise ConfigError(unknown_name(name, value, options))
    return value
