"""The world against SCIP itself, on a program of each of the six families."""

import os
import subprocess
import sys
from pathlib import Path

import milp_models
import numpy as np
import pytest
from milp_models import most_infeasible

from rewardloom.envs.branching.instances import FAMILIES, generate
from rewardloom.envs.branching.observations import OBSERVATIONS
from rewardloom.envs.branching.session import evaluate
from rewardloom.envs.branching.settings import SearchSettings
from rewardloom.envs.branching.world import MilpBranching

every_family = pytest.mark.parametrize("family", FAMILIES)
FIRST = 536870911
SOLVER_SEED = 4
LEAST_NODES = 10


def program(family: str):
    return generate(family, np.random.default_rng(2), size="tiny")


def scip_alone(family: str, preset: str, parameters: dict | None = None):
    """Solve without any plugin of ours; return nodes, LP iterations and objective."""
    model = program(family).to_model()
    SearchSettings(preset=preset, seed=SOLVER_SEED, parameters=parameters or {}).apply(model)
    model.optimize()
    numbers = model.getNNodes(), model.getNLPIterations(), model.getPrimalbound()
    model.free()
    return numbers


def play(family: str, choose, **arguments):
    """Play an episode of the world; return every decision's trace and how the search ended."""
    env = MilpBranching(family=family, **arguments)
    env.reset(seed=0, options={"instance": program(family), "solver_seed": SOLVER_SEED})
    trace, over = [], False
    while not over:
        decision = env.decision
        assert decision is not None
        trace.append((decision.node, decision.candidates.tolist(), decision.values.tolist()))
        *_, terminated, truncated, _ = env.step(choose(env, decision))
        over = terminated or truncated
    assert env.last_episode is not None
    return trace, env.last_episode.result


def by_mostinf(env, decision):
    return decision.candidates[most_infeasible(decision)]


def by_default(env, decision):
    return env.action_space.n - 1


def numbers(result):
    return result.nodes, result.lp_iterations, result.primal_bound


@every_family
@pytest.mark.parametrize("preset", ["light", "pure"])
def test_an_agent_with_the_rule_of_mostinf_makes_scips_tree(family, preset):
    alone = scip_alone(family, preset, {"branching/mostinf/priority": FIRST})
    _, result = play(family, by_mostinf, preset=preset)
    assert numbers(result) == alone
    assert result.solved
    assert result.nodes >= LEAST_NODES


@every_family
def test_leaving_all_to_scip_is_a_run_without_the_plugin(family):
    _, result = play(family, by_default, default_action=True)
    assert numbers(result) == scip_alone(family, "light")
    assert result.solved


@every_family
def test_an_episode_is_the_search_of_a_policy_inside_scip(family):
    inside = []

    def policy(decision):
        inside.append((decision.node, decision.candidates.tolist(), decision.values.tolist()))
        return most_infeasible(decision)

    settings = SearchSettings(preset="light", seed=SOLVER_SEED)
    result = evaluate(policy, program(family).to_model(), settings)
    outside, stepped = play(family, by_mostinf)
    assert outside == inside
    assert numbers(stepped) == numbers(result)
    for column in ("node", "parent", "depth", "side", "lower_bound"):
        np.testing.assert_array_equal(getattr(stepped.tree, column), getattr(result.tree, column))


@every_family
def test_what_is_observed_changes_nothing(family):
    searches = [play(family, by_mostinf, observation=kind) for kind in OBSERVATIONS]
    traces, results = zip(*searches, strict=True)
    assert traces[0] == traces[1] == traces[2]
    assert numbers(results[0]) == numbers(results[1]) == numbers(results[2])


TRACE = """
import hashlib, sys
sys.path[:0] = sys.argv[1:]
from test_parity import by_mostinf, play

for family in ("set_cover", "combinatorial_auction", "micro"):
    trace, result = play(family, by_mostinf)
    digest = hashlib.sha256(repr(trace).encode()).hexdigest()
    print(family, len(trace), digest, result.lp_iterations)
"""


def test_processes_with_other_hash_seeds_play_the_same_episodes():
    folders = [str(Path(str(file)).parent) for file in (milp_models.__file__, __file__)]
    runs = [
        subprocess.run(
            [sys.executable, "-c", TRACE, *folders],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
            text=True,
        ).stdout
        for seed in ("1", "77")
    ]
    assert runs[0].count("\n") == 3
    assert runs[0] == runs[1]
