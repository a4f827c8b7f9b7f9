"""Imitation: targets, ratings, collecting, and experts that are to be recovered."""

import numpy as np
import pytest
import torch

from rewardloom.baselines.branching.demonstrations import Collector, Demonstrations
from rewardloom.baselines.branching.imitation import (
    ImitationConfig,
    Labelled,
    fit,
    rate,
    targets,
    train,
)
from rewardloom.baselines.branching.scorer import ScorerAgent
from rewardloom.envs.branching.session import evaluate
from rewardloom.errors import ConfigError

MICRO = {"family": "micro"}


class FixedScores(ScorerAgent):
    """Scores candidates by their first feature."""

    def __init__(self):
        self.network = lambda batch: batch.candidates[:, 0]


def synthetic(decisions, seed, expert=lambda candidates: candidates[:, 5]):
    rng = np.random.default_rng(seed)
    sizes = rng.integers(2, 12, decisions)
    candidates = rng.normal(size=(sizes.sum(), 23)).astype(np.float32)
    nodes = rng.normal(size=(decisions, 8)).astype(np.float32)
    return Demonstrations(candidates, nodes, sizes, np.exp(expert(candidates)).astype(np.float64))


def labelled(first_features, scores, sizes):
    candidates = np.zeros((len(first_features), 23), np.float32)
    candidates[:, 0] = first_features
    nodes = np.zeros((len(sizes), 8), np.float32)
    found = Demonstrations(candidates, nodes, np.array(sizes), np.array(scores, np.float64))
    return Labelled.of(found, 0.0)


def test_targets_without_temperature_share_one_among_the_best():
    scores = torch.tensor([3.0, 3.0, 1.0, 0.0, 0.0, 2.0]).double()
    segments = torch.tensor([0, 0, 0, 1, 1, 2])
    expected = torch.tensor([0.5, 0.5, 0.0, 0.5, 0.5, 1.0])
    torch.testing.assert_close(targets(scores, segments, 0.0), expected)


def test_targets_go_with_a_power_of_the_score_in_any_unit():
    scores, segments = torch.tensor([4.0, 2.0, 1.0]).double(), torch.zeros(3, dtype=torch.int64)
    expected = torch.tensor([16.0, 4.0, 1.0]) / 21
    torch.testing.assert_close(targets(scores, segments, 0.5), expected)
    torch.testing.assert_close(targets(1e6 * scores, segments, 0.5), expected)


def test_ratings_by_hand():
    # First decision: the agent takes the second best. Second: all equal, one is right. Third: the
    # best has six before it.
    mine = [2.0, 1.0, 5.0, 4.0, 7.0, 6.0, 5.0, 4.0, 3.0, 2.0, 1.0]
    scores = [1.0, 4.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 8.0]
    rated = rate(FixedScores(), labelled(mine, scores, [2, 2, 7]))
    assert rated["accuracy"] == pytest.approx(1 / 3)
    assert rated["top_5_accuracy"] == pytest.approx(2 / 3)
    assert rated["score_ratio"] == pytest.approx((0.25 + 1.0 + 0.0) / 3)


def test_of_equal_scores_the_first_is_rated():
    # The agent takes the first of each; the best is the last of two, and the last of six.
    scores = [1.0, 4.0, 0.0, 0.0, 0.0, 0.0, 0.0, 8.0]
    rated = rate(FixedScores(), labelled([3.0] * 8, scores, [2, 6]))
    assert rated["accuracy"] == 0
    assert rated["top_5_accuracy"] == pytest.approx(1 / 2)
    assert rated["score_ratio"] == pytest.approx((0.25 + 0.0) / 2)
    rated = rate(FixedScores(), labelled([3.0] * 8, scores[::-1], [6, 2]))
    assert rated["accuracy"] == 1


def test_held_out_loss_is_zero_where_the_targets_are_given():
    rated = rate(FixedScores(), labelled([0.0, 0.0], [1.0, 1.0], [2]))
    assert rated["held_out_loss"] == pytest.approx(0.0, abs=1e-6)
    rated = rate(FixedScores(), labelled([0.0, 0.0], [2.0, 1.0], [2]))
    assert rated["held_out_loss"] == pytest.approx(np.log(2), abs=1e-6)


def test_decisions_are_taken_out_with_their_own_candidates():
    data = labelled(np.arange(6.0), np.arange(6.0), [1, 3, 2])
    some = data.take(torch.tensor([2, 0]))
    assert some.batch.candidates[:, 0].tolist() == [4.0, 5.0, 0.0]
    assert some.batch.segments.tolist() == [0, 0, 1]
    assert some.scores.tolist() == [4.0, 5.0, 0.0]
    assert some.targets.tolist() == [0.0, 1.0, 1.0]


def test_a_slice_of_demonstrations_and_its_rest_make_the_whole():
    whole = synthetic(9, seed=0)
    first, rest = whole[:4], whole[4:]
    assert (len(first), len(rest)) == (4, 5)
    for name in ("candidates", "nodes", "sizes", "scores"):
        parts = np.concatenate([getattr(first, name), getattr(rest, name)])
        np.testing.assert_array_equal(parts, getattr(whole, name))
    assert len(rest.scores) == whole.sizes[4:].sum()


def test_an_expert_that_follows_one_feature_is_recovered():
    torch.manual_seed(0)
    agent = ScorerAgent(16)
    known, rest = (Labelled.of(synthetic(n, seed=n), 0.3) for n in (400, 150))
    agent.network.fit_units(known.batch)
    before = rate(agent, rest)
    log = []
    fit(agent, known, rest, ImitationConfig(epochs=25, learning_rate=3e-3), log.append)
    after = rate(agent, rest)
    assert before["accuracy"] < 0.5
    assert after["accuracy"] > 0.9
    assert after["score_ratio"] > 0.97
    assert after["held_out_loss"] == pytest.approx(min(row["held_out_loss"] for row in log))


def test_training_stops_when_the_held_out_loss_no_longer_falls():
    torch.manual_seed(0)
    noise = np.random.default_rng(1)
    found = synthetic(60, 0, lambda candidates: noise.normal(size=len(candidates)))
    known, rest = Labelled.of(found[:40], 0.0), Labelled.of(found[40:], 0.0)
    log, agent = [], ScorerAgent(16)
    config = ImitationConfig(epochs=200, patience=3, learning_rate=3e-3)
    fit(agent, known, rest, config, log.append)
    losses = [row["held_out_loss"] for row in log]
    assert len(log) < 200
    assert len(log) - 1 - int(np.argmin(losses)) == 3
    assert rate(agent, rest)["held_out_loss"] == min(losses)


def test_a_collector_labels_what_it_is_asked_for_and_repeats_itself():
    found = [
        Collector(MICRO, np.random.default_rng(3), expert_share=0.5).collect(15) for _ in range(2)
    ]
    assert len(found[0]) == 15
    assert found[0].candidates.shape == (found[0].sizes.sum(), 23)
    assert (found[0].scores >= 0).all()
    assert found[0].scores.max() > 0
    np.testing.assert_array_equal(found[0].candidates, found[1].candidates)
    np.testing.assert_array_equal(found[0].scores, found[1].scores)


def test_strong_branching_makes_the_decisions_that_it_labels(monkeypatch):
    answers = []

    def watched(decide, model, settings):
        def answer(decision):
            answers.append(decide(decision))
            return answers[-1]

        return evaluate(answer, model, settings)

    monkeypatch.setattr("rewardloom.baselines.branching.demonstrations.evaluate", watched)
    found = Collector(MICRO, np.random.default_rng(0), expert_share=1.0).collect(12)
    per_decision = np.split(found.scores, np.cumsum(found.sizes)[:-1])
    assert answers[:12] == [int(scores.argmax()) for scores in per_decision]
    assert any(answers[:12])
    assert set(answers[12:]) <= {None}


def test_what_is_not_labelled_is_left_to_the_rule_pscost():
    collector = Collector(MICRO, np.random.default_rng(0), expert_share=0.5)
    parameters = collector._settings.parameters
    assert parameters["branching/pscost/priority"] == 536870910  # next to our rule's


def test_training_is_the_same_for_the_same_seed():
    config = ImitationConfig(world_kwargs=MICRO, decisions=40, epochs=3, width=8)
    logs = [[], []]
    agents = [train(config, log.append) for log in logs]
    assert logs[0] == logs[1]
    labelled = [row["labelled"] for row in logs[0] if "labelled" in row]
    assert labelled == sorted(labelled)
    assert labelled[-1] == 40.0
    assert [row["epoch"] for row in logs[0] if "epoch" in row] == [1.0, 2.0, 3.0]
    for first, second in zip(*(a.network.parameters() for a in agents), strict=True):
        assert torch.equal(first, second)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"decisions": 1}, "decisions must be an integer >= 2"),
        ({"expert_share": 0.0}, "expert_share"),
        ({"held_out_share": 1.0}, "held_out_share"),
        ({"temperature": -1.0}, "temperature"),
        ({"learning_rate": 0.0}, "learning_rate"),
        ({"patience": 0}, "patience must be an integer >= 1"),
    ],
)
def test_values_that_do_not_fit_are_refused(arguments, message):
    with pytest.raises(ConfigError, match=message):
        ImitationConfig(**arguments)


@pytest.mark.parametrize(
    ("world_kwargs", "message"),
    [
        ({"famly": "micro"}, "family"),
        ({"family": "mikro"}, "micro"),
        ({"objective_limit": "optimal"}, "as a number or None"),
    ],
)
def test_world_arguments_that_do_not_fit_are_refused(world_kwargs, message):
    with pytest.raises(ConfigError, match=message):
        train(ImitationConfig(world_kwargs=world_kwargs))
