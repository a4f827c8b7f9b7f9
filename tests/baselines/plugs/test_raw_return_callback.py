"""`RawReturnCallback`: what the task paid, beside what the agent was paid."""

import numpy as np
import pytest
from stable_baselines3 import DQN, PPO
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.vec_env import DummyVecEnv, VecMonitor

from rewardloom.baselines.plugs import DesignVecReward, RawReturnCallback, attach_relabel
from rewardloom.rewards import (
    CountDesign,
    DeferDesign,
    RedistributeDesign,
    RNDDesign,
    WeightDesign,
)
from rewardloom.testing import ComponentWorld
from rewardloom.wrappers import CountReward, WeightReward

N = 3


class Collected(BaseCallback):
    """Sums up by hand what finished episodes were paid."""

    def __init__(self, key):
        super().__init__()
        self.key = key
        self.finished = []

    def _on_training_start(self):
        self.open = np.zeros(N)

    def _on_step(self):
        for slot, info in enumerate(self.locals["infos"]):
            self.open[slot] += self.key(info, self.locals["rewards"][slot])
            if self.locals["dones"][slot]:
                self.finished.append(self.open[slot])
                self.open[slot] = 0.0
        return True


class Memory(Logger):
    """Keeps the last value of every key, also after a dump."""

    def __init__(self):
        super().__init__(None, [])
        self.last = {}

    def record(self, key, value, exclude=None):
        super().record(key, value, exclude)
        self.last[key] = value


def learn(model, callbacks, steps=240):
    logger = Memory()
    model.set_logger(logger)
    model.learn(steps, callback=callbacks)
    return logger.last


def ppo(venv):
    return PPO("MlpPolicy", venv, n_steps=40, batch_size=120, n_epochs=1, seed=0, device="cpu")


def component(info):
    return info["reward_components"]


def raw_of(info):
    values = component(info)
    return values["a"] + 2 * values["b"] - values["c"] + values["outcome"]


def test_raw_and_shaped_returns_and_design_columns_under_ppo():
    venv = VecMonitor(DummyVecEnv([ComponentWorld] * N))
    venv = DesignVecReward(venv, WeightDesign({"a": 1.0}), name="weight")
    venv = DesignVecReward(venv, CountDesign(1.0, resolution=1.0), name="novelty")
    raw = Collected(lambda info, reward: raw_of(info))
    shaped = Collected(lambda info, reward: reward)
    bonus = Collected(lambda info, reward: info["novelty"]["bonus"])
    weight = Collected(lambda info, reward: component(info)["a"])
    logged = learn(ppo(venv), [raw, shaped, bonus, weight, RawReturnCallback()])
    assert len(raw.finished) > 40
    for key, sums in {
        "rollout/ep_raw_rew_mean": raw,
        "rollout/ep_shaped_rew_mean": shaped,
        "design/novelty/bonus": bonus,
        "design/weight/reward": weight,
    }.items():
        assert logged[key] == pytest.approx(np.mean(sums.finished[-100:]), rel=1e-5, abs=1e-5)
    assert logged["rollout/ep_raw_rew_mean"] == pytest.approx(
        logged["rollout/ep_rew_mean"], rel=1e-4, abs=1e-4
    )


def test_plugs_inside_the_environments_are_found_too():
    venv = DummyVecEnv([lambda: WeightReward(ComponentWorld(), {"b": 1.0})] * N)
    raw = Collected(lambda info, reward: raw_of(info))
    logged = learn(ppo(venv), [raw, RawReturnCallback()])
    assert logged["rollout/ep_raw_rew_mean"] == pytest.approx(np.mean(raw.finished[-100:]))
    assert logged["design/weight/reward"] == pytest.approx(
        logged["rollout/ep_shaped_rew_mean"], abs=1e-5
    )


@pytest.mark.filterwarnings("ignore:Only .* of the rollout's steps:UserWarning")
def test_a_relabelled_model_collects_raw_returns_and_logs_what_was_rewritten():
    model = ppo(DummyVecEnv([ComponentWorld] * N))
    attach_relabel(model, DeferDesign())
    raw = Collected(lambda info, reward: reward)
    logged = learn(model, [raw, RawReturnCallback()])
    assert logged["rollout/ep_raw_rew_mean"] == pytest.approx(np.mean(raw.finished[-100:]))
    assert 0.5 < logged["relabel/whole_episode_share"] <= 1.0


def test_a_relabelled_replay_buffer_says_how_much_of_it_can_be_sampled():
    venv = DummyVecEnv([ComponentWorld] * N)
    model = DQN("MlpPolicy", venv, learning_starts=10_000, buffer_size=300, device="cpu", seed=0)
    attach_relabel(model, DeferDesign())
    logged = learn(model, RawReturnCallback())
    buffer = model.replay_buffer
    assert logged["relabel/valid_row_share"] == buffer._valid[: buffer.pos].mean()
    assert 0.5 < logged["relabel/valid_row_share"] < 1.0


def test_off_policy_training_logs_them_too():
    venv = DesignVecReward(DummyVecEnv([ComponentWorld] * N), DeferDesign(), name="defer")
    model = DQN("MlpPolicy", venv, learning_starts=10_000, buffer_size=300, device="cpu", seed=0)
    raw = Collected(lambda info, reward: raw_of(info))
    logged = learn(model, [raw, RawReturnCallback()])
    assert logged["rollout/ep_raw_rew_mean"] == pytest.approx(
        np.mean(raw.finished[-100:]), rel=1e-5
    )


def test_columns_that_are_no_sums_are_reduced_as_their_design_says():
    venv = DummyVecEnv([lambda: CountReward(ComponentWorld(), 1.0, resolution=1.0)] * N)
    venv = VecMonitor(DesignVecReward(venv, DeferDesign(), name="defer"))
    steps = Collected(lambda info, reward: 1.0)
    visits = Collected(lambda info, reward: info["count"]["visits"])
    held = Collected(lambda info, reward: info["defer"]["held"] if "episode" in info else 0.0)
    logged = learn(ppo(venv), [steps, visits, held, RawReturnCallback()])
    means = np.divide(visits.finished, steps.finished)[-100:]
    assert logged["design/count/visits_mean"] == pytest.approx(means.mean())
    assert logged["design/defer/held_last"] == pytest.approx(np.mean(held.finished[-100:]))
    assert {"design/count/visits", "design/defer/held"}.isdisjoint(logged)
    assert "design/count/bonus" in logged


def test_diagnostics_of_a_design_around_the_vec_env_and_of_one_on_the_buffer():
    learning = {"warmup_steps": 10, "train_every": 16, "batch_size": 8, "hidden": [8]}
    bonus = RNDDesign(learning=learning)
    venv = VecMonitor(DesignVecReward(DummyVecEnv([ComponentWorld] * N), bonus, name="rnd"))
    model = ppo(venv)
    learned = RedistributeDesign(
        "ircr", learning={"first_refit": 2, "refit_every": 20, "max_episodes": 50}
    )
    attach_relabel(model, learned)
    with pytest.warns(UserWarning, match="of the rollout's steps"):
        logged = learn(model, RawReturnCallback())
    for prefix, design in {"design/rnd": bonus, "relabel": learned}.items():
        facts = design.diagnostics()
        assert facts
        assert facts.keys() <= {key.removeprefix(f"{prefix}/") for key in logged}
    assert logged["design/rnd/steps"] == 240


def test_a_model_that_was_not_trained_again_is_not_asked_again():
    venv = DummyVecEnv([ComponentWorld] * N)
    model = ppo(venv)
    design = RedistributeDesign("ircr", learning={"first_refit": 1, "refit_every": 1})
    attach_relabel(model, design)
    asked = []
    design.diagnostics = lambda: asked.append(design.refits) or {"loss": 0.0}
    with pytest.warns(UserWarning, match="of the rollout's steps"):
        learn(model, RawReturnCallback())
    assert asked
    assert len(asked) == len(set(asked))
    asked.clear()
    design.update_model = False
    learn(model, RawReturnCallback())
    assert not asked
