"""Tree-MDP REINFORCE: subtree returns by hand, advantages, and what a step of learning does."""

import numpy as np
import pytest
import torch

from rewardloom.baselines.branching.agents import RandomAgent, save_agent
from rewardloom.baselines.branching.reinforce import (
    Episode,
    ReinforceConfig,
    advantages,
    subtree_returns,
    train,
    update,
)
from rewardloom.baselines.branching.scorer import Ragged, ScorerAgent
from rewardloom.envs.branching.tree import TreeTable
from rewardloom.errors import ConfigError

MICRO = {"family": "micro", "generator": {"num_variables": 8, "num_rows": 3}}


@pytest.fixture
def tree():
    # 1 has the children 2 and 3; 3 has 7 and 5; SCIP processed 3 before 2.
    node = np.array([1, 3, 2, 7, 5])
    return TreeTable(
        node=node,
        parent=np.array([0, 1, 1, 3, 3]),
        parent_row=np.array([-1, 0, 0, 1, 1]),
        depth=np.array([0, 1, 1, 2, 2], np.int32),
        side=np.array([0, 1, -1, 1, -1], np.int8),
        outcome=np.array([0, 0, 1, 2, 2], np.int8),
        variable=np.array([-1, 0, 0, 1, 1], np.int32),
        branching=np.array([0, 1, -1, -1, -1], np.int32),
        split=np.array([0, 0, np.nan, np.nan, np.nan]),
        lower_bound=np.zeros(5),
        subtree_size=np.array([5, 3, 1, 1, 1]),
        names=("x", "y"),
    )


def test_a_decision_answers_for_the_nodes_below_it(tree):
    assert subtree_returns(tree, [1, 3], logarithm=False).tolist() == [-5.0, -3.0]
    assert subtree_returns(tree, [3, 7, 1], logarithm=False).tolist() == [-3.0, -1.0, -5.0]
    expected = [-np.log(5), -np.log(3)]
    np.testing.assert_allclose(subtree_returns(tree, [1, 3], logarithm=True), expected)


def test_advantages_are_what_the_nodes_do_not_explain():
    rng = np.random.default_rng(0)
    nodes = rng.normal(size=(200, 8)).astype(np.float32)
    luck = rng.normal(size=200)
    found = advantages(5 * nodes[:, 0] - 2 * nodes[:, 3] + luck - 30, nodes)
    assert found.mean() == pytest.approx(0, abs=1e-9)
    assert found.std() == pytest.approx(1)
    assert np.corrcoef(found, luck)[0, 1] > 0.95


@pytest.mark.parametrize("count", [3, 9, 29])
def test_few_decisions_are_only_centered(count):
    rng = np.random.default_rng(0)
    returns, nodes = rng.normal(size=count), rng.normal(size=(count, 8)).astype(np.float32)
    expected = (returns - returns.mean()) / returns.std()
    np.testing.assert_allclose(advantages(returns, nodes), expected)


@pytest.mark.parametrize("count", [1, 5])
def test_equal_returns_of_equal_nodes_are_worth_nothing(count):
    found = advantages(np.full(count, -3.0), np.ones((count, 8), np.float32))
    np.testing.assert_array_equal(found, np.zeros(count))


def search(agent, rng, decisions=40):
    """Make decisions whose subtrees are small where the fourth feature is large."""
    candidates = [rng.normal(size=(6, 23)).astype(np.float32) for _ in range(decisions)]
    nodes = [np.zeros(8, np.float32)] * decisions
    scores = [agent.score(*each) for each in zip(candidates, nodes, strict=True)]
    chosen = np.array([int(np.argmax(row + rng.gumbel(size=6))) for row in scores])
    value = np.array([part[taken, 3] for part, taken in zip(candidates, chosen, strict=True)])
    return Episode(candidates, nodes, chosen, value + rng.normal(size=decisions), decisions)


def test_learning_finds_the_feature_that_makes_subtrees_small():
    torch.manual_seed(0)
    agent, rng = ScorerAgent(16), np.random.default_rng(0)
    optimizer = torch.optim.Adam(agent.network.parameters(), 1e-2)
    config = ReinforceConfig()
    first = search(agent, rng, 300)
    agent.network.fit_units(Ragged.of(first.candidates, first.nodes))
    for _ in range(40):
        learned = update(agent, optimizer, [search(agent, rng) for _ in range(4)], config)
    assert first.returns.mean() == pytest.approx(0, abs=0.25)
    assert search(agent, rng, 300).returns.mean() > 0.7
    assert 0 < learned["entropy"] < np.log(6)


def test_training_is_the_same_for_the_same_seed_and_moves_the_network():
    config = ReinforceConfig(world_kwargs=MICRO, episodes=9, episodes_per_update=3, width=8)
    logs = [[], []]
    agents = [train(config, log.append) for log in logs]
    assert logs[0] == logs[1]
    assert [row["episodes"] for row in logs[0]] == [6.0, 9.0]
    assert all(row["nodes"] >= 1 and row["decisions"] >= 3 for row in logs[0])
    for first, second in zip(*(a.network.parameters() for a in agents), strict=True):
        assert torch.equal(first, second)
    torch.manual_seed(0)
    untrained = ScorerAgent(8).network
    assert not torch.equal(agents[0].network.head[0].weight, untrained.head[0].weight)


def test_training_goes_on_from_an_agent_and_from_its_folder(tmp_path):
    torch.manual_seed(1)
    start = ScorerAgent(8)
    before = [weights.clone() for weights in start.network.parameters()]
    save_agent(start, tmp_path)
    found = [
        train(ReinforceConfig(world_kwargs=MICRO, start=each, episodes=2, episodes_per_update=2))
        for each in (start, tmp_path)
    ]
    moved = list(found[0].network.parameters())
    assert all(torch.equal(*pair) for pair in zip(before, start.network.parameters(), strict=True))
    assert any(not torch.equal(*pair) for pair in zip(before, moved, strict=True))
    assert all(torch.equal(*p) for p in zip(moved, found[1].network.parameters(), strict=True))


def test_a_limit_of_decisions_ends_searches():
    world = {"family": "micro", "horizon": 2}
    log = []
    train(ReinforceConfig(world_kwargs=world, episodes=4, episodes_per_update=2), log.append)
    assert [row["decisions"] for row in log] == [4.0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"episodes": 0}, "episodes must be an integer >= 1"),
        ({"entropy": -0.1}, "entropy"),
        ({"learning_rate": 0.0}, "learning_rate"),
        ({"max_gradient": 0.0}, "max_gradient"),
        ({"world_kwargs": {"observation": "graph"}}, "'candidates' only"),
        ({"world_kwargs": {"candidate_features": "khalil"}}, "'gasse' only"),
        ({"world_kwargs": {"scores": "strong_branching"}}, "no scores"),
    ],
)
def test_values_that_do_not_fit_are_refused(arguments, message):
    with pytest.raises(ConfigError, match=message):
        ReinforceConfig(**arguments)


def test_a_start_that_is_no_scorer_is_refused(tmp_path):
    save_agent(RandomAgent(), tmp_path)
    with pytest.raises(ConfigError, match="ScorerAgent"):
        train(ReinforceConfig(world_kwargs=MICRO, start=tmp_path))
