"""`DesignVecReward`: what it changes, and what it leaves alone."""

import numpy as np
import pytest
from stable_baselines3.common.vec_env import DummyVecEnv, VecMonitor

from rewardloom.baselines.plugs import DesignVecReward
from rewardloom.errors import ComponentError
from rewardloom.rewards import DeferDesign, GateDesign, WeightDesign
from rewardloom.testing import ComponentWorld

N = 3


class Kept(DummyVecEnv):
    """Keeps the infos it handed out and what was in them then."""

    def step_wait(self):
        out = super().step_wait()
        self.handed_out = out[3]
        self.held = [dict(info) for info in out[3]]
        return out


def test_infos_below_are_not_changed_and_rewards_are_its_own():
    class Kind(WeightDesign):
        def step(self, batch):
            self.last = super().step(batch)
            return self.last

    design = Kind({"a": 1.0})
    inner = Kept([ComponentWorld] * N)
    venv = DesignVecReward(inner, design, name="weight")
    venv.reset()
    for _ in range(20):
        _, rewards, _, infos = venv.step(np.ones(N, int))
        assert [set(info) for info in inner.handed_out] == [set(info) for info in inner.held]
        assert all("weight" in info for info in infos)
        paid = design.last.copy()
        assert rewards.dtype == np.float32
        rewards += 5.0  # as SB3 does at a time limit
        np.testing.assert_array_equal(design.last, paid)


def test_infos_are_the_callers_own_at_ticks_at_which_a_design_shows_the_same():
    design = GateDesign([{"components": "a", "name": "calls"}])
    venv = DesignVecReward(DummyVecEnv([ComponentWorld] * N), design, name="gate")
    venv.seed(0)
    venv.reset()
    settled = []
    for _ in range(60):
        _, _, dones, infos = venv.step(np.ones(N, int))
        for done, info in zip(dones, infos, strict=True):
            assert set(info["gate"]) == set(design.summary())
            settled.append((bool(done), info["gate"]["settled"]))
            info["gate"]["settled"] = 99.0
    assert set(settled) == {(False, 0.0), (True, 0.0), (True, 1.0)}


class Silent(WeightDesign):
    def summary(self):
        return {}


def test_a_design_that_shows_nothing_has_an_empty_entry():
    venv = DesignVecReward(DummyVecEnv([ComponentWorld] * N), Silent({"a": 1.0}), name="silent")
    venv.reset()
    assert [info["silent"] for info in venv.step(np.ones(N, int))[3]] == [{}] * N


def test_a_settled_time_limit_is_no_time_limit_for_sb3_but_a_failure_stays_one():
    seen = {"raw": set(), "settle": set()}
    for on_truncation, endings in seen.items():
        worlds = DummyVecEnv([lambda: ComponentWorld(truncation=0.4, failure=0.3)] * N)
        design = DeferDesign(on_truncation=on_truncation)
        venv = DesignVecReward(worlds, design, name="defer")
        venv.seed(0)
        venv.reset()
        for _ in range(60):
            _, _, dones, infos = venv.step(np.ones(N, int))
            for slot in np.flatnonzero(dones):
                info = infos[slot]
                endings.add((info.get("infra_failure", False), info["TimeLimit.truncated"]))
    assert seen["raw"] == {(False, False), (False, True), (True, True)}
    assert seen["settle"] == {(False, False), (True, True)}


def test_stacked_plugs_keep_the_worlds_own_reward():
    inner = DesignVecReward(
        DummyVecEnv([ComponentWorld] * N), WeightDesign({"b": 3.0}), name="inner"
    )
    venv = DesignVecReward(VecMonitor(inner), DeferDesign(), name="outer")
    venv.seed(5)
    venv.reset()
    raw, shaped = np.zeros(N), np.zeros(N)
    ends = 0
    for _ in range(40):
        _, rewards, dones, infos = venv.step(np.ones(N, int))
        for slot, info in enumerate(infos):
            values = info["reward_components"]
            own = values["a"] + 2 * values["b"] - values["c"] + values["outcome"]
            assert info["raw_reward"] == pytest.approx(own, abs=1e-6)
            assert info["inner"] == {"reward": pytest.approx(3 * values["b"])}
            raw[slot] += own
            shaped[slot] += 3 * values["b"]
            if dones[slot]:
                assert info["episode_raw_return"] == pytest.approx(raw[slot], abs=1e-5)
                assert rewards[slot] == pytest.approx(shaped[slot], abs=1e-5)
                raw[slot] = shaped[slot] = 0.0
                ends += 1
            else:
                assert "episode_raw_return" not in info
                assert rewards[slot] == 0.0
    assert ends > 10


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (lambda info: info.pop("reward_components"), "is missing"),
        (lambda info: info["reward_components"].pop("b"), "'b' is missing"),
        (lambda info: info["reward_components"].update(c=float("nan")), "'c' is nan"),
        (lambda info: info["reward_components"].update(c="2.5"), "'c' is 2.5"),
        (lambda info: info["reward_components"].update(goal=1.0), "Unexpected .*'goal'"),
    ],
)
def test_a_wrong_component_names_it_the_environment_and_the_step(edit, words):
    class Broken(ComponentWorld):
        steps = 0

        def step(self, action):
            *rest, info = super().step(action)
            self.steps += 1
            if self.steps == 2:
                edit(info)
            return (*rest, info)

    venv = DesignVecReward(
        DummyVecEnv([ComponentWorld, Broken]), WeightDesign({"a": 1.0}), name="weight"
    )
    venv.reset()
    venv.step(np.ones(2, int))
    with pytest.raises(ComponentError, match=f"{words}.*step 2 of environment 1"):
        venv.step(np.ones(2, int))
