"""PPO learns from captions that a server labels in the background, whatever becomes of it."""

import gc
import threading
import time

import gymnasium as gym
import numpy as np
import pytest
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.vec_env import DummyVecEnv
from stub_llm import Hang, Say, StubLLM

from rewardloom.baselines.plugs import DesignVecReward, attach_relabel
from rewardloom.rewards import IntrinsicDesign
from rewardloom.wrappers.captions import EventCaptions


def says(step):
    row = int(step.next_obs) // 4
    return f"You stand in row {row}." if step.next_obs != step.obs else "You bump into the edge."


def lakes(count=4):
    def lake():
        return EventCaptions(gym.make("FrozenLake-v1", is_slippery=False), says)

    return DummyVecEnv([lake] * count)


def answers(request):
    return Say("yes" if "in row 1." in request["messages"][-1]["content"] else "no")


def judge(url, **kwargs):
    return {"annotator": "openai", "base_url": url, "model": "m", "backoff": 0.01, **kwargs}


def model_on(venv, **kwargs):
    return PPO("MlpPolicy", venv, n_steps=64, batch_size=64, n_epochs=1, device="cpu", **kwargs)


class Between(BaseCallback):
    """Does something once, after `step` steps."""

    def __init__(self, step, action):
        super().__init__()
        self.step, self.action, self.done = step, action, False

    def _on_step(self):
        if self.num_timesteps >= self.step and not self.done:
            self.done = True
            self.action()
        return True


@pytest.fixture(autouse=True)
def _nothing_is_left():
    before = threading.active_count()
    yield
    gc.collect()
    deadline = time.monotonic() + 5
    while threading.active_count() > before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert threading.active_count() <= before


def test_labels_reach_the_rewards_while_the_agent_trains():
    with StubLLM(answers) as server:
        design = IntrinsicDesign(
            {"name": "second row", "description": "Go down to row 1."},
            annotator=judge(server.url),
            asynchronous=True,
            count_exponent=0,
        )
        venv = DesignVecReward(lakes(), design, name="intrinsic")
        model_on(venv, seed=0).learn(
            2_048, callback=Between(512, lambda: design._asking._labeler.wait(5))
        )
        table = design.model.table
        assert 2 <= len(table) <= 5
        assert table["You stand in row 1."] == 1
        assert sum(table.values()) == 1
        assert len(server.requests) == len(table)  # nothing was asked twice
        venv.close()


@pytest.mark.parametrize("on_buffer", [False, True], ids=["online", "buffer"])
@pytest.mark.filterwarnings("ignore:.*does not answer")
@pytest.mark.filterwarnings("ignore:.*failed with")
def test_a_server_that_dies_never_stops_training(on_buffer):
    server = StubLLM(answers)
    design = IntrinsicDesign(annotator=judge(server.url, timeout=0.2), asynchronous=True)
    venv = lakes() if on_buffer else DesignVecReward(lakes(), design, name="intrinsic")
    model = model_on(venv)
    if on_buffer:
        attach_relabel(model, design)
    model.learn(1_024, callback=Between(256, server.stop))
    assert model.num_timesteps == 1_024
    model.env.close()


@pytest.mark.filterwarnings("ignore:.*does not answer")
def test_a_server_that_hangs_slows_nothing_down():
    with StubLLM(Hang()) as server:
        design = IntrinsicDesign(annotator=judge(server.url, timeout=30), asynchronous=True)
        venv = DesignVecReward(lakes(), design, name="intrinsic")
        began = time.monotonic()
        model_on(venv).learn(512)
        assert time.monotonic() - began < 20  # less than one timeout
        assert not design.model.table
        began = time.monotonic()
        venv.close()
        assert time.monotonic() - began < 5


def test_on_the_buffer_labels_that_arrive_before_learning_count():
    """Collected without a label, learned with it: the annotator answers between the two."""
    with StubLLM(answers) as server:
        design = IntrinsicDesign(
            annotator=judge(server.url), asynchronous=True, extrinsic_coef=0, count_exponent=0
        )
        model = model_on(lakes(), seed=0)
        attach_relabel(model, design)
        labeler = design._asking._labeler
        rewards = []

        class LastMoment(BaseCallback):
            def _on_step(self):
                if self.num_timesteps == 256:  # the last step of the rollout
                    assert labeler.wait(5)
                return True

            def _on_rollout_end(self):
                rewards.append(self.model.rollout_buffer.rewards.copy())

        model.learn(256, callback=LastMoment())
        assert set(np.unique(rewards[0])) == {0.0, np.float32(0.4)}
        share = (rewards[0] > 0).mean()
        assert share > 0.05
        model.env.close()
