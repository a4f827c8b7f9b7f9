"""What the causal modes of redistribution add to a step, and that no design is quadratic."""

import warnings

import numpy as np
from blocks import block_times
from stable_baselines3.common.vec_env import DummyVecEnv

from rewardloom.baselines.plugs import DesignVecReward
from rewardloom.rewards import DESIGNS, StepBatch, episode_batch, make_design
from rewardloom.testing import COMPONENTS, NullEnv

ENVS = 8
SHORT, LONG = 1_000, 4_000
CAUSAL = {
    "difference": {"score": "a"},
    "potential": {"score": "a"},
    "rrd": {"emit": "causal", "learning": {"first_refit": 1, "gradient_steps": 1}},
    "rudder": {"learning": {"first_refit": 1, "gradient_steps": 1}},
}


def fitted(mode):
    """Return a causal mode's design; a learned one has a frozen model of NullEnv's steps."""
    design = make_design("redistribute", mode=mode, **CAUSAL[mode])
    if design.memory == "model":
        obs, action = np.zeros((20, 4), np.float32), np.zeros((20, 2), np.float32)
        design.bind((), 1)
        design.relabel(episode_batch([np.ones(20)], obs=obs, action=action))
        design.update_model = False
    return design


def vec_envs():
    """Time one step of a VecEnv of 8 with each causal mode, less that without a design."""
    idle = np.zeros(ENVS, int)

    def stepper(venv):
        venv.reset()
        return lambda: venv.step(idle)

    actions = {"null": stepper(DummyVecEnv([NullEnv] * ENVS))}
    for mode in CAUSAL:
        venv = DesignVecReward(DummyVecEnv([NullEnv] * ENVS), fitted(mode), name=mode)
        actions[mode] = stepper(venv)
    times = block_times(actions, 400)
    for mode in CAUSAL:
        learned = "learning" in CAUSAL[mode]
        yield {
            "name": f"redistribute {mode}, SB3 VecEnv of {ENVS}",
            "value": 1e6 * (times[mode] - times["null"]) / ENVS,
            "unit": "us/env-step",
            "bound": None if learned else 5.0,
            "note": "one call of the model per vector step" if learned else None,
        }


def learned_ticks():
    """Time a tick of the learned modes alone at two sizes: one call makes slots cheap."""
    for mode in ("rrd", "rudder"):
        actions = {}
        for slots in (8, 64):
            design = fitted(mode)
            design.bind((), slots)
            design.begin(np.ones(slots, bool))
            batch = tick(slots, ended=False)
            actions[slots] = lambda design=design, batch=batch: design.step(batch)
        times = block_times(actions, 300)
        yield {
            "name": f"redistribute {mode}, a tick of 64 slots to one of 8",
            "value": times[64] / times[8],
            "unit": "ratio",
            "bound": 4.0,
            "note": f"{1e6 * times[8]:.0f} and {1e6 * times[64]:.0f} us",
        }


def tick(slots, *, ended):
    """Return a tick with everything that a design may need."""
    no = np.zeros(slots, bool)
    return StepBatch(
        np.ones(slots),
        np.full((slots, len(COMPONENTS)), 0.5),
        np.full(slots, ended),
        no,
        ~no,
        no,
        obs=np.zeros((slots, 4), np.float32),
        action=np.zeros((slots, 2), np.float32),
        next_obs=np.zeros((slots, 4), np.float32),
        extra={"caption": np.full(slots, "You see here a gem.", object)},
    )


def everything():
    """Return a maker of each design of the catalog and of each causal mode."""
    makers = {name: lambda n=name: make_design(n, **DESIGNS[n].example) for name in DESIGNS}
    return makers | {f"redistribute {mode}": lambda m=mode: fitted(m) for mode in CAUSAL}


def online(design, length):
    """Return a function that plays one episode of some length in one slot."""
    going, last = tick(1, ended=False), tick(1, ended=True)
    design.bind(COMPONENTS, 1)

    def play():
        design.begin(np.ones(1, bool))
        for _ in range(length - 1):
            design.step(going)
        design.step(last)

    return play


def offline(design, length):
    """Return a function that relabels one episode of some length."""
    batch = tick(length, ended=False)
    episode = episode_batch(
        [batch.reward],
        [batch.components],
        obs=batch.obs,
        action=batch.action,
        next_obs=batch.next_obs,
        extra=batch.extra,
    )
    design.bind(COMPONENTS, 1)
    return lambda: design.relabel(episode)


def lengths():
    """Time a step of an episode four times as long; a quadratic design takes four times as much."""
    for name, make in everything().items():
        for path in (online, offline):
            actions = {}
            for length in (SHORT, LONG):
                design = make()
                if design.memory == "model":
                    design.update_model = False
                actions[length] = path(design, length)
            times = block_times(actions, 1, blocks=5)
            yield {
                "name": f"{name}, {path.__name__}: a step of {LONG} to one of {SHORT}",
                "value": times[LONG] / LONG / (times[SHORT] / SHORT),
                "unit": "ratio",
                "bound": 1.5,
            }


def run():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield from vec_envs()
        yield from learned_ticks()
        yield from lengths()
