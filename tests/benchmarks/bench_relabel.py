"""Labelling pairs, relabelling a PPO rollout, and what a design adds to an SB3 VecEnv's step."""

import warnings

import numpy as np
from blocks import block_times
from stable_baselines3 import PPO
from stable_baselines3.common.vec_env import DummyVecEnv

from rewardloom.baselines.plugs import DesignVecReward, attach_relabel
from rewardloom.rewards import DESIGNS, hierarchical_preferences, make_design
from rewardloom.testing import COMPONENTS, ComponentWorld, NullEnv

STEPS, ENVS = 2048, 8
LONGEST = 39  # lengths are uniform from 1: mean 20


def closed_form():
    """Return the catalog's designs that remember nothing, by name."""
    designs = {}
    for name, entry in DESIGNS.items():
        design = make_design(name, **entry.example)
        design.bind(COMPONENTS, ENVS)
        if design.memory == "none":
            designs[name] = design
    return designs


def rollout():
    """Return a model that has collected one rollout under a design-less recorder."""
    venv = DummyVecEnv([lambda: ComponentWorld(LONGEST)] * ENVS)
    model = PPO("MlpPolicy", venv, n_steps=STEPS, batch_size=STEPS, n_epochs=1, device="cpu")
    return model


def relabelling():
    """Time `rewrite` on the same recorded ticks again and again."""
    actions = {}
    for name, design in closed_form().items():
        model = rollout()
        attach_relabel(model, design)
        relabeller = model.rollout_buffer.relabeller
        recorder = relabeller.recorder
        rewrite = relabeller.rewrite
        kept = {}

        def keep(buffer, logger, recorder=recorder, rewrite=rewrite, kept=kept):
            kept["rewards"] = buffer.rewards.copy()
            forget, recorder.forget = recorder.forget, lambda *, keep_open: None
            rewrite(buffer, None)
            kept["forget"] = forget

        relabeller.rewrite = keep
        model.learn(STEPS * ENVS)

        def again(model=model, rewrite=rewrite, kept=kept):
            model.rollout_buffer.rewards[:] = kept["rewards"]
            rewrite(model.rollout_buffer, None)

        actions[name] = again
    for name, seconds in block_times(actions, 20).items():
        yield {
            "name": f"{name}, relabelling {STEPS} x {ENVS} steps",
            "value": 1e3 * seconds,
            "unit": "ms",
            "bound": 2.0,
        }


def vec_envs():
    idle = np.zeros(ENVS, int)

    def stepper(venv):
        venv.reset()
        return lambda: venv.step(idle)

    actions = {"null": stepper(DummyVecEnv([NullEnv] * ENVS))}
    for name, design in closed_form().items():
        actions[name] = stepper(DesignVecReward(DummyVecEnv([NullEnv] * ENVS), design, name=name))
    times = block_times(actions, 1000)
    for name, seconds in times.items():
        if name != "null":
            yield {
                "name": f"{name}, SB3 VecEnv of {ENVS}",
                "value": 1e6 * (seconds - times["null"]) / ENVS,
                "unit": "us/env-step",
                "bound": 5.0,
            }


def labelling(pairs=500_000):
    """Time HERON's labels of pairs with three factors."""
    rng = np.random.default_rng(0)
    first, second = rng.normal(size=(2, pairs, 3))
    margins = np.full(3, 0.5)
    times = block_times({"label": lambda: hierarchical_preferences(first, second, margins)}, 3)
    yield {
        "name": "hierarchical preferences, 3 factors",
        "value": pairs / times["label"] / 1e6,
        "unit": "M pairs/s",
        "bound": 2.0,
        "at_least": True,
    }


def run():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield from labelling()
        yield from relabelling()
        yield from vec_envs()
