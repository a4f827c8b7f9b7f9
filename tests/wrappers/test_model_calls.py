"""A learned design asks its model once per step of a vector, however many slots there are."""

import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from stable_baselines3.common.vec_env import DummyVecEnv

import rewardloom.wrappers.vector
from rewardloom.baselines.plugs import DesignVecReward
from rewardloom.rewards import make_design
from rewardloom.rewards.heron.models import Networks
from rewardloom.rewards.redistribute.rrd import RateModel
from rewardloom.rewards.redistribute.rudder import SequenceModel
from rewardloom.testing import ComponentWorld

QUICK = {"hidden": [4], "gradient_steps": 1, "first_refit": 2, "refit_every": 1}
RANKED = {"ranking": ["a", "b"], "center": "mean", "inputs": ["obs"]}
PREFERRED = {"first_refit": 2, "refit_every": 1, "gradient_steps": 1, "pairs": 20}
ONLINE = {
    "rrd": (
        "redistribute",
        {"mode": "rrd", "emit": "causal", "learning": QUICK},
        RateModel,
        "rates",
    ),
    "rudder": ("redistribute", {"mode": "rudder", "learning": QUICK}, SequenceModel, "advance"),
    "heron": ("heron", {**RANKED, "learning": PREFERRED}, Networks, "member_scores"),
}


def sb3(design, num_slots):
    venv = DesignVecReward(DummyVecEnv([ComponentWorld] * num_slots), design, name="learned")
    venv.seed(0)
    venv.reset()
    return lambda: venv.step(np.ones(num_slots, int))


def vector(design, num_slots):
    worlds = SyncVectorEnv([ComponentWorld] * num_slots, autoreset_mode=AutoresetMode.SAME_STEP)
    env = rewardloom.wrappers.vector.DesignReward(worlds, design, name="learned")
    env.reset(seed=0)
    return lambda: env.step(np.ones(num_slots, int))


@pytest.mark.parametrize("plug", [sb3, vector])
@pytest.mark.parametrize("kind", ONLINE)
@pytest.mark.parametrize("num_slots", [2, 16])
def test_a_model_is_called_once_per_vector_step(kind, plug, num_slots, monkeypatch):
    name, arguments, model, method = ONLINE[kind]
    design = make_design(name, **arguments)
    step = plug(design, num_slots)
    while not design.refits:
        step()
    design.update_model = False
    called = []
    plain = getattr(model, method)

    def counted(self, inputs, *rest):
        called.append(len(inputs))
        return plain(self, inputs, *rest)

    monkeypatch.setattr(model, method, counted)
    for _ in range(20):
        step()
    assert called == [num_slots] * 20
