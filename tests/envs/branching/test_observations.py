"""Observations are the raw features, padded; node features by hand."""

import dataclasses

import numpy as np
import pytest

from rewardloom.envs.branching.bounds import relative_gap
from rewardloom.envs.branching.features import KHALIL_FEATURES
from rewardloom.envs.branching.observations import NODE_FEATURES, node_features, observer
from rewardloom.envs.branching.world import MilpBranching
from rewardloom.errors import ConfigError


def first(**arguments):
    env = MilpBranching(family="micro", size="train", **arguments)
    obs, info = env.reset(seed=1)
    assert env.observation_space.contains(obs)
    return env, obs, info


def test_candidates_stand_at_their_columns():
    env, obs, _ = first()
    decision = env.decision
    np.testing.assert_array_equal(obs["candidates"][decision.candidates], decision.observation)
    others = np.setdiff1d(np.arange(30), decision.candidates)
    assert not obs["candidates"][others].any()
    np.testing.assert_array_equal(np.flatnonzero(obs["mask"]), np.sort(decision.candidates))


def test_khalils_features_may_stand_in_their_place():
    env, obs, _ = first(candidate_features="khalil")
    assert obs["candidates"].shape == (30, len(KHALIL_FEATURES))
    decision = env.decision
    np.testing.assert_array_equal(obs["candidates"][decision.candidates], decision.observation)


def test_more_padding_adds_zeros_only():
    _, small, _ = first(observation="bipartite")
    _, large, _ = first(observation="bipartite", max_variables=50, max_rows=60, max_edges=999)
    columns, rows, edges = small["sizes"]
    np.testing.assert_array_equal(small["sizes"], large["sizes"])
    assert (columns, rows, edges) == (30, 5, 150)
    for name, length in (("columns", 30), ("rows", 5), ("mask", 30), ("edge_values", 150)):
        np.testing.assert_array_equal(small[name][:length], large[name][:length])
        assert not large[name][length:].any()


def test_the_graph_and_the_padded_arrays_are_one_lp():
    _, padded, _ = first(observation="bipartite")
    env, graph, _ = first(observation="graph")
    columns, rows, edges = padded["sizes"]
    np.testing.assert_array_equal(graph.nodes[:columns, :20], padded["columns"][:columns])
    np.testing.assert_array_equal(graph.nodes[columns:, 20:25], padded["rows"][:rows])
    links = padded["edges"][:, :edges] + np.array([[columns], [0]])
    np.testing.assert_array_equal(graph.edge_links, links.T)
    np.testing.assert_array_equal(graph.edges[:, 0], padded["edge_values"][:edges])
    np.testing.assert_array_equal(
        np.flatnonzero(graph.nodes[:, 27]), np.sort(env.decision.candidates)
    )
    over = False
    while not over:
        graph, _, over, _, _ = env.step(env.action_space.sample())
        assert env.observation_space.contains(graph)


@pytest.mark.parametrize("family", ["micro", "multiple_knapsack", "combinatorial_auction"])
def test_room_is_left_for_cuts(family):
    env = MilpBranching(family=family, preset="gasse", observation="bipartite")
    for seed in range(3):
        obs, _ = env.reset(seed=seed)
        assert 0 < obs["sizes"][2] <= len(obs["edge_values"])
    env.close()


def test_scores_are_those_of_strong_branching():
    env, obs, _ = first(scores="strong_branching")
    scored = env.decision.observation
    assert scored.scores.max() > 0
    np.testing.assert_allclose(obs["scores"][env.decision.candidates], scored.scores, rtol=1e-6)


def test_observations_are_fresh():
    env, obs, _ = first(observation="bipartite")
    kept = {name: array.copy() for name, array in obs.items()}
    for array in obs.values():
        array[:] = 0
    again, *_ = env.step(env.action_space.sample())
    assert again["edges"].any()
    np.testing.assert_array_equal(again["edges"], kept["edges"])


def test_node_features_by_hand():
    env, _, _ = first()
    decision = dataclasses.replace(
        env.decision,
        depth=3,
        side=-1,
        nodes=9,
        lower_bound=-60.0,
        dual_bound=-80.0,
        primal_bound=-40.0,
    )
    found = dict(zip(NODE_FEATURES, node_features(decision).tolist(), strict=True))
    assert found == pytest.approx(
        {
            "depth": np.log(4),
            "side": -1,
            "candidates": np.log(1 + len(decision)),
            "nodes": np.log(10),
            "has_incumbent": 1,
            "gap": 0.5,
            "node_gap": 0.25,
            "position": 0.5,
        },
        abs=1e-6,
    )
    without = node_features(dataclasses.replace(decision, primal_bound=np.inf))
    assert without[[4, 5, 7]].tolist() == [0, 1, 0]


@pytest.mark.parametrize(
    ("one", "other", "gap"),
    [(1, 1, 0), (2, 1, 0.5), (-4, -3, 0.25), (1, -1, 1), (0, 5, 1), (0, 0, 0), (np.inf, 1, 1)],
)
def test_relative_gaps_by_hand(one, other, gap):
    assert relative_gap(one, other) == gap == relative_gap(other, one)


def test_an_unknown_observer_is_refused():
    with pytest.raises(ConfigError, match="Did you mean 'bipartite'"):
        observer("bipartit", None)
