"""Faults found in review, each with the smallest world that shows it."""

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv

from rewardloom import reward_component_names
from rewardloom.errors import ComponentError, ConfigError
from rewardloom.rewards import WeightDesign
from rewardloom.testing import ComponentWorld
from rewardloom.testing.parallel import ParallelComponentWorld
from rewardloom.wrappers import (
    Component,
    DeferReward,
    DesignReward,
    IntrinsicReward,
    RewardComponents,
    WeightReward,
    parallel,
    vector,
)


class Speaks(gym.Env):
    """Two-step episodes that say "start", then the same line twice; reward is the count so far."""

    observation_space = spaces.Box(-10, 10, (1,), np.float32)
    action_space = spaces.Discrete(2)
    reward_components = ("a",)

    def __init__(self, value=1.0):
        self.value = value
        self.obs = np.zeros(1, np.float32)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.clock = 0
        self.obs[:] = 0
        return self.obs, {"text": "start"}

    def step(self, action):
        self.clock += 1
        self.obs[:] = self.clock  # written in place
        info = {"text": "You kill the newt!", "reward_components": {"a": self.value}}
        return self.obs, 1.0, self.clock == 2, False, info


def test_a_caption_function_at_reset_reads_the_new_episodes_info():
    def paid(env, steps):
        env.reset(seed=0)
        rewards = []
        for _ in range(steps):
            _, reward, terminated, _, _ = env.step(np.zeros(1, int))
            rewards.append(float(np.ravel(reward)[0]))
            if not isinstance(env, gym.vector.VectorEnv) and terminated:
                env.reset()
        return rewards

    kwargs = {
        "caption_fn": lambda obs, info: info["text"],
        "intrinsic_coef": 1.0,
        "extrinsic_coef": 0.0,
    }
    single = paid(IntrinsicReward(Speaks(), **kwargs), 6)
    same = SyncVectorEnv([Speaks], autoreset_mode=AutoresetMode.SAME_STEP)
    assert paid(vector.IntrinsicReward(same, **kwargs), 6) == single == [1, 0.125] * 3


def test_a_function_sees_two_observations_where_the_world_writes_in_place():
    def moved(t):
        return np.ravel(t.next_obs - t.obs)

    env = RewardComponents(Speaks(), moved=lambda t: float(moved(t)[0]))
    env.reset(seed=0)
    assert env.step(0)[4]["reward_components"]["moved"] == 1.0
    venv = vector.RewardComponents(SyncVectorEnv([Speaks] * 2, copy=False), moved=moved)
    venv.reset(seed=0)
    assert venv.step(np.zeros(2, int))[4]["reward_components"]["moved"].tolist() == [1, 1]


def test_integer_components_that_gymnasium_would_round_are_refused():
    venv = vector.WeightReward(SyncVectorEnv([lambda: Speaks(1), Speaks]), {"a": 1.0})
    venv.reset(seed=0)
    with pytest.raises(ComponentError, match=r"'a' arrives as int64.*Give floats"):
        venv.step(np.zeros(2, int))


def test_a_late_agent_starts_afresh():
    class Late(ParallelComponentWorld):
        """Agent 1 joins at the second step."""

        def reset(self, seed=None, options=None):
            obs, infos = super().reset(seed, options)
            self.agents = self.possible_agents[:1]
            return {a: obs[a] for a in self.agents}, {a: infos[a] for a in self.agents}

        def step(self, actions):
            result = super().step(actions)
            if self.agents == self.possible_agents[:1]:
                self.agents = list(self.possible_agents)
            return result

    env = parallel.DeferReward(Late(2, max_length=60, truncation=0.0))
    for seed in range(30):
        env.reset(seed=seed)
        held = None
        for _ in range(2):
            if not env.agents:
                break
            infos = env.step(dict.fromkeys(env.agents, 0))[4]
            if "agent_1" in infos:
                held = infos["agent_1"]
        if held is not None:
            assert held["defer"]["held"] == pytest.approx(held["raw_reward"])


def test_the_vector_components_know_the_second_autoreset_of_unshared_workers():
    envs = AsyncVectorEnv([lambda: ComponentWorld(1)] * 2, shared_memory=False)
    venv = vector.RewardComponents(envs, raw="reward")
    try:
        venv.reset(seed=0)
        venv.step(np.zeros(2, int))
        venv.reset(seed=1)
        infos = venv.step(np.zeros(2, int))[4]
        assert not infos["_reward_components"].any()
    finally:
        venv.close()


class Asks(WeightDesign):
    needs = frozenset({"components", "checks", "cost"})

    def step(self, batch):
        self.heard = (batch.extra["checks"][0], float(batch.extra["cost"][0]))
        return super().step(batch)


def test_checks_and_costs_are_asked_for_only_where_the_contract_has_them():
    class Costs(Speaks):
        def step(self, action):
            *rest, info = super().step(action)
            return (*rest, {**info, "cost": 0.5})

    env = DesignReward(Costs(), Asks({"a": 1.0}), name="asks")
    env.reset(seed=0)
    env.step(0)
    assert env.design.heard == (None, 0.5)
    for mode in (AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP):
        venv = SyncVectorEnv([Costs] * 2, autoreset_mode=mode)
        venv = vector.DesignReward(venv, Asks({"a": 1.0}), name="asks")
        venv.reset(seed=0)
        for _ in range(2):
            venv.step(np.zeros(2, int))
            assert venv.design.heard == (None, 0.5)
        venv.step(np.zeros(2, int))
    silent = DesignReward(Speaks(), Asks({"a": 1.0}), name="asks")
    silent.reset(seed=0)
    with pytest.raises(ConfigError, match="cost"):
        silent.step(0)


def test_equal_names_deep_in_a_sub_environment_are_refused():
    def stack():
        return DeferReward(WeightReward(ComponentWorld(), {"a": 1.0}, name="x"), name="y")

    with pytest.raises(ConfigError, match="called 'x'"):
        vector.WeightReward(SyncVectorEnv([stack] * 2), {"a": 1.0}, name="x")


@pytest.mark.parametrize("name", ["reward_components", "raw_reward", "caption", "final_info"])
def test_names_with_a_meaning_of_their_own_are_refused(name):
    with pytest.raises(ConfigError, match="meaning of its own"):
        DeferReward(ComponentWorld(), name=name)


def test_sub_environments_of_which_one_declares_nothing_are_an_error():
    venv = SyncVectorEnv([Speaks, lambda: RewardComponents(Bare(), a="reward"), Bare])
    with pytest.raises(ComponentError, match=r"\[2\].*declare no reward_components"):
        reward_component_names(venv)


class Bare(gym.Env):
    observation_space = Speaks.observation_space
    action_space = Speaks.action_space


@pytest.mark.parametrize("default", [float("nan"), "abc"])
def test_a_default_that_is_no_finite_number_is_refused(default):
    with pytest.raises(ConfigError, match="finite number"):
        RewardComponents(Speaks(), z=Component("z", default=default))


def test_what_the_plug_keeps_is_not_what_it_hands_out():
    venv = vector.WeightReward(SyncVectorEnv([Speaks] * 2), {"a": 1.0})
    venv.reset(seed=0)
    venv.step(np.zeros(2, int))
    venv.step(np.zeros(2, int))[4]["_episode_raw_return"][:] = False
    venv.step(np.zeros(2, int))


def test_a_design_that_is_none_says_so():
    with pytest.raises(ConfigError, match=r"Expected a reward design.*'defer'"):
        DesignReward(ComponentWorld(), "defer", name="defer")
