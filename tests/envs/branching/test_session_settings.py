"""What the settings set, and what they refuse."""

import pytest
from milp_models import knapsack, most_infeasible, set_cover

from rewardloom.envs.branching.session import evaluate
from rewardloom.envs.branching.settings import NODE_SELECTIONS, PRESETS, SearchSettings
from rewardloom.errors import ConfigError


def applied(**settings) -> dict:
    model = knapsack(0)
    SearchSettings(**settings).apply(model)
    return model.getParams()


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_lets_ctrl_c_through_and_never_restarts(preset):
    parameters = applied(preset=preset)
    assert parameters["misc/catchctrlc"] is False
    assert parameters["presolving/maxrestarts"] == 0


@pytest.mark.parametrize(
    ("preset", "cuts", "root_cuts", "presolving", "propagation", "rounding"),
    [
        ("default", -1, -1, -1, 100, 1),
        ("gasse", 0, -1, -1, 100, 1),
        ("light", 0, 0, 0, 100, -1),
        ("pure", 0, 0, 0, 0, -1),
    ],
)
def test_what_a_preset_turns_off(preset, cuts, root_cuts, presolving, propagation, rounding):
    parameters = applied(preset=preset)
    assert parameters["separating/maxrounds"] == cuts
    assert parameters["separating/maxroundsroot"] == root_cuts
    assert parameters["presolving/maxrounds"] == presolving
    assert parameters["propagating/maxrounds"] == propagation
    assert parameters["heuristics/rounding/freq"] == rounding
    assert parameters["conflict/enable"] is (preset != "pure")


def test_no_seed_leaves_scip_s_own_and_a_seed_sets_all_five():
    names = ("permutationseed", "randomseedshift", "lpseed", "permutevars", "permuteconss")
    assert [applied()[f"randomization/{name}"] for name in names] == [0, 0, 0, False, True]
    seeded = applied(seed=2**31 + 9)
    assert [seeded[f"randomization/{name}"] for name in names] == [9, 9, 9, True, True]


@pytest.mark.parametrize("selection", NODE_SELECTIONS)
def test_a_node_selection_comes_first(selection):
    parameters = applied(node_selection=selection)
    priorities = {
        name.split("/")[1]: value
        for name, value in parameters.items()
        if name.startswith("nodeselection/") and name.endswith("/stdpriority")
    }
    assert max(priorities, key=priorities.__getitem__) == selection


def test_depth_first_goes_on_below_the_node_it_has_branched_on():
    settings = SearchSettings(preset="light", seed=5, node_selection="dfs")
    seen = []

    def policy(decision):
        seen.append((decision.node, decision.depth, decision.parent))
        return most_infeasible(decision)

    evaluate(policy, knapsack(1), settings)
    (first, *_), (_, depth, parent) = seen[0], seen[1]
    assert (depth, parent) == (1, first)


def test_parameters_win_over_the_preset_but_may_not_touch_what_a_search_needs():
    parameters = applied(preset="light", parameters={"separating/maxrounds": 3})
    assert parameters["separating/maxrounds"] == 3
    assert parameters["misc/catchctrlc"] is False
    with pytest.raises(ConfigError, match="misc/catchctrlc is always False"):
        SearchSettings(parameters={"misc/catchctrlc": True})


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"preset": "lihgt"}, "Did you mean 'light'"),
        ({"node_selection": "depth"}, "Unknown node selection"),
        ({"node_limit": 0}, "node_limit is 0"),
        ({"decision_limit": -1}, "decision_limit is -1"),
        ({"time_limit": 0}, "time_limit is 0"),
        ({"watchdog": float("nan")}, "watchdog is nan"),
        ({"gap_limit": -0.1}, "gap_limit is -0.1"),
        ({"gap_limit": float("inf")}, "gap_limit is inf"),
    ],
)
def test_settings_that_cannot_be(settings, message):
    with pytest.raises(ConfigError, match=message):
        SearchSettings(**settings)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"limits/node": 5}, "Did you mean 'limits/nodes'"),
        ({"limits/nodes": -7}, "refuses -7"),
        ({"limits/nodes": "many"}, "refuses 'many'"),
    ],
)
def test_parameters_that_scip_does_not_have_or_refuses(parameters, message):
    with pytest.raises(ConfigError, match=message):
        SearchSettings(parameters=parameters).apply(knapsack(0))


def test_the_presets_make_different_searches():
    numbers = {
        preset: evaluate(
            most_infeasible, set_cover(0), SearchSettings(preset=preset, seed=5)
        ).lp_iterations
        for preset in ("gasse", "light", "pure")
    }
    assert len(set(numbers.values())) == 3, numbers
