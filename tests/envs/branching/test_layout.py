"""Places of a search tree's nodes: worked by hand, and their identities on any tree."""

import numpy as np
import pytest
from branching_trees import decision, random_table, table
from hypothesis import given
from hypothesis import strategies as st

from rewardloom.envs.branching.layout import UNPROCESSED, WAITING, lay_out
from rewardloom.envs.branching.tree import BRANCHED, CUT_OFF, FEASIBLE
from rewardloom.errors import ConfigError


def test_a_tree_worked_by_hand():
    """Root 1 branches on a: a <= is cut off, a >= branches on b, whose b <= is feasible.

    b >= has no row. Leaves from the left: node 2, node 4, the child without a row; node 3 is in the
    middle between columns 1 and 2, the root between column 0 and 1.5.
    """
    layout = lay_out(
        table(
            [
                (1, 0, 0, BRANCHED, None, 5.0),
                (3, 1, 1, BRANCHED, "a", 6.0),
                (4, 3, -1, FEASIBLE, "b", 7.0),
                (2, 1, -1, CUT_OFF, "a", np.inf),
            ]
        )
    )
    assert layout.x.tolist() == [0.75, 1.5, 1.0, 0.0, 2.0]
    assert layout.depth.tolist() == [0, 1, 2, 1, 2]
    assert layout.kind.tolist() == [BRANCHED, BRANCHED, FEASIBLE, CUT_OFF, UNPROCESSED]
    assert layout.parent_row.tolist() == [-1, 0, 1, 0, 1]
    assert layout.side.tolist() == [0, 1, -1, -1, 1]
    assert [layout.names[v] if v >= 0 else "" for v in layout.branching] == ["a", "b", "", "", ""]
    assert np.isnan(layout.lower_bound[4])
    assert (layout.leaves, layout.waiting) == (3, -1)
    assert layout.path(2) == [0, 1, 2]


def test_the_waiting_node_takes_the_place_of_the_child_that_has_no_row():
    tree = table([(1, 0, 0, BRANCHED, None, 5.0), (2, 1, -1, CUT_OFF, "a", np.inf)])
    layout = lay_out(tree, decision(node=3, parent=1, depth=1, side=1, lower_bound=6.5))
    assert layout.waiting == 2
    assert layout.kind.tolist() == [BRANCHED, CUT_OFF, WAITING]
    assert layout.x.tolist() == [0.5, 0.0, 1.0]
    assert layout.lower_bound[2] == 6.5
    assert layout.branching.tolist() == [0, -1, -1]
    assert layout.path(layout.waiting) == [0, 2]


def test_a_root_that_waits_is_all_there_is():
    layout = lay_out(table([]), decision(node=1, parent=0, depth=0, side=0, lower_bound=2.0))
    assert (layout.x.tolist(), layout.parent_row.tolist(), layout.leaves) == ([0.0], [-1], 1)
    assert (layout.kind.tolist(), layout.waiting) == ([WAITING], 0)


def test_a_search_without_nodes_has_an_empty_layout():
    layout = lay_out(table([]))
    assert (len(layout.x), layout.leaves, layout.waiting) == (0, 0, -1)


def test_a_decision_at_a_node_that_has_a_row_adds_none():
    tree = table([(1, 0, 0, CUT_OFF, None, 5.0)])
    layout = lay_out(tree, decision(node=1, parent=0, depth=0, side=0, lower_bound=5.0))
    assert (len(layout.x), layout.waiting) == (1, 0)


def test_children_of_a_branching_that_is_not_on_one_variable_keep_their_order():
    rows = [(1, 0, 0, BRANCHED, None, 5.0)]
    rows += [(node, 1, 0, CUT_OFF, None, np.inf) for node in (2, 3, 4)]
    layout = lay_out(table(rows))
    assert layout.x.tolist() == [1.0, 0.0, 1.0, 2.0]
    assert (layout.branching == -1).all()


def test_a_decision_of_another_search_is_refused():
    tree = table([(1, 0, 0, BRANCHED, None, 5.0)])
    with pytest.raises(ConfigError, match="child of node 9, which the tree does not have"):
        lay_out(tree, decision(node=12, parent=9, depth=4, side=1, lower_bound=6.0))


@given(st.integers(0, 2**32), st.integers(1, 60))
def test_identities(seed, nodes):
    tree = random_table(np.random.default_rng(seed), nodes)
    layout = lay_out(tree)
    below = np.flatnonzero(layout.parent_row >= 0)
    above = layout.parent_row[below]
    inner = np.unique(above)
    leaf = np.setdiff1d(np.arange(len(layout.x)), inner)
    # Leaves fill the columns, one each.
    assert sorted(layout.x[leaf].tolist()) == list(range(layout.leaves))
    # Children are a level below their parent, the lowered upper bound on the left.
    assert (layout.depth[below] == layout.depth[above] + 1).all()
    assert (np.sign(layout.x[below] - layout.x[above]) == layout.side[below]).all()
    # Parents are in the middle.
    sums = np.bincount(above, layout.x[below], len(layout.x))
    assert np.array_equal(layout.x[inner], sums[inner] / 2)
    # Nodes of a depth keep a column's distance.
    for depth in np.unique(layout.depth):
        assert (np.diff(np.sort(layout.x[layout.depth == depth])) >= 1).all()
    # What branched has two children.
    assert np.array_equal(inner, np.flatnonzero(layout.kind == BRANCHED))
    assert np.array_equal(layout.kind[: len(tree)], tree.outcome)
    assert (layout.kind[len(tree) :] == UNPROCESSED).all()


@given(st.integers(0, 2**32))
def test_subtrees_do_not_overlap(seed):
    """The columns of a subtree's leaves are consecutive."""
    layout = lay_out(random_table(np.random.default_rng(seed), 40))
    below: dict[int, list[float]] = {row: [] for row in range(len(layout.x))}
    for leaf in np.setdiff1d(np.arange(len(layout.x)), layout.parent_row):
        for row in layout.path(int(leaf)):
            below[row].append(float(layout.x[leaf]))
    for columns in below.values():
        assert max(columns) - min(columns) == len(columns) - 1


def test_a_chain_of_many_nodes_is_laid_out():
    rows = [(1, 0, 0, BRANCHED, None, 0.0)]
    rows += [(node, node - 1, 1, BRANCHED, "a", float(node)) for node in range(2, 3001)]
    layout = lay_out(table(rows))
    assert layout.leaves == 3001
    assert layout.depth[2999] == 2999
