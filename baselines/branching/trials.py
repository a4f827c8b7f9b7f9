"""Every policy on every instance, with the same seeds of the solver.

- `Policy`: one of SCIP's rules, or one or more agents under one name.
- `rule_policy`, `agent_policy`: make them.
- `run_trials`: runs all of their searches.
"""

from __future__ import annotations

import dataclasses
import multiprocessing
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from time import perf_counter
from typing import Any

from rewardloom.baselines.branching.agents import BranchingAgent, load_agent
from rewardloom.baselines.branching.results import Trial
from rewardloom.baselines.branching.rules import check_rule, search_with_rule
from rewardloom.baselines.branching.test_sets import TestInstance
from rewardloom.envs.branching.observations import observer
from rewardloom.envs.branching.records import Decision, SearchResult
from rewardloom.envs.branching.session import evaluate
from rewardloom.envs.branching.settings import SearchSettings
from rewardloom.errors import ConfigError
from rewardloom.rewards.numbers import check_integer

__all__ = ["Policy", "agent_policy", "rule_policy", "run_trials"]

Report = Callable[[Trial, int, int], None]


@dataclass(frozen=True)
class Policy:
    """What is tried under one name.

    Attributes:
        name: What it is called.
        rule: One of SCIP's rules, or None.
        agents: Name of an agent -> the agent, or the folder to load it from; several for agents
            that differ in their training seed. Empty for a rule.
    """

    name: str
    rule: str | None
    agents: Mapping[str, BranchingAgent | str]


def rule_policy(rule: str) -> Policy:
    """Return one of SCIP's rules as a policy.

    Raises:
        ConfigError: There is no such rule.
    """
    return Policy(check_rule(rule), rule, {})


def agent_policy(
    name: str, agents: Mapping[str, BranchingAgent | str] | BranchingAgent | str
) -> Policy:
    """Return an agent, or several of one learner, as a policy.

    Args:
        name: What it is called.
        agents: An agent or its folder, or several by name. An agent that is given itself must be
            picklable for trials in several processes.

    Raises:
        ConfigError: There is no agent among them, or a folder holds none.
    """
    found = dict(agents) if isinstance(agents, Mapping) else {name: agents}
    if not found:
        raise ConfigError(f"The policy {name!r} has no agent.")
    for agent in found.values():
        if isinstance(agent, str):
            load_agent(agent)  # a folder that holds none shall not wait for its turn to say so
    return Policy(name, None, found)


def run_trials(
    policies: Sequence[Policy],
    instances: Sequence[TestInstance],
    settings: SearchSettings | None = None,
    *,
    solver_seeds: int = 5,
    jobs: int = 1,
    report: Report | None = None,
) -> list[Trial]:
    """Search every instance with every policy and every seed of the solver.

    SCIP's rule `random` is always among the policies: a number of nodes says nothing without it.

    Args:
        policies: What is compared; their names differ.
        instances: On what.
        settings: Presets and limits; the seed is set here.
        solver_seeds: Seeds 0, 1, ... below this, the same for all.
        jobs: Processes that search at the same time. More than the machine has cores spoils times.
        report: Called after each search with its trial, how many are done, and how many there are.

    Returns:
        Trials in the order of policies, agents, instances and seeds, however many processes there
        are.

    Raises:
        ConfigError: There is nothing to try, names or instances repeat, or a number does not fit.
        BaseException: Whatever an agent raises.
    """
    check_integer("solver_seeds", solver_seeds)
    check_integer("jobs", jobs)
    policies = _with_random(policies)
    _check_unique("instance", [(i.test_set, i.name) for i in instances])
    _check_different(instances)
    if not instances:
        raise ConfigError("There are no instances to try policies on.")
    settings = settings or SearchSettings(preset="light")
    tasks = [
        _Task(policy, agent, instance, dataclasses.replace(settings, seed=seed))
        for policy in policies
        for agent in policy.agents or (policy.name,)
        for instance in instances
        for seed in range(solver_seeds)
    ]
    # One instance after the other, so that what is done early compares all policies.
    order = sorted(range(len(tasks)), key=lambda i: (i // solver_seeds % len(instances), i))
    found: dict[int, Trial] = {}
    for number, trial in _run(tasks, order, jobs):
        found[number] = trial
        if report is not None:
            report(trial, len(found), len(tasks))
    return [found[number] for number in range(len(tasks))]


def _with_random(policies: Sequence[Policy]) -> list[Policy]:
    names = [policy.name for policy in policies]
    _check_unique("policy", names)
    for policy in policies:
        if policy.name == "random" and policy.rule != "random":
            raise ConfigError("The name 'random' belongs to SCIP's rule; call the agent otherwise.")
    return [*policies, *([] if "random" in names else [rule_policy("random")])]


def _check_unique(kind: str, names: Sequence[Any]) -> None:
    for name, count in Counter(names).items():
        if count > 1:
            raise ConfigError(f"There are two of the {kind} {name!r}; each needs its own name.")


def _check_different(instances: Sequence[TestInstance]) -> None:
    met: dict[str, TestInstance] = {}
    for instance in instances:
        first = met.setdefault(instance.origin, instance)
        if first is not instance:
            raise ConfigError(
                f"{first.name!r} of {first.test_set!r} and {instance.name!r} of "
                f"{instance.test_set!r} are the same instance, which must not count twice. Give "
                "one of the sets another SEED, or leave it out."
            )


@dataclass(frozen=True)
class _Task:
    """One search."""

    policy: Policy
    agent: str
    instance: TestInstance
    settings: SearchSettings


def _run(tasks: Sequence[_Task], order: Sequence[int], jobs: int) -> Iterator[tuple[int, Trial]]:
    if jobs == 1:
        runner = _Runner()
        for number in order:
            yield number, runner.run(tasks[number])
        return
    pool = ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn"), _prepare_process)
    try:
        futures = {pool.submit(_run_in_process, tasks[number]): number for number in order}
        for future in as_completed(futures):
            yield futures[future], future.result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


class _Runner:
    """Runs searches and keeps the agents that it has loaded."""

    def __init__(self) -> None:
        self._loaded: dict[str, BranchingAgent] = {}

    def run(self, task: _Task) -> Trial:
        """Search once."""
        if task.policy.rule is not None:
            model = task.instance.build()
            result = search_with_rule(model, task.settings, task.policy.rule)
            return _trial(task, result, 0.0, 0)
        agent = self._agent(task.policy.agents[task.agent])
        return _run_agent(task, agent)

    def _agent(self, agent: BranchingAgent | str) -> BranchingAgent:
        if not isinstance(agent, str):
            return agent
        if agent not in self._loaded:
            self._loaded[agent] = load_agent(agent)
        return self._loaded[agent]


_runner_of_process = _Runner()


def _prepare_process() -> None:
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # processes share the cores already


def _run_in_process(task: _Task) -> Trial:
    try:
        return _runner_of_process.run(task)
    except KeyboardInterrupt:
        os._exit(130)  # an exception would leave the process to the searches that wait for it


def _run_agent(task: _Task, agent: BranchingAgent) -> Trial:
    model = task.instance.build()
    observe = observer(agent.observation, model)
    seconds, defaults = 0.0, 0

    def timed_observe(model: Any) -> Any:
        nonlocal seconds
        begin = perf_counter()
        observation = observe(model) if observe is not None else None
        seconds += perf_counter() - begin
        return observation

    def timed_choose(decision: Decision) -> int | None:
        nonlocal seconds, defaults
        begin = perf_counter()
        choice = agent.choose(decision)
        seconds += perf_counter() - begin
        defaults += choice is None
        return choice

    agent.begin()
    result = evaluate(timed_choose, model, task.settings, observe=timed_observe)
    return _trial(task, result, seconds, defaults)


def _trial(task: _Task, result: SearchResult, seconds: float, defaults: int) -> Trial:
    assert task.settings.seed is not None
    copied = ("status", "solved", "nodes", "lp_iterations", "solver_seconds", "decisions",
              "unasked", "primal_bound", "dual_bound", "gap")  # fmt: skip
    return Trial(
        policy=task.policy.name,
        agent=task.agent,
        test_set=task.instance.test_set,
        instance=task.instance.name,
        instance_seed=task.instance.seed,
        solver_seed=task.settings.seed,
        policy_seconds=seconds,
        defaults=defaults,
        **{name: getattr(result, name) for name in copied},
    )
