"""Agents that join a running game, and worlds that say nothing of agents that leave."""

import numpy as np
import pytest
from gymnasium import spaces
from pettingzoo import ParallelEnv

from rewardloom.baselines.plugs import DesignVecReward, ParallelToVecEnv
from rewardloom.errors import ComponentError
from rewardloom.rewards import make_design
from rewardloom.rewards.design import StepBatch
from rewardloom.testing.parallel import ParallelComponentWorld
from rewardloom.wrappers import parallel
from rewardloom.wrappers.batching import RowReader

NET = {"hidden": [4], "gradient_steps": 1, "first_refit": 1, "refit_every": 5}


class Silent(ParallelComponentWorld):
    """Gives nothing of the agents that leave: no observation, no action is asked for."""

    def step(self, actions):
        obs, *rest = super().step(actions)
        return {agent: obs[agent] for agent in self.agents}, *rest


def play(env, games=6):
    """Return what every agent was paid at each step; the last step of each game is one more."""
    paid = []
    for game in range(games):
        env.reset(seed=game)
        while env.agents:
            paid.append(env.step({agent: 1 for agent in env.agents})[1])
    return paid


@pytest.mark.parametrize("mode", ["rrd", "rudder"])
def test_a_world_without_last_observations_pays_what_another_does(mode):
    """With the last observation read the two differ by the model's inputs, so none is read."""

    def world(cls):
        design = make_design(
            "redistribute", mode=mode, emit="causal", learning={**NET, "inputs": ["obs", "action"]}
        )
        return parallel.DesignReward(cls(3), design, name="spread")

    assert play(world(Silent)) == play(world(ParallelComponentWorld))


class Keeps(parallel.DesignReward):
    """Notes the batches that reach the design."""

    def __init__(self, env, needs):
        design = make_design("weight", weights={"a": 1.0})
        design.needs = frozenset({"components", *needs})
        self.seen: list[StepBatch] = []
        super().__init__(env, design, name="keeps")
        step = design.step
        design.step = lambda batch: (self.seen.append(batch), step(batch))[1]


def test_an_agent_that_leaves_without_an_observation_keeps_the_one_it_had():
    env = Keeps(Silent(2), ["obs", "next_obs", "action"])
    play(env, games=3)
    lonely = [b for b in env.seen if (b.terminated | b.truncated)[b.active].all()]
    assert lonely
    for batch in lonely:
        rows = batch.active
        np.testing.assert_array_equal(batch.next_obs[rows], batch.obs[rows])


@pytest.mark.parametrize("flat", [True, False])
def test_a_step_of_an_empty_game_reaches_the_design_as_zeros(flat):
    env = Keeps(Silent(2), ["action", *(["flat"] if flat else [])])
    play(env, games=1)
    env.step({})
    assert not env.seen[-1].active.any()
    assert env.seen[-1].action.shape == ((2, 3) if flat else (2,))
    assert not env.seen[-1].action.any()


@pytest.mark.parametrize("flat", [True, False])
def test_zeros_exist_in_every_space(flat):
    space = spaces.Dict(
        {
            "where": spaces.Discrete(3, start=5),
            "seen": spaces.Tuple((spaces.MultiBinary(2), spaces.Box(0, 255, (2, 2), np.uint8))),
        }
    )
    zeros = RowReader(space, flat=flat).zeros(4)
    if flat:
        assert zeros.shape == (4, 9)
        assert not zeros.any()
    else:
        assert zeros["where"].shape == (4,)
        assert zeros["seen"][1].shape == (4, 2, 2)


def test_an_acting_agent_without_an_info_is_a_missing_component():
    class NoInfo(Silent):
        def step(self, actions):
            *rest, infos = super().step(actions)
            return *rest, {agent: infos[agent] for agent in self.agents}

    with pytest.raises(ComponentError, match=r"reward_components.*missing.*agent_"):
        play(parallel.WeightReward(NoInfo(2), {"a": 1.0}))


def test_the_bridge_to_sb3_shows_the_last_observation_that_there_was():
    venv = ParallelToVecEnv(Silent(1))
    venv.seed(0)
    obs, ends = venv.reset(), 0
    for _ in range(30):
        before = obs
        obs, _, dones, infos = venv.step(np.ones(1, int))
        if dones[0]:
            np.testing.assert_array_equal(infos[0]["terminal_observation"], before[0])
            ends += 1
    assert ends > 3


class Late(ParallelEnv):
    """Two agents with the potential `height`; b joins after one step, without the entry `cost`.

    Rewards are 1. Heights: a 10, 11, 12, 13; b (from when it joins) 20, 22, 24. Ends terminate.
    """

    metadata = {"name": "late_v0"}  # noqa: RUF012 (PettingZoo's own annotation)
    possible_agents = ["a", "b"]  # noqa: RUF012

    def observation_space(self, agent):
        return spaces.Box(-1, 1, (1,), np.float32)

    def action_space(self, agent):
        return spaces.Discrete(2)

    def reset(self, seed=None, options=None):
        self.agents, self.clock = ["a"], 0
        return {"a": np.zeros(1, np.float32)}, {"a": {"height": 10.0}}

    def step(self, actions):
        self.clock += 1
        acting = self.agents
        heights = {"a": 10.0 + self.clock, "b": 20.0 + 2 * (self.clock - 1)}
        self.agents = ["a", "b"] if self.clock < 3 else []
        seen = ["a", "b"]
        return (
            dict.fromkeys(seen, np.zeros(1, np.float32)),
            dict.fromkeys(acting, 1.0),
            dict.fromkeys(acting, self.clock == 3),
            dict.fromkeys(acting, False),
            {
                agent: {"height": heights[agent], **({"cost": 0.5} if agent in acting else {})}
                for agent in seen
            },
        )


def test_a_late_agents_potential_starts_where_it_joins():
    """r + 0.5 Phi' - Phi, 0 after the end."""
    options = {"mode": "potential", "score": "info:height", "gamma": 0.5}
    env = parallel.DesignReward(Late(), make_design("redistribute", **options), name="spread")
    for _ in range(2):
        env.reset()
        paid = [env.step(dict.fromkeys(env.agents, 0))[1] for _ in range(3)]
        assert paid == [
            {"a": 1 + 5.5 - 10},
            {"a": 1 + 6 - 11, "b": 1 + 11 - 20},
            {"a": 1 - 12, "b": 1 - 22},
        ]

    venv = DesignVecReward(
        ParallelToVecEnv(Late()), make_design("redistribute", **options), name="spread"
    )
    venv.reset()
    for _ in range(2):
        rows = [venv.step(np.zeros(2, int))[1].tolist() for _ in range(3)]
        assert rows == [[-3.5, 0], [-4, -8], [-11, -21]]


def test_an_agent_may_join_without_the_columns_that_only_steps_have():
    design = make_design("weight", weights={"a": 1.0})
    design.needs = frozenset({"cost", "info:height"})
    design.bind = lambda names, num_slots: None
    design.step = lambda batch: batch.reward
    design.summary = dict
    env = parallel.DesignReward(Late(), design, name="weight")
    env.reset()
    for _ in range(3):
        env.step(dict.fromkeys(env.agents, 0))
