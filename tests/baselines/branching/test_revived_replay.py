"""Trajectories of graphs: paths through the tree, targets, memory."""

import numpy as np
import pytest
import torch
from revived_samples import graph, trajectory, tree_table

from rewardloom.baselines.branching.revived.graphs import batch_graphs, read_graph
from rewardloom.baselines.branching.revived.replay import Replay
from rewardloom.baselines.branching.revived.trajectories import (
    ancestors,
    children,
    n_step_sums,
    own_costs,
    root_paths,
)
from rewardloom.envs.branching.world import MilpBranching

# Visited in this order: the root 1, its children 2 and 3, then 4 below 2, 5 below 3, 6 below 4.
NODE = [1, 2, 3, 4, 5, 6]
PARENT = [0, 1, 1, 2, 3, 4]
SIDE = [0, -1, 1, 1, -1, -1]
DEPTH = [0, 1, 1, 2, 2, 3]


def test_a_path_is_the_ancestors_and_not_the_visits_before():
    assert ancestors(NODE, PARENT).tolist() == [-1, 0, 0, 1, 2, 3]
    paths, lengths = root_paths(ancestors(NODE, PARENT), 4)
    assert lengths.tolist() == [0, 1, 1, 2, 2, 3]
    assert paths[5].tolist() == [0, 1, 3, -1]
    assert paths[4].tolist() == [0, 2, -1, -1]


def test_of_a_long_path_the_last_ancestors_stay():
    paths, lengths = root_paths(ancestors(NODE, PARENT), 2)
    assert paths[5].tolist() == [1, 3]
    assert lengths[5] == 2


def test_the_later_decision_at_a_node_counts():
    assert ancestors([1, 1, 2], [0, 0, 1]).tolist() == [-1, -1, 1]


def test_a_parent_without_a_decision_cuts_the_path():
    assert ancestors([1, 7], [0, 5]).tolist() == [-1, -1]


def test_n_step_sums_by_hand():
    reward = np.array([-1.0, -2.0, -4.0, -8.0])
    np.testing.assert_allclose(n_step_sums(reward, 1, 1.0), reward)
    np.testing.assert_allclose(n_step_sums(reward, 3, 1.0), [-7, -14, -12, -8])
    np.testing.assert_allclose(n_step_sums(reward, 2, 0.5), [-2, -4, -8, -8])


def sample_all(n_steps=2, reward=(-1, -2, -4, -8, -16, -32)):
    rng = np.random.default_rng(0)
    replay = Replay(100, history=4, n_steps=n_steps)
    action = [0, 1, 2, 0, 1, 2]
    kept = trajectory(rng, NODE, PARENT, SIDE, DEPTH, reward, action=action)
    replay.add(kept)
    return kept, replay.sample(rng, 1, 6)


def test_a_sample_has_targets_successors_and_their_candidates():
    kept, batch = sample_all()
    assert batch.reward.tolist() == [-3, -6, -12, -24, -48, -32]
    assert batch.followed.tolist() == [0, 1, 2, 3]
    assert batch.heads.asked.graph.tolist() == [0, 1, 2, 3, 4, 5]
    assert batch.successors.asked.graph.tolist() == [2, 3, 4, 5]
    assert batch.chosen.tolist() == [0, 4, 8, 9, 13, 17]  # three candidates each
    assert batch.heads.asked.candidates.tolist() == list(range(18))
    assert batch.taken.tolist() == batch.chosen.tolist()
    assert batch.successors.asked.candidates.tolist() == list(range(6, 18))
    assert batch.successors.asked.owner.tolist() == np.repeat(range(4), 3).tolist()
    assert batch.successors.slot.tolist() == [0, 1, 2] * 4
    columns = np.concatenate([6 * k + g.candidates for k, g in enumerate(kept.graphs)])
    assert batch.graphs.positions.tolist() == columns.tolist()
    features = np.concatenate([g.features for g in kept.graphs])
    np.testing.assert_array_equal(batch.graphs.candidates, features)


def test_of_a_tree_the_successors_are_the_decisions_at_the_children():
    assert children(NODE, PARENT).tolist() == [
        [1, 2],
        [3, -1],
        [4, -1],
        [5, -1],
        [-1, -1],
        [-1, -1],
    ]
    _, batch = sample_all(n_steps=None)
    assert batch.reward.tolist() == [-1, -2, -4, -8, -16, -32]
    assert batch.followed.tolist() == [0, 0, 1, 2, 3]
    assert batch.successors.asked.graph.tolist() == [1, 2, 3, 4, 5]


def test_a_stretch_of_each_of_two_trees_finds_its_own_heads():
    rng = np.random.default_rng(0)
    replay = Replay(100, n_steps=None)
    replay.add(trajectory(rng, NODE, PARENT, SIDE, DEPTH))
    batch = replay.sample(rng, 2, 6)
    assert batch.followed.tolist() == [0, 0, 1, 2, 3, 6, 6, 7, 8, 9]
    assert batch.successors.asked.graph.tolist() == [1, 2, 3, 4, 5, 7, 8, 9, 10, 11]
    assert batch.heads.asked.graph.tolist() == list(range(12))


def test_of_a_node_with_two_decisions_both_have_its_children_and_the_later_one_follows():
    assert children([1, 2, 2, 3], [0, 1, 1, 2]).tolist() == [[2], [3], [3], [-1]]


def test_own_costs_are_the_node_and_its_children_without_a_decision():
    # decisions at 1, 2 and 3; 4 and 5 below 2 and 6 below 3 were processed without one
    tree = tree_table(node=[1, 2, 3, 4, 5, 6], parent=[0, 1, 1, 2, 2, 3])
    costs = own_costs(np.array([1, 2, 3]), tree)
    assert costs.tolist() == [-1, -3, -2]
    assert costs.sum() == -len(tree)


def test_own_costs_of_a_search_add_up_to_its_nodes():
    env = MilpBranching(family="micro", observation="graph")
    env.reset(seed=0)
    nodes, over = [], False
    while not over:
        nodes.append(env.decision.node)
        _, _, terminated, truncated, _ = env.step(env.decision.candidates[0])
        over = terminated or truncated
    tree = env.last_episode.result.tree
    env.close()
    assert own_costs(np.array(nodes), tree).sum() == -len(tree)
    assert len(nodes) < len(tree)


def test_a_sample_revives_paths_with_the_sides_they_take():
    _, batch = sample_all()
    assert batch.heads.length.tolist() == [0, 1, 1, 2, 2, 3]
    assert batch.heads.path[5, :3].tolist() == [0, 1, 3]
    assert batch.heads.side[5].tolist() == [-1, 1, -1, 0]  # to node 2, to 4, to 6
    assert batch.heads.side[4].tolist() == [1, -1, 0, 0]
    assert batch.successors.path[-1, :3].tolist() == [0, 1, 3]
    steps = batch.heads.steps(torch.arange(12.0).reshape(6, 2), batch.depth)
    assert steps.summary[5, :3].tolist() == [[0, 1], [2, 3], [6, 7]]
    assert steps.depth[5, :3].tolist() == [0, 1, 2]


def test_a_sample_holds_every_graph_once_and_only_what_it_needs():
    rng = np.random.default_rng(1)
    replay = Replay(100, history=4, n_steps=1)
    replay.add(trajectory(rng, NODE, PARENT, SIDE, DEPTH))
    for _ in range(20):
        batch = replay.sample(rng, 1, 1)
        own = int(batch.heads.length[0])
        after = int(batch.successors.length[0]) if len(batch.successors.length) else 0
        assert len(batch.depth) <= own + after + 2
        assert len(batch.depth) == len(batch.graphs.node) == len(batch.chosen)


def test_every_decision_is_drawn():
    rng = np.random.default_rng(2)
    replay = Replay(100, n_steps=1)
    for reward in (range(6), range(6, 12)):
        replay.add(trajectory(rng, NODE, PARENT, SIDE, DEPTH, list(reward)))
    seen = {float(r) for _ in range(60) for r in replay.sample(rng, 2, 2).reward}
    assert seen == set(map(float, range(12)))


def test_memory_is_bounded_by_whole_trajectories():
    rng = np.random.default_rng(3)
    replay = Replay(13, n_steps=1)
    for reward in range(4):
        replay.add(trajectory(rng, NODE, PARENT, SIDE, DEPTH, [reward] * 6))
    assert len(replay) == 12
    assert replay.trajectories == 2
    assert {float(r) for _ in range(20) for r in replay.sample(rng, 2, 3).reward} == {2.0, 3.0}


def test_memory_grows_with_decisions_and_not_with_their_square():
    def chain(length):
        rng = np.random.default_rng(4)
        replay = Replay(1000)
        node = list(range(1, length + 1))
        replay.add(trajectory(rng, node, [n - 1 for n in node]))
        return replay.nbytes

    once, twice, fourfold = chain(20), chain(40), chain(80)
    assert fourfold - twice == pytest.approx(2 * (twice - once))


def test_decisions_of_a_search_share_their_edges():
    env = MilpBranching(family="micro", observation="graph")
    env.reset(seed=0)
    first = read_graph(env.decision)
    env.step(env.decision.candidates[0])
    second = read_graph(env.decision, first)
    assert second.structure is first.structure
    assert second.columns is not first.columns
    env.reset(seed=1)
    assert read_graph(env.decision, second).structure is not first.structure
    env.close()


def test_a_graph_keeps_the_features_of_its_candidates():
    env = MilpBranching(family="micro", observation="graph")
    env.reset(seed=0)
    own = read_graph(env.decision)
    env.close()
    assert own.features.shape == (len(own.candidates), 23)
    np.testing.assert_array_equal(own.features[:, :20], own.columns[own.candidates])
    assert own.features[:, 20:].any()


def test_a_batch_lays_graphs_end_to_end():
    rng = np.random.default_rng(5)
    small, large = graph(rng, 3, 2, 1), graph(rng, 5, 4, 2)
    batch = batch_graphs([small, large])
    assert batch.candidate_starts.tolist() == [0, 1, 3]
    assert batch.owner.tolist() == [0, 1, 1]
    assert torch.equal(batch.columns[3:], torch.from_numpy(large.columns))
    matrix = np.zeros((6, 8), np.float32)
    starts, indices, weights = batch.to_rows[:3]
    for row in range(6):
        here = slice(int(starts[row]), int(starts[row + 1]))
        matrix[row, indices[here]] = weights[here]
    assert not matrix[:2, 3:].any()
    assert not matrix[2:, :3].any()
    back = np.zeros((8, 6), np.float32)
    starts, indices, weights = batch.to_rows[3:]
    for column in range(8):
        here = slice(int(starts[column]), int(starts[column + 1]))
        back[column, indices[here]] = weights[here]
    np.testing.assert_array_equal(back.T, matrix)
