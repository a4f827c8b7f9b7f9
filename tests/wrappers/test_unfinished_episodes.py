"""A TimeLimit outside a plug: who warns, and who has nothing to lose."""

import functools
import warnings

import gymnasium as gym
import pytest

from rewardloom.rewards import GateDesign, HeronDesign
from rewardloom.testing import ComponentWorld
from rewardloom.wrappers import DesignReward, GateReward, HeronReward, RedistributeReward

LEVELS = [{"components": "outcome", "priority": 1, "threshold": 0}, {"components": "a"}]
SCORE = {"score": "a"}

LOSES = {
    "difference": functools.partial(RedistributeReward, mode="difference", **SCORE),
    "rudder": functools.partial(RedistributeReward, mode="rudder"),
    "rrd, causal": functools.partial(RedistributeReward, mode="rrd", emit="causal"),
    "rrd, causal, none": functools.partial(
        RedistributeReward, mode="rrd", emit="causal", preserve="none"
    ),
    "heron": functools.partial(HeronReward, ranking=["a"]),
    "gate, causal": functools.partial(GateReward, levels=LEVELS, emit="causal"),
    "gate's design": lambda env: DesignReward(env, GateDesign(LEVELS, emit="causal"), name="gate"),
}
KEEPS = {
    "potential": functools.partial(RedistributeReward, mode="potential", **SCORE),
    "uniform": functools.partial(RedistributeReward, mode="uniform"),
    "rrd": functools.partial(RedistributeReward, mode="rrd"),
    "heron, relabel": functools.partial(HeronReward, ranking=["a"], emit="relabel"),
}


def cut_short(plug):
    """Two episodes that a TimeLimit outside the plug ends after one step."""
    inner = plug(ComponentWorld(50, truncation=0))
    env = gym.wrappers.TimeLimit(inner, 1)
    for _ in range(3):
        env.reset(seed=3)
        env.step(0)
    return inner


@pytest.mark.parametrize("plug", LOSES.values(), ids=list(LOSES))
def test_what_is_due_or_learned_at_the_end_is_warned_about_once(plug):
    with pytest.warns(UserWarning, match=r"unfinished episode.*put it inside") as caught:
        inner = cut_short(plug)
    assert len(caught) == 1
    assert inner.unfinished_episodes == 2


@pytest.mark.parametrize("plug", KEEPS.values(), ids=list(KEEPS))
def test_what_loses_nothing_does_not_warn(plug):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", "[A-Za-z]+ as configured pays in a training buffer")
        assert cut_short(plug).unfinished_episodes == 2


def test_a_frozen_model_has_nothing_to_learn():
    design = HeronDesign(["a"])
    design.update_model = False
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", "[A-Za-z]+ as configured pays in a training buffer")
        cut_short(lambda env: DesignReward(env, design, name="heron"))
