"""The policies that the script of the pictures names are those that it says."""

import runpy
from pathlib import Path

import numpy as np
import pytest

from rewardloom.baselines.branching.rules import search_with_rule
from rewardloom.envs.branching.instances import generate
from rewardloom.envs.branching.session import evaluate
from rewardloom.envs.branching.settings import SearchSettings

SCRIPT = Path(__file__).parents[2] / "scripts" / "draw_trees.py"


@pytest.fixture(scope="module")
def policy_of():
    pytest.importorskip("matplotlib")
    return runpy.run_path(str(SCRIPT))["policy_of"]


@pytest.mark.parametrize("family", ["set_cover", "combinatorial_auction"])
def test_most_infeasible_is_the_rule_of_scip(policy_of, family):
    def build():
        return generate(family, np.random.default_rng(0), size="tiny").to_model()

    settings = SearchSettings(preset="light", seed=1, node_limit=300)
    policy, rule, observation = policy_of("mostinf", 0)
    assert (rule, observation) == (None, "none")
    mine = evaluate(policy, build(), settings)
    scips = search_with_rule(build(), settings, "mostinf")
    assert (mine.nodes, mine.lp_iterations) == (scips.nodes, scips.lp_iterations)
