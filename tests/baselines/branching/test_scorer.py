"""The candidate scorer: order, batches, units, ties, and the agent around it."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from rewardloom.baselines.branching.agents import load_agent, save_agent
from rewardloom.baselines.branching.scorer import Ragged, ScorerAgent, argmax, log_softmax
from rewardloom.errors import ConfigError


def decisions(sizes=(4, 1, 7), seed=0):
    rng = np.random.default_rng(seed)
    candidates = [rng.normal(size=(size, 23)).astype(np.float32) for size in sizes]
    return candidates, [rng.normal(size=8).astype(np.float32) for _ in sizes]


@pytest.fixture
def agent():
    torch.manual_seed(0)
    return ScorerAgent(16)


def test_scores_follow_candidates_that_change_places(agent):
    (candidates,), (node,) = decisions([9])
    order = np.random.default_rng(1).permutation(9)
    scores = agent.score(candidates, node)
    assert np.ptp(scores) > 1e-3
    np.testing.assert_allclose(agent.score(candidates[order], node), scores[order], atol=1e-6)


def test_scores_of_a_decision_do_not_depend_on_the_rest_of_the_batch(agent):
    candidates, nodes = decisions()
    with torch.no_grad():
        together = agent.network(Ragged.of(candidates, nodes)).numpy()
    alone = [agent.score(*decision) for decision in zip(candidates, nodes, strict=True)]
    np.testing.assert_allclose(together, np.concatenate(alone), atol=1e-6)


def test_scores_depend_on_the_other_candidates_and_on_the_node(agent):
    (candidates,), (node,) = decisions([6])
    scores = agent.score(candidates, node)
    assert not np.allclose(agent.score(candidates[:5], node), scores[:5], atol=1e-5)
    assert not np.allclose(agent.score(candidates, node + 1), scores, atol=1e-5)


def test_units_make_scores_indifferent_to_the_scale_of_the_features():
    candidates, nodes = decisions([50, 60])
    scores = []
    for factor, shift in ((1.0, 0.0), (64.0, 100.0)):
        torch.manual_seed(0)
        agent = ScorerAgent(16)
        batch = Ragged.of(
            [factor * part + np.float32(shift) for part in candidates],
            [factor * node + np.float32(shift) for node in nodes],
        )
        agent.network.fit_units(batch)
        scores.append(agent.network(batch).detach().numpy())
    np.testing.assert_allclose(scores[0], scores[1], atol=1e-3)


def test_features_that_never_vary_leave_scores_finite(agent):
    batch = Ragged.of([np.ones((3, 23), np.float32)], [np.zeros(8, np.float32)])
    agent.network.fit_units(batch)
    scores = agent.network(batch)
    assert torch.isfinite(scores).all()
    assert scores[0] == scores[1] == scores[2]


def test_softmax_and_argmax_are_those_of_each_decision():
    scores = torch.tensor([1000.0, 1000.0, -3.0, 0.0, float(np.log(3.0))])
    segments = torch.tensor([0, 0, 1, 2, 2])
    expected = torch.tensor([0.5, 0.5, 1.0, 0.25, 0.75])
    torch.testing.assert_close(log_softmax(scores, segments).exp(), expected)
    assert argmax(scores, segments).tolist() == [0, 2, 4]


def test_gradient_of_the_softmax_is_that_of_the_formula():
    scores = torch.tensor([0.3, -0.2, 1.0], requires_grad=True)
    log_softmax(scores, torch.tensor([0, 0, 0]))[1].backward()
    chances = torch.softmax(scores.detach(), 0)
    torch.testing.assert_close(scores.grad, torch.tensor([0.0, 1.0, 0.0]) - chances)


def test_a_kept_agent_scores_and_chooses_as_before(agent, tmp_path, monkeypatch):
    batch = Ragged.of(*decisions())
    agent.network.fit_units(batch)
    save_agent(agent, tmp_path)
    kept = load_agent(tmp_path)
    (candidates,), (node,) = decisions([8], seed=3)
    np.testing.assert_array_equal(kept.score(candidates, node), agent.score(candidates, node))
    monkeypatch.setattr("rewardloom.baselines.branching.scorer.node_features", lambda _: node)
    decision = SimpleNamespace(observation=candidates)
    assert kept.choose(decision) == agent.score(candidates, node).argmax()


@pytest.mark.parametrize("width", [0, 2.5, "wide"])
def test_a_width_that_is_none_is_refused(width):
    with pytest.raises(ConfigError, match="width must be an integer"):
        ScorerAgent(width)
