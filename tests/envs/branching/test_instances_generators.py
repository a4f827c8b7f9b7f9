"""The generated programs: structure, values worked by hand, and seeds."""

from __future__ import annotations

from itertools import pairwise
from typing import get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rewardloom.envs.branching.instances import FAMILIES, MilpInstance, generate
from rewardloom.envs.branching.instances.combinatorial_auction import combinatorial_auction
from rewardloom.envs.branching.instances.facility_location import facility_location
from rewardloom.envs.branching.instances.independent_set import (
    Graph,
    clique_partition,
    independent_set,
)
from rewardloom.envs.branching.instances.micro import micro
from rewardloom.envs.branching.instances.multiple_knapsack import Profits, multiple_knapsack
from rewardloom.envs.branching.instances.set_cover import set_cover
from rewardloom.errors import ConfigError

SEEDS = st.integers(0, 2**32 - 1)
FEW = settings(max_examples=25, deadline=None)
ARRAYS = ("objective", "data", "indices", "indptr", "lhs", "rhs", "lower", "upper", "is_integer")


def matrix(program: MilpInstance) -> np.ndarray:
    dense = np.zeros((program.num_rows, program.num_variables))
    for row, (start, stop) in enumerate(pairwise(program.indptr)):
        dense[row, program.indices[start:stop]] += program.data[start:stop]
    return dense


def is_binary(program: MilpInstance) -> bool:
    bounds = np.all(program.lower == 0) and np.all(program.upper == 1)
    return bool(bounds and program.is_integer.all())


@FEW
@given(SEEDS, st.integers(2, 30), st.integers(1, 40), st.floats(0.3, 1.0), st.integers(1, 9))
def test_set_cover_guarantees(seed, num_rows, num_columns, density, max_cost):
    size = {"num_rows": num_rows, "num_columns": num_columns, "density": density}
    count = int(num_rows * num_columns * density)
    if count < 2 * num_columns + num_rows:
        with pytest.raises(ConfigError, match="Raise the density"):
            set_cover(np.random.default_rng(seed), **size)
        return
    program = set_cover(np.random.default_rng(seed), **size, max_cost=max_cost)
    dense = matrix(program)
    assert dense.sum() == len(program.data) == count
    assert set(np.unique(dense)) <= {0.0, 1.0}
    assert dense.sum(axis=0).min() >= 2
    assert dense.sum(axis=1).min() >= 1
    assert np.all(program.lhs == 1)
    assert np.all(np.isinf(program.rhs))
    assert program.sense == "minimize"
    assert is_binary(program)
    assert np.all((program.objective >= 1) & (program.objective <= max_cost))
    assert np.all(program.objective == np.round(program.objective))


@pytest.mark.parametrize("seed", range(8))
def test_set_cover_keeps_its_guarantees_at_the_lowest_density(seed):
    rng = np.random.default_rng(seed)
    dense = matrix(set_cover(rng, num_rows=4, num_columns=30, density=(2 * 30 + 4) / 120))
    assert dense.sum() == 64
    assert dense.sum(axis=0).min() >= 2


def test_set_cover_costs_reach_both_ends_and_the_cells_are_spread_evenly():
    programs = [
        set_cover(np.random.default_rng(k), num_rows=20, num_columns=50, density=0.3, max_cost=4)
        for k in range(40)
    ]
    costs = np.concatenate([program.objective for program in programs])
    share = np.mean([matrix(program) for program in programs], axis=0)
    assert np.bincount(costs.astype(int), minlength=5)[1:].min() > 0.2 * len(costs)
    assert share.mean() == pytest.approx(0.3)
    assert np.abs(share.mean(axis=1) - 0.3).max() < 0.05
    assert np.abs(share.mean(axis=0) - 0.3).max() < 0.1


@FEW
@given(SEEDS, st.integers(2, 25), st.integers(1, 60), st.sampled_from([0.3, 0.7, 1.0]))
def test_auction_bids_are_valid(seed, num_items, num_bids, add):
    rng = np.random.default_rng(seed)
    program = combinatorial_auction(
        rng, num_items=num_items, num_bids=num_bids, add_item_probability=add, max_substitutes=3
    )
    dense = matrix(program)
    assert program.num_variables == num_bids
    assert program.sense == "maximize"
    assert is_binary(program)
    assert np.all(program.objective > 0)
    assert set(np.unique(dense)) <= {0.0, 1.0}
    assert dense.sum(axis=0).min() >= 1
    assert dense.sum(axis=1).min() >= 1
    assert np.all(program.rhs == 1)
    assert np.all(np.isinf(program.lhs))
    if add == 1.0:  # every bundle is everything, so substitutes are never new
        assert dense.shape == (num_items, num_bids)
        assert dense.all()


@pytest.mark.parametrize("seed", range(5))
def test_bids_of_one_bidder_exclude_each_other(seed):
    """A dummy row has three to six neighboring bids of one size, priced below 1.5 times the first.

    Dummy rows follow the rows of the items and are the ones whose bids are consecutive; with 60
    items no item is named by three consecutive bids and no other.
    """
    program = combinatorial_auction(np.random.default_rng(seed), num_items=60, num_bids=200)
    dense = matrix(program)
    dummies = [row for row in range(program.num_rows) if row >= 60]
    assert dummies
    sizes = dense[:60].sum(axis=0)
    for row in dummies:
        bids = np.flatnonzero(dense[row])
        assert 3 <= len(bids) <= 6
        assert np.all(np.diff(bids) == 1)
        assert len(set(sizes[bids])) == 1
        prices = program.objective[bids]
        assert np.all(prices[1:] <= 1.5 * prices[0] + 1e-9)
        assert np.all(np.diff(prices[1:]) <= 1e-9)
        assert len({tuple(dense[:60, bid]) for bid in bids}) == len(bids)
    assert np.all(dense[60:].sum(axis=0) <= 1)


def test_more_substitutes_are_bid_for_when_more_are_allowed():
    def bids_a_bidder(most: int) -> float:
        rng = np.random.default_rng(3)
        program = combinatorial_auction(rng, num_items=60, num_bids=300, max_substitutes=most)
        exclusive = matrix(program)[60:].sum(axis=1)
        return float(exclusive.max()) if len(exclusive) else 0.0

    assert bids_a_bidder(0) == 0.0
    assert bids_a_bidder(2) == 3.0
    assert bids_a_bidder(9) > 6.0


@FEW
@given(SEEDS, st.integers(1, 8), st.integers(1, 6), st.floats(1.1, 9.0), st.booleans())
def test_facility_rows_say_what_they_should(seed, customers, facilities, ratio, unsplittable):
    program = facility_location(
        np.random.default_rng(seed),
        num_customers=customers,
        num_facilities=facilities,
        ratio=ratio,
        unsplittable=unsplittable,
    )
    m, n = customers, facilities
    dense = matrix(program)
    assert dense.shape == (m + n + 1 + m * n, m * n + n)
    served = dense[:m, : m * n].reshape(m, m, n)
    assert np.all(served == np.eye(m)[:, :, None])
    assert not dense[:m, m * n :].any()
    in_facility = dense[m : m + n, : m * n].reshape(n, m, n)
    demand = in_facility[0, :, 0]
    assert np.all(in_facility == demand[None, :, None] * np.eye(n)[:, None, :])
    capacity = -np.diag(dense[m : m + n, m * n :])
    assert np.all(dense[m : m + n, m * n :] == -np.diag(capacity))
    assert capacity.sum() == pytest.approx(ratio * demand.sum(), rel=1e-12)
    assert np.all((demand >= 5) & (demand <= 35) & (demand == np.round(demand)))
    assert np.all(dense[m + n, m * n :] == capacity)
    assert not dense[m + n, : m * n].any()
    links = dense[m + n + 1 :]
    assert np.all(links[:, : m * n] == np.eye(m * n))
    assert np.all(links[:, m * n :] == -np.tile(np.eye(n), (m, 1)))
    assert np.all(program.lhs[:m] == 1)
    assert program.lhs[m + n] == demand.sum()
    assert np.all(np.delete(program.rhs, [*range(m), m + n]) == 0)
    assert np.all(program.is_integer[: m * n] == unsplittable)
    assert program.is_integer[m * n :].all()
    fixed, transport = program.objective[m * n :], program.objective[: m * n].reshape(m, n)
    assert np.all((fixed >= 100 * np.sqrt(10)) & (fixed <= 110 * np.sqrt(160) + 90))
    assert np.all((transport >= 0) & (transport <= 10 * np.sqrt(2) * demand[:, None]))


def test_transport_costs_obey_the_triangle_inequality_of_the_plane():
    program = facility_location(np.random.default_rng(0), num_customers=9, num_facilities=7)
    dense = matrix(program)
    demand = dense[9, :63].reshape(9, 7)[:, 0]
    distance = program.objective[:63].reshape(9, 7) / (10 * demand[:, None])
    # |d(i, j) - d(k, j)| is at most the distance of customers i and k, and that at most
    # d(i, l) + d(k, l)
    most = np.abs(distance[:, None, :] - distance[None, :, :]).max(axis=2)
    least = (distance[:, None, :] + distance[None, :, :]).min(axis=2)
    assert np.all(most <= least + 1e-9)
    assert distance.max() > 0.5


@FEW
@given(SEEDS, st.integers(3, 40), st.integers(1, 6), st.sampled_from(get_args(Graph)))
def test_independent_set_rows_are_exactly_the_edges(seed, num_nodes, affinity, kind):
    affinity = min(affinity, num_nodes - 1)
    size = {"num_nodes": num_nodes, "affinity": affinity, "edge_probability": 0.4}
    program = independent_set(np.random.default_rng(seed), graph=kind, **size)
    dense = matrix(program)
    conflicts = (dense.T @ dense) > 0
    np.fill_diagonal(conflicts, False)
    edges = int(conflicts.sum()) // 2
    assert program.sense == "maximize"
    assert is_binary(program)
    assert np.all(program.objective == 1)
    assert np.all(program.rhs == 1)
    assert set(np.unique(dense)) <= {0.0, 1.0}
    if num_nodes > 1 and len(dense):
        assert dense.sum(axis=1).min() >= 2
    if kind == "barabasi_albert":
        assert edges == affinity * (num_nodes - affinity)
        older = np.tril(conflicts, k=-1).sum(axis=1)
        assert np.all(older[affinity:] == affinity)
    # every edge stands in exactly one row
    assert sum(k * (k - 1) // 2 for k in dense.sum(axis=1).astype(int)) == edges


def test_erdos_renyi_has_its_share_of_edges_and_barabasi_albert_its_hubs():
    rng = np.random.default_rng(5)
    random = independent_set(rng, num_nodes=120, graph="erdos_renyi", edge_probability=0.25)
    dense = matrix(random)
    degree = ((dense.T @ dense) > 0).sum(axis=1) - 1
    assert degree.mean() == pytest.approx(0.25 * 119, rel=0.1)
    dense = matrix(independent_set(rng, num_nodes=300))
    hubs = ((dense.T @ dense) > 0).sum(axis=1) - 1
    assert hubs.max() > 5 * hubs.mean()  # a random graph of that density stays below 3
    assert np.argmax(hubs) < 30


def test_clique_partition_of_a_triangle_with_a_tail_and_a_lone_node():
    adjacent = np.zeros((6, 6), dtype=bool)
    for u, v in [(0, 1), (1, 2), (0, 2), (2, 3), (3, 4)]:
        adjacent[u, v] = adjacent[v, u] = True
    # 2 has most neighbors and takes 0, then 1; 3 takes 4; 5 stays alone
    assert clique_partition(adjacent).tolist() == [0, 0, 0, 1, 1, 2]


@FEW
@given(SEEDS, st.integers(12, 60), st.integers(1, 3))
def test_knapsack_rows_and_capacities(seed, num_items, num_knapsacks):
    program = multiple_knapsack(
        np.random.default_rng(seed), num_items=num_items, num_knapsacks=num_knapsacks
    )
    dense = matrix(program)
    k, n = num_knapsacks, num_items
    weights = dense[0, :n]
    assert np.all(dense[:k] == np.kron(np.eye(k), weights))
    assert np.all(dense[k:] == np.tile(np.eye(n), (1, k)))
    assert np.all((weights >= 10) & (weights <= 19))
    assert np.all(program.objective == np.tile(weights, k))
    capacities, half = program.rhs[:k], weights.sum() // 2
    assert capacities.sum() == half
    assert np.all(capacities >= weights.max() * (np.arange(k) == k - 1))
    share = weights.sum() / k
    assert np.all((capacities[:-1] > 0.4 * share - 1) & (capacities[:-1] < 0.6 * share))
    assert np.all(program.rhs[k:] == 1)
    assert program.sense == "maximize"
    assert is_binary(program)


def test_the_last_of_many_knapsacks_holds_the_heaviest_item():
    for seed in range(40):  # without the redraw, every tenth of these is too small
        rng = np.random.default_rng(seed)
        program = multiple_knapsack(rng, num_items=100, num_knapsacks=12)
        assert program.rhs[11] >= matrix(program)[0].max()


def test_knapsack_profits_by_kind():
    def draw(profits: Profits) -> tuple[np.ndarray, np.ndarray]:
        rng = np.random.default_rng(1)
        program = multiple_knapsack(rng, num_items=400, num_knapsacks=2, profits=profits)
        return matrix(program)[0, :400], program.objective[:400]

    weights, profits = draw("strongly_correlated")
    assert np.allclose(profits - weights, 0.9)
    weights, profits = draw("weakly_correlated")
    assert np.unique(profits - weights).tolist() == list(range(-9, 10))
    weights, profits = draw("uncorrelated")
    assert np.unique(profits).tolist() == list(range(10, 20))
    assert abs(np.corrcoef(weights, profits)[0, 1]) < 0.2


def test_micro_by_hand():
    program = micro(np.random.default_rng(0), num_variables=6, num_rows=2)
    dense = matrix(program)
    assert np.all((dense >= 10) & (dense <= 99))
    assert program.rhs.tolist() == [sum(row) // 2 for row in dense.tolist()]
    surplus = program.objective - np.floor(dense.mean(axis=0))
    assert np.all((surplus >= 0) & (surplus < 20))
    assert program.sense == "maximize"
    assert is_binary(program)


@pytest.mark.parametrize("family", FAMILIES)
def test_equal_seeds_give_equal_bits_and_different_seeds_do_not(family):
    one, two, other = (
        generate(family, np.random.default_rng(seed), size="tiny") for seed in (7, 7, 8)
    )
    for name in ARRAYS:
        assert getattr(one, name).tobytes() == getattr(two, name).tobytes(), name
    assert one.name == two.name
    assert any(getattr(one, n).tobytes() != getattr(other, n).tobytes() for n in ARRAYS)


@pytest.mark.parametrize("family", FAMILIES)
def test_sizes_can_be_overridden(family):
    first = next(iter(FAMILIES[family].sizes["tiny"]))
    value = FAMILIES[family].sizes["tiny"][first] + 7
    plain = generate(family, np.random.default_rng(0), size="tiny")
    larger = generate(family, np.random.default_rng(0), size="tiny", **{first: value})
    assert (larger.num_variables, larger.num_rows) != (plain.num_variables, plain.num_rows)
    assert set(FAMILIES[family].sizes) == {"tiny", "train", "transfer"}


def test_unknown_names_are_refused_with_the_nearest_one():
    rng = np.random.default_rng(0)
    with pytest.raises(ConfigError, match="Did you mean 'set_cover'"):
        generate("setcover", rng)
    with pytest.raises(ConfigError, match="Did you mean 'tiny'"):
        generate("micro", rng, size="tinny")
    with pytest.raises(ConfigError, match="Did you mean 'density'"):
        generate("set_cover", rng, densty=0.1)
    with pytest.raises(ConfigError, match="Unknown argument 'rng'"):
        FAMILIES["micro"].arguments("tiny", {"rng": rng})
    with pytest.raises(ConfigError, match="Did you mean 'subset_sum'"):
        generate("multiple_knapsack", rng, profits="subsetsum")
    with pytest.raises(ConfigError, match="Did you mean 'erdos_renyi'"):
        generate("independent_set", rng, graph="erdosrenyi")


@pytest.mark.parametrize(
    ("family", "wrong", "message"),
    [
        ("set_cover", {"num_rows": 1}, "num_rows must be an integer of at least 2, got 1"),
        ("set_cover", {"num_columns": 2.0}, "num_columns must be an integer"),
        ("set_cover", {"density": 0.0}, r"density must be a number in \(0, 1\], got 0.0"),
        ("set_cover", {"max_cost": True}, "max_cost must be an integer"),
        ("combinatorial_auction", {"add_item_probability": float("nan")}, "add_item_probability"),
        ("combinatorial_auction", {"num_bids": 0}, "num_bids"),
        ("facility_location", {"ratio": 1.0}, "ratio must be a number above 1"),
        ("facility_location", {"num_facilities": 0}, "num_facilities"),
        (
            "independent_set",
            {"graph": "barabasi_albert", "num_nodes": 4, "affinity": 4},
            "affinity=4 must be below num_nodes=4",
        ),
        ("multiple_knapsack", {"num_knapsacks": 50, "num_items": 60}, "Use fewer knapsacks"),
        ("multiple_knapsack", {"min_weight": 9, "max_weight": 8}, "max_weight"),
        ("micro", {"num_rows": 0}, "num_rows"),
    ],
)
def test_sizes_out_of_range_are_refused(family, wrong, message):
    with pytest.raises(ConfigError, match=message):
        generate(family, np.random.default_rng(0), size="tiny", **wrong)
