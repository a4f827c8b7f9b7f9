"""The session against SCIP itself: the same rule makes the same search."""

import os
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import milp_models
import numpy as np
import pytest
from gymnasium.error import InvalidAction, ResetNeeded
from milp_models import knapsack, mixed, most_infeasible, set_cover
from pyscipopt import Model

from rewardloom.envs.branching.clock import SolverClock
from rewardloom.envs.branching.session import BranchingSession, evaluate
from rewardloom.envs.branching.settings import SearchSettings
from rewardloom.errors import ConfigError

MODELS = {
    "knapsack-0": partial(knapsack, 0),
    "knapsack-1": partial(knapsack, 1),
    "knapsack-2": partial(knapsack, 2, columns=30, rows=5),
    "set-cover": partial(set_cover, 0),
    "mixed-0": partial(mixed, 3),
    "mixed-1": partial(mixed, 4, columns=20, rows=5),
}
every_model = pytest.mark.parametrize("build", MODELS.values(), ids=MODELS)
LIGHT = SearchSettings(preset="light", seed=5)


def scip_alone(model: Model, settings: SearchSettings) -> tuple[int, int, float]:
    """Solve without any plugin of ours; return nodes, LP iterations and objective."""
    settings.apply(model)
    model.optimize()
    return model.getNNodes(), model.getNLPIterations(), model.getPrimalbound()


def drive(session: BranchingSession, policy=most_infeasible):
    """Run a session to its end; return the trace of (node, columns, values) and the result."""
    trace = []
    decision = session.start()
    while decision is not None:
        trace.append((decision.node, decision.candidates.tolist(), decision.values.tolist()))
        choice = policy(decision)
        decision = session.default() if choice is None else session.branch(choice)
    return trace, session.result


def numbers(result) -> tuple[int, int, float]:
    return result.nodes, result.lp_iterations, result.primal_bound


@every_model
@pytest.mark.parametrize("preset", ["light", "pure", "gasse"])
def test_an_agent_with_the_rule_of_mostinf_makes_the_search_of_scip_itself(build, preset):
    settings = SearchSettings(preset=preset, seed=1)
    _, result = drive(BranchingSession(build(), settings))
    own = {"branching/mostinf/priority": 536870911}
    alone = scip_alone(build(), SearchSettings(preset=preset, seed=1, parameters=own))
    assert numbers(result) == alone
    assert result.solved


def test_the_models_of_the_parity_have_trees():
    sizes = [evaluate(most_infeasible, build(), LIGHT).nodes for build in MODELS.values()]
    assert min(sizes) >= 10, sizes


@every_model
@pytest.mark.parametrize("preset", ["default", "light"])
def test_default_decisions_make_the_search_of_a_run_without_the_plugin(build, preset):
    settings = SearchSettings(preset=preset, seed=1)
    _, result = drive(BranchingSession(build(), settings), lambda _: None)
    assert numbers(result) == scip_alone(build(), settings)


@every_model
def test_a_policy_inside_scip_makes_the_search_of_the_session(build):
    inside = []

    def policy(decision):
        inside.append((decision.node, decision.candidates.tolist(), decision.values.tolist()))
        return most_infeasible(decision)

    outside, stepped = drive(BranchingSession(build(), LIGHT))
    result = evaluate(policy, build(), LIGHT)
    assert inside == outside
    assert numbers(result) == numbers(stepped)
    assert np.array_equal(result.tree.lower_bound, stepped.tree.lower_bound)
    assert np.array_equal(result.tree.node, stepped.tree.node)


def test_two_sessions_in_turns_make_the_searches_they_make_alone():
    alone = [drive(BranchingSession(knapsack(seed), LIGHT))[0] for seed in (0, 1)]
    sessions = [BranchingSession(knapsack(seed), LIGHT) for seed in (0, 1)]
    traces: list[list] = [[], []]
    decisions = [session.start() for session in sessions]
    while any(decision is not None for decision in decisions):
        for slot, decision in enumerate(decisions):
            if decision is None:
                continue
            entry = (decision.node, decision.candidates.tolist(), decision.values.tolist())
            traces[slot].append(entry)
            decisions[slot] = sessions[slot].branch(most_infeasible(decision))
    assert traces == alone


def test_the_seed_decides_the_search():
    first, again, other = (
        drive(BranchingSession(knapsack(0), SearchSettings(preset="light", seed=seed)))[0]
        for seed in (7, 7 + 2**31, 8)
    )
    assert first == again
    assert first != other


def test_a_decision_tells_the_lp_solution_at_its_node():
    with BranchingSession(knapsack(0), LIGHT) as session:
        root = session.start()
        assert root is not None
        assert (root.node, root.parent, root.depth, root.side, root.nodes) == (1, 0, 0, 0, 1)
        assert root.candidates.dtype == np.int32
        assert len(root) == len(root.variables) >= 1
        assert root.values == pytest.approx([v.getLPSol() for v in root.variables])
        assert root.fractions == pytest.approx(root.values - np.floor(root.values))
        assert root.primal_bound == np.inf
        below = session.branch(0)
        assert below is not None
        assert (below.parent, below.depth, abs(below.side)) == (1, 1, 1)
        assert below.lower_bound >= root.lower_bound


def test_bounds_are_those_of_the_problem_turned_into_a_minimization():
    root = Model()
    x, y = (root.addVar(name, vtype="I", ub=10) for name in "xy")
    root.addCons(2 * x + 2 * y <= 7)
    root.setObjective(4 * x + 4 * y + 100, "maximize")  # the LP's best is 14 + 100
    with BranchingSession(root, SearchSettings(preset="pure")) as session:
        decision = session.start()
        assert decision is not None
        assert decision.lower_bound == pytest.approx(-114)
        assert decision.dual_bound == pytest.approx(-114)
        while decision is not None:
            decision = session.branch(0)
    assert session.result is not None
    assert session.result.primal_bound == pytest.approx(112)
    assert session.tree.lower_bound[0] == pytest.approx(-114)


@pytest.mark.parametrize("factor", [0.125, 30.0])
def test_bounds_are_the_problem_s_though_scip_scales_the_objective(factor):
    model = set_cover(0)
    model.setObjective(factor * model.getObjective() + 3)
    with BranchingSession(model, SearchSettings(preset="gasse", seed=1)) as session:
        root = session.start()
        assert root is not None
        assert root.lower_bound == pytest.approx(root.dual_bound)
        session.branch(0)
        assert session.tree.lower_bound[0] == pytest.approx(root.dual_bound)


def test_observe_runs_at_every_decision_and_its_value_travels_with_it():
    def observe(model):
        return model.getCurrentNode().getNumber()

    seen = []

    def policy(decision):
        seen.append((decision.node, decision.observation))
        return 0

    evaluate(policy, knapsack(0), LIGHT, observe=observe)
    assert seen
    assert all(node == observed for node, observed in seen)


def test_the_agent_s_time_is_not_the_solver_s():
    session = BranchingSession(knapsack(0), LIGHT)
    decision = session.start()
    for _ in range(3):
        time.sleep(0.1)
        assert decision is not None
        decision = session.branch(0)
    result = session.abort()
    assert 0 < result.solver_seconds < 0.2


def test_the_solver_s_seconds_add_up_over_decisions(monkeypatch):
    monkeypatch.setattr(SolverClock, "stretch", lambda _: 2.0)
    seconds = []

    def policy(decision):
        seconds.append(decision.solver_seconds - 2.0)  # what `total` adds for the open stretch
        return most_infeasible(decision)

    evaluate(policy, knapsack(0), LIGHT)
    assert seconds == [2.0 * (count + 1) for count in range(len(seconds))]


@pytest.mark.parametrize("choice", [-1, 10_000, 1.0, True, "x1"])
def test_an_answer_that_is_no_candidate_is_refused_and_the_decision_still_waits(choice):
    with BranchingSession(knapsack(0), LIGHT) as session:
        decision = session.start()
        with pytest.raises(InvalidAction, match="not a candidate of node 1"):
            session.branch(choice)
        assert session.decision is decision
        assert session.branch(np.int64(0)) is not None


def test_a_session_is_for_one_search():
    session = BranchingSession(knapsack(0), LIGHT)
    with pytest.raises(ResetNeeded, match="No decision is waiting"):
        session.branch(0)
    with pytest.raises(ResetNeeded, match="nothing to abort"):
        session.abort()
    drive(session)
    with pytest.raises(ResetNeeded, match="started before"):
        session.start()
    with pytest.raises(ResetNeeded, match="No decision is waiting"):
        session.default()


def test_a_model_that_has_been_solved_is_refused():
    model = knapsack(0)
    model.hideOutput()
    model.optimize()
    with pytest.raises(ConfigError, match="stage SOLVED; a search needs"):
        BranchingSession(model, LIGHT)


TRACE = """
import sys
sys.path.insert(0, sys.argv[1])
from milp_models import knapsack, most_infeasible
from rewardloom.envs.branching.clock import SolverClock
from rewardloom.envs.branching.session import evaluate
from rewardloom.envs.branching.settings import SearchSettings

def policy(decision):
    names = [variable.name for variable in decision.variables]
    print(decision.node, names, decision.values.tolist(), decision.dual_bound)
    return most_infeasible(decision)

evaluate(policy, knapsack(1), SearchSettings(preset="light", seed=3))
"""


def test_processes_with_other_hash_seeds_make_the_same_search():
    support = str(Path(milp_models.__file__).parent)
    traces = [
        subprocess.run(
            [sys.executable, "-c", TRACE, support],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
            text=True,
        ).stdout
        for seed in ("1", "2")
    ]
    assert traces[0].count("\n") > 20
    assert traces[0] == traces[1]
