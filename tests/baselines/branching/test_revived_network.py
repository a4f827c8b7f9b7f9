"""The Q-network of revived trajectories: symmetries, causality, ablation."""

import numpy as np
import torch
from revived_samples import graph

from rewardloom.baselines.branching.normalization import logarithmic, standardized
from rewardloom.baselines.branching.revived.graphs import Graph, Structure, batch_graphs
from rewardloom.baselines.branching.revived.network import (
    Asked,
    RevivedNetwork,
    Steps,
    weighted_sums,
)


def network(**arguments):
    torch.manual_seed(0)
    return RevivedNetwork(width=16, heads=2, **arguments)


def steps(lengths, most=4, seed=0, width=16):
    generator = torch.Generator().manual_seed(seed)
    count = len(lengths)
    summary = torch.randn(count, most, 2 * width, generator=generator)
    depth = torch.arange(most).expand(count, most).float()
    side = torch.randn(count, most, generator=generator).sign()
    return Steps(summary, depth, side, torch.tensor(lengths))


def values(net, graphs, path):
    batch = batch_graphs(graphs)
    owner = np.repeat(np.arange(len(graphs)), [len(g.candidates) for g in graphs])
    asked = Asked(torch.arange(len(graphs)), torch.arange(len(owner)), torch.from_numpy(owner))
    with torch.no_grad():
        found = net.values(net.encode(batch), asked, net.context(path))
    return [found[owner == k].numpy() for k in range(len(graphs))]


def one(path, k):
    return Steps(*(part[k : k + 1] for part in path))


def test_a_batch_gives_what_single_decisions_give():
    rng = np.random.default_rng(0)
    graphs = [graph(rng, 6, 4, 3), graph(rng, 9, 2, 5), graph(rng, 3, 7, 1)]
    net, path = network(), steps([0, 2, 4])
    together = values(net, graphs, path)
    for k, own in enumerate(graphs):
        np.testing.assert_allclose(together[k], values(net, [own], one(path, k))[0], atol=1e-5)


def test_what_lies_past_the_end_of_a_path_changes_nothing():
    rng = np.random.default_rng(1)
    graphs, net, path = [graph(rng)], network(), steps([2])
    summary = path.summary.clone()
    summary[:, 2:] = 7.0
    changed = path._replace(summary=summary)
    np.testing.assert_array_equal(values(net, graphs, path), values(net, graphs, changed))
    longer = path._replace(length=torch.tensor([3]))
    assert not np.allclose(values(net, graphs, path), values(net, graphs, longer))


def test_permuted_columns_permute_the_values():
    rng = np.random.default_rng(2)
    own, net, path = graph(rng, 7, 5, 4), network(), steps([2])
    order = rng.permutation(7)
    new_place = np.argsort(order)
    rows = np.repeat(np.arange(5), np.diff(own.structure.by_row.starts))
    edges = np.stack([rows, new_place[own.structure.by_row.indices]]).astype(np.int32)
    shuffled = Graph(
        own.columns[order],
        own.rows,
        own.node,
        new_place[own.candidates].astype(np.int32),
        own.features,
        Structure.read(edges, own.structure.by_row.values, 5, 7),
    )
    before, after = values(net, [own], path)[0], values(net, [shuffled], path)[0]
    np.testing.assert_allclose(before, after, atol=1e-5)
    assert before.std() > 1e-4


def test_the_path_counts_unless_it_is_left_out():
    rng = np.random.default_rng(3)
    graphs = [graph(rng)]
    first, second = steps([3], seed=0), steps([3], seed=1)
    with_path, without = network(), network(history=False)
    assert not np.allclose(values(with_path, graphs, first), values(with_path, graphs, second))
    np.testing.assert_array_equal(values(without, graphs, first), values(without, graphs, second))
    assert without.context(first) is None
    assert not [name for name, _ in without.named_parameters() if name.startswith("attention")]


def test_sides_and_depths_of_the_path_count():
    rng = np.random.default_rng(4)
    graphs, net, path = [graph(rng)], network(), steps([3])
    base = values(net, graphs, path)
    assert not np.allclose(base, values(net, graphs, path._replace(side=-path.side)))
    assert not np.allclose(base, values(net, graphs, path._replace(depth=path.depth + 3)))


def test_later_steps_do_not_change_earlier_ones():
    net, path = network(), steps([4])
    summary = path.summary.clone()
    summary[:, 2] += 1.0
    with torch.no_grad():
        before, after = net.attend(path), net.attend(path._replace(summary=summary))
    assert torch.equal(before[:, :3], after[:, :3])  # the start and the steps 0 and 1
    assert not torch.allclose(before[:, 3], after[:, 3])
    assert not torch.allclose(before[:, 4], after[:, 4])


def test_rows_carry_what_columns_share():
    rng = np.random.default_rng(5)
    structure = Structure.read(np.array([[0, 0], [0, 1]], np.int32), np.ones(2, np.float32), 1, 3)
    own = graph(rng, 3, 1, 3, structure)  # all three columns are candidates
    columns = own.columns.copy()
    columns[1] += 1.0
    net = network()
    with torch.no_grad():
        before = net.encode(batch_graphs([own])).candidates
        after = net.encode(batch_graphs([own._replace(columns=columns)])).candidates
    assert not torch.allclose(before[0], after[0])  # shares the row with column 1
    assert torch.equal(before[2], after[2])  # shares nothing


def test_gradients_of_sums_are_those_of_the_matrix():
    rng = np.random.default_rng(6)
    batch = batch_graphs([graph(rng, 4, 3), graph(rng, 5, 2)])
    inputs = torch.randn(9, 3, requires_grad=True)
    weights = torch.randn(5, 3)
    (weighted_sums(inputs, batch.to_rows) * weights).sum().backward()
    sums = batch.to_rows
    rows = torch.repeat_interleave(torch.arange(5), sums.starts.diff())
    matrix = torch.zeros(5, 9)
    matrix[rows, sums.indices.long()] = sums.weights
    torch.testing.assert_close(weighted_sums(inputs, sums), matrix @ inputs)
    torch.testing.assert_close(inputs.grad, matrix.T @ weights)


def test_means_are_those_of_each_graph():
    rng = np.random.default_rng(7)
    batch = batch_graphs([graph(rng, 4, 3), graph(rng, 5, 2)])
    found = weighted_sums(batch.rows, batch.means)
    torch.testing.assert_close(found[0], batch.rows[:3].mean(0))
    torch.testing.assert_close(found[1], batch.rows[3:].mean(0))


def decision_values(net, own, context=None):
    asked = Asked(torch.zeros(1, dtype=torch.int64), torch.arange(5), torch.zeros(5).long())
    with torch.no_grad():
        encoded = net.encode(batch_graphs([own]))
        return encoded, net.values(encoded, asked, context)


def test_advantages_have_mean_0_about_the_value_of_the_decision():
    net = network(history=False)
    encoded, found = decision_values(net, graph(np.random.default_rng(8), 9, 4, 5))
    with torch.no_grad():
        level = net.value(encoded.state)
    torch.testing.assert_close(found.mean(), level[0, 0])
    assert found.std() > 1e-3


def test_what_all_candidates_gain_alike_moves_no_advantage():
    net = network(history=False)
    own = graph(np.random.default_rng(8), 9, 4, 5)
    _, before = decision_values(net, own)
    with torch.no_grad():
        net.advantage.bias += 3.0
    _, after = decision_values(net, own)
    torch.testing.assert_close(before, after)


def test_small_features_count_as_much_as_large_ones():
    """What is turned around among candidates changes the values about alike at any size."""
    net = network(history=False)
    own = graph(np.random.default_rng(9), 9, 4, 5)
    changes = []
    for size in (1e-3, 1e2):
        features = own.features.copy()
        features[:, 20] = size * np.arange(1, 6)
        _, up = decision_values(net, own._replace(features=features))
        features = features.copy()
        features[:, 20] = features[::-1, 20]
        _, down = decision_values(net, own._replace(features=features))
        changes.append((up - down).abs().max())
    assert 0.3 < changes[0] / changes[1] < 3


def test_candidates_are_told_apart_by_how_they_differ():
    """The same step between candidates counts as much on top of a large common part."""
    values = torch.tensor([[1.0], [2.0], [3.0], [101.0], [102.0], [103.0]])
    segments, sizes = torch.tensor([0, 0, 0, 1, 1, 1]), torch.tensor([[3], [3]])
    found = standardized(values, segments, sizes)[:, 0]
    root = 1.5**0.5
    torch.testing.assert_close(found, torch.tensor([-root, 0, root, -root, 0, root]))
    equal = standardized(torch.ones(3, 1), torch.zeros(3).long(), torch.tensor([[3]]))
    assert equal.tolist() == [[0], [0], [0]]


def test_logarithms_keep_signs_and_small_numbers():
    found = logarithmic(torch.tensor([-100.0, -1e-3, 0.0, 1e-3, 1.0, 100.0]))
    torch.testing.assert_close(
        found, torch.tensor([-1.5, -0.26, 0.0, 0.26, 1.0, 1.5]), atol=0.01, rtol=0
    )
