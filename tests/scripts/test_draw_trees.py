"""The policies that the script of the pictures names are those that it says."""

import re
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from rewardloom.baselines.branching.rules import search_with_rule
from rewardloom.envs.branching.instances import generate
from rewardloom.envs.branching.session import BranchingSession, evaluate
from rewardloom.envs.branching.settings import SearchSettings

SCRIPT = Path(__file__).parents[2] / "scripts" / "draw_trees.py"


@pytest.fixture(scope="module")
def script():
    pytest.importorskip("matplotlib")
    return runpy.run_path(str(SCRIPT))


@pytest.fixture(scope="module")
def policy_of(script):
    return script["policy_of"]


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


def test_a_wrong_name_is_one_error_with_the_nearest(tmp_path):
    command = [sys.executable, str(SCRIPT), "--out", str(tmp_path), "--policy", "random", "pscosts"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "Did you mean 'pscost'?" in re.sub(r"\s+", " ", done.stderr)
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.iterdir())


def test_the_title_says_how_much_of_the_search_is_shown(script):
    def build():
        return generate("set_cover", np.random.default_rng(3), size="tiny").to_model()

    for settings, steps, expected in (
        (SearchSettings(preset="light"), 1, "after 1 decision"),
        (SearchSettings(preset="light"), 2, "after 2 decisions"),
        (SearchSettings(preset="light", node_limit=2), 9, "ended by nodelimit"),
        (SearchSettings(preset="light"), 10**6, "the whole search"),
    ):
        with BranchingSession(build(), settings) as session:
            decision = session.start()
            for _ in range(steps):
                if decision is not None:
                    decision = session.branch(0)
            assert script["progress"](session, steps) == expected
