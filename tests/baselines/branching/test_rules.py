"""SCIP's rules as baselines: their searches are those of SCIP without any plugin of ours."""

from functools import partial

import numpy as np
import pytest
from milp_models import knapsack, set_cover

from rewardloom.baselines.branching.rules import RULES, search_with_rule, with_rule
from rewardloom.baselines.branching.test_sets import read_test_set
from rewardloom.envs.branching.features import strong_branching_scores
from rewardloom.envs.branching.instances import generate
from rewardloom.envs.branching.session import evaluate
from rewardloom.envs.branching.settings import SearchSettings
from rewardloom.errors import ConfigError

MODELS = {
    "knapsack": partial(knapsack, 0),
    "set-cover": partial(set_cover, 0),
    "micro": lambda: read_test_set("micro:tiny:1")[0].build(),
}


def scip_alone(model, settings, rule):
    """Solve by a rule without any plugin of ours."""
    settings.apply(model)
    model.setParam(f"branching/{rule}/priority", 536870911)
    model.setParam("branching/vanillafullstrong/idempotent", True)
    model.optimize()
    found = model.getNNodes(), model.getNLPIterations(), model.getPrimalbound()
    model.free()
    return found


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("build", MODELS.values(), ids=MODELS)
@pytest.mark.parametrize("preset", ["light", "default"])
def test_a_rule_makes_the_search_of_scip_alone(rule, build, preset):
    settings = SearchSettings(preset=preset, seed=2)
    result = search_with_rule(build(), settings, rule)
    alone = scip_alone(build(), settings, rule)
    assert (result.nodes, result.lp_iterations, result.primal_bound) == alone
    assert result.solved
    assert len(result.tree) == result.nodes


def test_the_rules_differ():
    settings = SearchSettings(preset="light", seed=2)
    nodes = {rule: search_with_rule(set_cover(0), settings, rule).nodes for rule in RULES}
    assert len(set(nodes.values())) == len(RULES)
    assert nodes["vanillafullstrong"] < nodes["mostinf"] < nodes["random"]


@pytest.mark.parametrize("seed", [0, 1])
def test_full_strong_branching_is_no_more_than_a_choice(seed):
    def build():
        return generate("set_cover", np.random.default_rng(seed), size="tiny").to_model()

    settings = SearchSettings(preset="light", seed=seed)
    rule = search_with_rule(build(), settings, "vanillafullstrong")
    model = build()

    def strongest(decision):
        return int(strong_branching_scores(model, decision.variables).argmax())

    agent = evaluate(strongest, model, settings)
    assert rule.decisions > 5
    assert (rule.nodes, rule.lp_iterations) == (agent.nodes, agent.lp_iterations)


def test_parameters_of_a_rule_that_are_given_stay():
    given = {"branching/vanillafullstrong/idempotent": False}
    ruled = with_rule(SearchSettings(parameters=given), "vanillafullstrong")
    assert ruled.parameters["branching/vanillafullstrong/idempotent"] is False


def test_limits_hold_for_rules():
    result = search_with_rule(
        set_cover(0), SearchSettings(preset="light", seed=2, node_limit=9), "random"
    )
    assert (result.status, result.nodes, result.solved) == ("nodelimit", 9, False)


def test_a_rule_is_added_to_the_parameters():
    settings = SearchSettings(preset="pure", seed=4, parameters={"lp/pricing": "s"})
    ruled = with_rule(settings, "pscost")
    assert ruled.parameters == {"lp/pricing": "s", "branching/pscost/priority": 536870910}
    assert (ruled.preset, ruled.seed) == ("pure", 4)
    assert settings.parameters == {"lp/pricing": "s"}


def test_an_unknown_rule_names_the_nearest():
    with pytest.raises(ConfigError, match="Did you mean 'relpscost'"):
        with_rule(SearchSettings(), "relpcost")


def test_the_bounds_are_of_the_problem():
    result = search_with_rule(knapsack(0), SearchSettings(preset="light", seed=2), "pscost")
    assert result.sense == "maximize"
    assert np.isclose(result.dual_bound, result.primal_bound)
