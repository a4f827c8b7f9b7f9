"""The table of processed nodes, against a tree worked by hand and against its own identities."""

import numpy as np
import pytest
from gymnasium.error import ResetNeeded
from milp_models import knapsack, mixed, most_infeasible, set_cover
from pyscipopt import Model

from rewardloom.envs.branching import tree as tree_module
from rewardloom.envs.branching.session import BranchingSession, evaluate
from rewardloom.envs.branching.settings import SearchSettings
from rewardloom.envs.branching.tree import BRANCHED, CUT_OFF, FEASIBLE

LIGHT = SearchSettings(preset="light", seed=5)


def two_variables(sign: int) -> Model:
    """Minimize 3 x + 4 y subject to 2 x + 2 y >= 3, 2 x - 2 y <= 1; its optimum is x = y = 1."""
    model = Model()
    x, y = (model.addVar(name, vtype="I", ub=10) for name in "xy")
    model.addCons(2 * x + 2 * y >= 3)
    model.addCons(2 * x - 2 * y <= 1)
    model.setObjective(sign * (3 * x + 4 * y), "minimize" if sign > 0 else "maximize")
    return model


@pytest.mark.parametrize("sign", [1, -1], ids=["minimize", "maximize"])
def test_a_tree_worked_by_hand(sign):
    """The tree in full, by hand.

    Root: x = 1, y = 1/2, value 5, branch on y. y <= 0 is infeasible. y >= 1: x = 1/2, value 11/2,
    branch on x. Of its children x >= 1 has the optimum (1, 1) with 7, and x <= 0 has y = 3/2 with
    6; there y >= 2 gives (0, 2) with 8 and y <= 1 is infeasible. Depth first visits x <= 0 before
    x >= 1, so that nothing is cut off by a bound.
    """
    settings = SearchSettings(preset="pure", node_selection="dfs")
    result = evaluate(lambda _: 0, two_variables(sign), settings)
    tree = result.tree
    by_branch = {
        (tree.names[v] if v >= 0 else "", int(s), int(d)): row
        for row, (v, s, d) in enumerate(zip(tree.variable, tree.side, tree.depth, strict=True))
    }
    expected = {  # (variable, side, depth): lower bound, outcome, subtree size
        ("", 0, 0): (5.0, BRANCHED, 7),
        ("y", -1, 1): (np.inf, CUT_OFF, 1),
        ("y", 1, 1): (5.5, BRANCHED, 5),
        ("x", -1, 2): (6.0, BRANCHED, 3),
        ("x", 1, 2): (7.0, FEASIBLE, 1),
        ("y", 1, 3): (8.0, FEASIBLE, 1),
        ("y", -1, 3): (np.inf, CUT_OFF, 1),
    }
    assert set(by_branch) == set(expected)
    for branch, (bound, outcome, size) in expected.items():
        row = by_branch[branch]
        assert tree.lower_bound[row] == pytest.approx(bound), branch
        assert (tree.outcome[row], tree.subtree_size[row]) == (outcome, size), branch
    assert result.primal_bound == pytest.approx(sign * 7)


@pytest.mark.parametrize("build", [lambda: knapsack(1), lambda: set_cover(0), lambda: mixed(3)])
@pytest.mark.parametrize("selection", ["estimate", "dfs", "bfs"])
def test_identities_of_the_table(build, selection):
    settings = SearchSettings(preset="light", seed=5, node_selection=selection)
    result = evaluate(most_infeasible, build(), settings)
    tree = result.tree
    assert len(tree) == result.nodes == len(set(tree.node.tolist()))
    assert (tree.node[0], tree.parent[0], tree.parent_row[0], tree.side[0]) == (1, 0, -1, 0)
    below = np.arange(1, len(tree))
    above = tree.parent_row[1:]
    assert (above >= 0).all()
    assert (above < below).all()
    assert np.array_equal(tree.node[above], tree.parent[1:])
    assert np.array_equal(tree.depth[1:], tree.depth[above] + 1)
    assert set(tree.side[1:].tolist()) == {-1, 1}
    assert (tree.outcome[above] == BRANCHED).all()
    assert (tree.lower_bound[1:] >= tree.lower_bound[above] - 1e-9).all()
    assert tree.subtree_size[0] == len(tree)
    children = np.bincount(above, weights=tree.subtree_size[1:], minlength=len(tree))
    assert np.array_equal(tree.subtree_size, 1 + children.astype(np.int64))
    assert (tree.outcome == BRANCHED).sum() == result.decisions


def test_children_share_the_variable_their_parent_was_branched_on():
    branched = {}

    def policy(decision):
        choice = most_infeasible(decision)
        branched[decision.node] = decision.variables[choice].name.removeprefix("t_")
        return choice

    tree = evaluate(policy, knapsack(1), LIGHT).tree
    assert len(tree) > 64  # the arrays have grown
    for parent, variable in zip(tree.parent[1:], tree.variable[1:], strict=True):
        assert tree.names[variable] == branched[int(parent)]


def test_a_branching_is_known_while_its_first_child_waits():
    with BranchingSession(two_variables(1), SearchSettings(preset="pure")) as session:
        assert session.start() is not None
        child = session.branch(0)  # y = 1/2
        assert child is not None
        tree = session.tree
        row = tree.node.tolist().index(1)
        assert (tree.names[tree.branching[row]], tree.split[row]) == ("y", 0.0)
        assert tree.branching.tolist().count(-1) == len(tree) - 1


def test_a_branching_by_scips_rule_is_known_once_a_child_is_reached():
    settings = SearchSettings(preset="light", seed=5, node_selection="dfs")
    with BranchingSession(knapsack(1), settings) as session:
        decision = session.start()
        while decision is not None and decision.depth < 3:
            decision = session.default()
        assert decision is not None
        tree = session.tree
        above = tree.node == decision.parent
        assert (tree.branching[above] >= 0).all()
        assert np.isfinite(tree.split[above]).all()


@pytest.mark.parametrize("asked", [True, False])
@pytest.mark.parametrize("build", [lambda: two_variables(1), lambda: mixed(3)])
def test_splits_are_the_bounds_that_scip_gave_the_children(build, asked, monkeypatch):
    bounds = {}
    read = tree_module.branching_of

    def branching_of(node):
        name, side, bound = read(node)
        bounds[node.getNumber()] = (name, side, bound)
        return name, side, bound

    monkeypatch.setattr(tree_module, "branching_of", branching_of)
    if asked:  # what the rule that asks has noted, not what the children tell
        monkeypatch.setattr(tree_module.TreeRecorder, "_tell_parent", lambda *_: None)
    tree = evaluate(lambda _: 0 if asked else None, build(), LIGHT).tree
    assert len(tree) > 2
    for row in range(1, len(tree)):
        name, side, bound = bounds[int(tree.node[row])]
        above = tree.parent_row[row]
        assert tree.names[tree.branching[above]] == name
        assert tree.split[above] + (side > 0) == bound


def test_the_side_is_the_direction_of_the_branching():
    with BranchingSession(knapsack(1), LIGHT) as session:
        root = session.start()
        assert root is not None
        variable = root.variables[0]
        child = session.branch(0)
        assert child is not None
        assert child.parent == 1
        fixed = (variable.getLbLocal(), variable.getUbLocal())
        assert fixed == ((0.0, 0.0) if child.side < 0 else (1.0, 1.0))


def test_the_tree_and_the_path_are_there_while_the_search_waits():
    session = BranchingSession(knapsack(1), SearchSettings(preset="light", node_selection="dfs"))
    with pytest.raises(ResetNeeded):
        session.path()
    decision = session.start()
    parents = {}
    while decision is not None:
        parents[decision.node] = decision.parent
        path = session.path()
        assert len(path) == decision.depth
        chain = [decision.parent]
        while chain[-1]:
            chain.append(parents[chain[-1]])
        assert path == chain[-2::-1]
        assert len(session.tree) == decision.nodes - 1
        decision = session.branch(most_infeasible(decision))
    assert session.result is not None
    assert session.tree is session.result.tree
