"""AEC worlds through PettingZoo's own conversions, on its rock-paper-scissors."""

import pytest
from pettingzoo import AECEnv
from pettingzoo.classic.rps import rps
from pettingzoo.utils.conversions import aec_to_parallel, parallel_to_aec

from rewardloom.errors import ConfigError
from rewardloom.wrappers.parallel import DeferReward, RewardComponents, WeightReward

ROCK, PAPER = 0, 1


def won(transition):
    return float(transition.reward > 0)


def lost(transition):
    return float(transition.reward < 0)


def shaped(**kwargs):
    world = aec_to_parallel(rps.env(num_actions=3, max_cycles=3))
    world = RewardComponents(world, won=won, lost=lost)
    return WeightReward(world, {"won": 1.0, "lost": -0.25}, **kwargs)


def test_a_converted_world_pays_each_agent_by_its_own_components():
    env = shaped()
    env.reset(seed=0)
    for step in range(3):
        _, rewards, _, truncated, infos = env.step({"player_0": PAPER, "player_1": ROCK})
        assert rewards == {"player_0": 1.0, "player_1": -0.25}
        assert infos["player_1"]["raw_reward"] == -1.0
        assert set(truncated.values()) == {step == 2}
    assert infos["player_0"]["episode_raw_return"] == 3.0
    assert env.agents == []


def test_the_way_back_gives_an_aec_world_with_the_designs_rewards():
    env = parallel_to_aec(DeferReward(shaped(), name="late"))
    assert isinstance(env, AECEnv)
    env.reset(seed=0)
    totals = dict.fromkeys(env.possible_agents, 0.0)
    paid = {agent: [] for agent in env.possible_agents}
    for agent in env.agent_iter():
        _, reward, terminated, truncated, info = env.last()
        totals[agent] += reward
        paid[agent].append(reward)
        over = terminated or truncated
        if over:
            assert info["late"]
        env.step(None if over else (PAPER if agent == "player_0" else ROCK))
    assert totals == {"player_0": 3.0, "player_1": -0.75}
    assert paid["player_0"] == [0.0, 0.0, 0.0, 3.0]  # the first turn comes before any reward


@pytest.mark.parametrize("plug", [DeferReward, RewardComponents])
def test_an_aec_world_itself_is_refused_with_the_call_that_converts_it(plug):
    with pytest.raises(ConfigError, match="aec_to_parallel"):
        plug(rps.env())
