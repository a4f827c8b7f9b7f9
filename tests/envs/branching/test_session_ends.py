"""How a search ends: limits, aborts, errors, and what is left behind."""

import gc
import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from gymnasium.error import ResetNeeded
from milp_models import knapsack, most_infeasible, set_cover
from pyscipopt import Model

from rewardloom.envs.branching.bridge import Search
from rewardloom.envs.branching.session import BranchingSession, evaluate
from rewardloom.envs.branching.settings import SearchSettings

LIGHT = SearchSettings(preset="light", seed=5)


def solver_threads() -> int:
    return sum(thread.name == "rewardloom-scip" for thread in threading.enumerate())


def resident_megabytes() -> float:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def light(**limits) -> SearchSettings:
    return SearchSettings(preset="light", seed=5, **limits)


def slow_root() -> Model:
    """A set cover whose root is many short LPs, cuts and heuristics: seconds."""
    return set_cover(1, rows=500, columns=1000, density=0.05, costs=(1, 100))


def long_lp() -> Model:
    """A set cover whose first LP alone takes seconds; SoPlex heeds no interrupt inside it."""
    return set_cover(1, rows=500, columns=1000, density=0.05)


def _branch_to_the_end(session: BranchingSession) -> None:
    while session.decision is not None:
        session.branch(0)


@pytest.fixture(autouse=True)
def _no_thread_is_left_behind():
    gc.collect()
    before = solver_threads()
    yield
    gc.collect()
    patience = time.perf_counter() + 20
    while solver_threads() > before and time.perf_counter() < patience:
        time.sleep(0.02)  # a thread in a long LP ends with it
    assert solver_threads() == before


def test_an_abort_in_mid_solve_is_quick_and_tells_how_far_the_search_came():
    session = BranchingSession(knapsack(0), LIGHT)
    decision = session.start()
    for _ in range(5):
        assert decision is not None
        decision = session.branch(0)
    began = time.perf_counter()
    result = session.abort()
    assert time.perf_counter() - began < 0.5
    assert (result.status, result.solved, result.decisions) == ("userinterrupt", False, 6)
    assert len(result.tree) == result.nodes >= 5
    assert session.abort() is result


def test_closing_twice_and_before_the_start_is_harmless():
    for started in (False, True):
        session = BranchingSession(knapsack(0), LIGHT)
        if started:
            session.start()
        session.close()
        session.close()
        assert session.decision is None


def test_a_session_that_is_dropped_takes_its_thread_along():
    session = BranchingSession(knapsack(0), LIGHT)
    session.start()
    assert solver_threads() == 1
    del session
    gc.collect()
    assert solver_threads() == 0


@pytest.mark.parametrize("started", [True, False])
def test_dropping_frees_the_model(started):
    model = knapsack(0)
    variable = model.getVars()[0]
    session = BranchingSession(model, LIGHT)
    if started:
        session.start()
    assert variable.ptr() != 0
    del session
    gc.collect()
    assert variable.ptr() == 0


def test_two_hundred_aborted_searches_leave_no_memory_behind():
    def abort_one(seed: int) -> None:
        session = BranchingSession(knapsack(seed), LIGHT)
        decision = session.start()
        for _ in range(3):
            assert decision is not None
            decision = session.branch(0)
        session.close()

    for seed in range(20):
        abort_one(seed)
    before = resident_megabytes()
    for seed in range(200):
        abort_one(seed)
    assert resident_megabytes() - before < 12


def test_closing_from_another_thread_during_the_root_stops_scip():
    session = BranchingSession(slow_root(), SearchSettings(preset="gasse", seed=1))
    timer = threading.Timer(0.2, session.close)
    timer.start()
    began = time.perf_counter()
    assert session.start() is None
    assert time.perf_counter() - began < 1.0
    assert session.result is not None
    assert session.result.status == "userinterrupt"
    timer.join()


def test_closing_inside_a_callback_ends_the_search_and_frees_the_model_after_it():
    model = knapsack(0)
    variable = model.getVars()[0]
    session = BranchingSession(model, LIGHT, observe=lambda _: session.close())
    assert session.start() is None
    assert session.result is not None
    assert (session.result.status, session.result.nodes) == ("userinterrupt", 1)
    assert variable.ptr() == 0


def test_closing_does_not_wait_for_a_long_lp_whose_thread_then_ends_by_itself():
    session = BranchingSession(long_lp(), LIGHT)
    seconds = []

    def close():
        time.sleep(0.1)
        began = time.perf_counter()
        session.close()
        seconds.append(time.perf_counter() - began)
        seconds.append(float(solver_threads()))

    closer = threading.Thread(target=close)
    closer.start()
    assert session.start() is None
    closer.join()
    assert seconds[0] < 0.5
    assert seconds[1] == 1


@pytest.mark.parametrize("limit", ["watchdog", "time_limit"])
def test_a_limit_of_time_acts_during_the_root(limit):
    settings = SearchSettings(preset="gasse", seed=1, **{limit: 0.2})
    session = BranchingSession(slow_root(), settings)
    began = time.perf_counter()
    assert session.start() is None
    assert time.perf_counter() - began < 1.0
    assert session.result is not None
    assert session.result.status == limit.replace("_", "")
    assert not session.result.solved


@pytest.mark.usefixtures("_ctrl_c_raises")
@pytest.mark.parametrize("build", [slow_root, long_lp])
def test_ctrl_c_during_the_root_ends_the_search_and_reaches_the_caller(build):
    session = BranchingSession(build(), SearchSettings(preset="gasse", seed=1))
    timer = threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT))
    began = time.perf_counter()
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        session.start()
    assert time.perf_counter() - began < 1.2
    timer.join()


@pytest.mark.usefixtures("_ctrl_c_raises")
def test_ctrl_c_reaches_the_caller_of_a_policy_inside_scip():
    timer = threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        evaluate(most_infeasible, slow_root(), SearchSettings(preset="gasse", seed=1))
    timer.join()


class OddError(Exception):
    """An exception that nothing else raises."""


def test_what_a_policy_raises_reaches_the_caller_with_its_own_type():
    def policy(decision):
        if decision.depth == 2:
            raise OddError("at depth two")
        return 0

    with pytest.raises(OddError, match="at depth two"):
        evaluate(policy, knapsack(0), LIGHT)


def test_what_an_observation_raises_reaches_the_caller_at_that_decision():
    def observe(model):
        if model.getCurrentNode().getDepth() == 2:
            raise OddError("at depth two")

    session = BranchingSession(knapsack(0), LIGHT, observe=observe)
    session.start()
    with pytest.raises(OddError, match="at depth two"):
        _branch_to_the_end(session)
    assert session.decision is None


def test_what_the_recorder_raises_reaches_the_caller(monkeypatch):
    from rewardloom.envs.branching.tree import TreeRecorder

    def record(self, node, outcome):
        raise OddError("in the event handler")

    monkeypatch.setattr(TreeRecorder, "_record", record)
    with pytest.raises(OddError, match="in the event handler"):
        evaluate(most_infeasible, knapsack(0), LIGHT)


def test_a_node_limit_of_one_leaves_one_decision():
    session = BranchingSession(knapsack(0), light(node_limit=1))
    assert session.start() is not None
    assert session.branch(0) is None
    assert session.result is not None
    assert (session.result.status, session.result.nodes) == ("nodelimit", 1)
    assert not session.result.solved


@pytest.mark.parametrize("limit", [1, 4])
def test_a_decision_limit_is_the_number_of_decisions(limit):
    result = evaluate(most_infeasible, knapsack(0), light(decision_limit=limit))
    assert (result.status, result.decisions, result.solved) == ("decisionlimit", limit, False)


def test_a_time_limit_counts_the_solver_s_time_only():
    def slow(decision):
        time.sleep(0.01)
        return most_infeasible(decision)

    result = evaluate(slow, knapsack(0), light(time_limit=0.15))
    assert result.solved
    assert result.decisions * 0.01 > 0.15


def test_an_objective_limit_cuts_off_what_is_no_better():
    best = evaluate(most_infeasible, knapsack(0), LIGHT)
    just_below = light(objective_limit=best.primal_bound - 0.1)
    limited = evaluate(most_infeasible, knapsack(0), just_below)
    assert limited.primal_bound == best.primal_bound
    assert limited.nodes < best.nodes
    above = evaluate(most_infeasible, knapsack(0), light(objective_limit=best.primal_bound + 1))
    assert (above.status, above.primal_bound) == ("infeasible", -np.inf)


def test_a_gap_limit_ends_the_search_as_solved():
    result = evaluate(most_infeasible, knapsack(0), light(gap_limit=0.5))
    assert (result.status, result.solved) == ("gaplimit", True)
    assert 0 < result.gap <= 0.5


def linear_program() -> Model:
    model = Model()
    x = model.addVar("x", ub=4)
    model.addCons(2 * x <= 5)
    model.setObjective(x, "maximize")
    return model


def infeasible_parity() -> Model:
    model = Model()
    x, y = (model.addVar(name, vtype="I", ub=4) for name in "xy")
    model.addCons(2 * x + 2 * y == 5)
    return model


def unbounded() -> Model:
    model = Model()
    x, y = (model.addVar(name, vtype="I") for name in "xy")
    model.addCons(x - y <= 5)
    model.setObjective(x, "maximize")
    return model


@pytest.mark.parametrize(
    ("build", "status"),
    [
        (linear_program, "optimal"),
        (infeasible_parity, "infeasible"),
        (unbounded, "unbounded"),
        (Model, "optimal"),
    ],
)
def test_a_search_without_a_decision_ends_at_its_start(build, status):
    session = BranchingSession(build(), SearchSettings(preset="default"))
    assert session.start() is None
    assert session.result is not None
    assert (session.result.status, session.result.decisions) == (status, 0)
    assert session.result.solved


def test_branchings_without_an_lp_solution_are_left_to_scip_and_counted():
    no_lps = light(parameters={"lp/solvefreq": 0}, node_limit=50)
    result = evaluate(most_infeasible, knapsack(0), no_lps)
    assert result.unasked > 10
    assert result.status == "nodelimit"


@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
def test_a_forked_child_can_neither_step_nor_end_its_parent_s_search():
    session = BranchingSession(knapsack(0), LIGHT)
    session.start()
    child = os.fork()
    if child == 0:
        try:
            session.branch(0)
        except BaseException as error:
            session.close()
            os._exit(17 if "forked" in str(error) else 1)
        os._exit(2)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 17
    assert session.branch(0) is not None
    session.close()


def test_a_search_that_was_closed_before_it_began_never_begins():
    search = Search(knapsack(0), SearchSettings())
    search.close()
    with pytest.raises(ResetNeeded, match="closed before it began"):
        search.start()


def test_closing_at_any_moment_of_a_start_frees_no_model_that_scip_works_on():
    """In a process of its own: what goes wrong here ends the interpreter."""
    code = """
import random, threading, time
from rewardloom.envs.branching.world import MilpBranching
from gymnasium.error import ResetNeeded
random.seed(0)
world = MilpBranching(family="micro")
def reset():
    try:
        world.reset()
    except ResetNeeded:
        pass
end = time.monotonic() + 4
while time.monotonic() < end:
    thread = threading.Thread(target=reset)
    thread.start()
    time.sleep(random.random() * 0.004)
    world.close()
    thread.join()
    world.close()
print("alive", [t.name for t in threading.enumerate()])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "alive ['MainThread']\n"


@pytest.mark.usefixtures("_ctrl_c_raises")
def test_an_interrupted_abort_can_be_repeated():
    """Thread.join, interrupted, would call the thread dead, and the abort give up at once."""
    gate, calls = threading.Event(), []

    def observe(model):
        calls.append(1)
        if len(calls) == 2:
            gate.wait(20)

    session = BranchingSession(knapsack(0), SearchSettings(preset="light"), observe=observe)
    session.start()
    session._search.answer(0)
    while len(calls) < 2:
        time.sleep(0.01)
    timer = threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        session.abort()
    threading.Timer(0.3, gate.set).start()
    assert session.abort().status == "userinterrupt"
