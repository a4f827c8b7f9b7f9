"""Every policy on every instance, with the same seeds."""

import dataclasses

import pytest

from rewardloom.baselines.branching.agents import (
    MostInfeasibleAgent,
    RandomAgent,
    save_agent,
)
from rewardloom.baselines.branching.rules import search_with_rule
from rewardloom.baselines.branching.test_sets import read_test_set
from rewardloom.baselines.branching.trials import agent_policy, rule_policy, run_trials
from rewardloom.envs.branching.features import CANDIDATE_FEATURES
from rewardloom.envs.branching.settings import SearchSettings
from rewardloom.errors import ConfigError

LIGHT = SearchSettings(preset="light")


class Watching(MostInfeasibleAgent):
    """Takes notes of what it is shown."""

    observation = "candidates"

    def __init__(self, answer=None):
        super().__init__()
        self.begun = 0
        self.seen = []
        self.answer = answer

    def begin(self):
        self.begun += 1

    def choose(self, decision):
        assert decision.observation.shape == (len(decision), len(CANDIDATE_FEATURES))
        self.seen.append((self.begun, decision.node))
        return self.answer


def untimed(trials):
    return [dataclasses.replace(t, solver_seconds=0.0, policy_seconds=0.0) for t in trials]


def test_every_policy_meets_every_instance_and_seed_and_random_is_there():
    instances = read_test_set("micro:tiny:2")
    policies = [rule_policy("pscost"), agent_policy("nearest", MostInfeasibleAgent())]
    trials = run_trials(policies, instances, LIGHT, solver_seeds=2)
    found = [(t.policy, t.agent, t.instance, t.solver_seed) for t in trials]
    assert found == [
        (name, name, instance.name, seed)
        for name in ("pscost", "nearest", "random")
        for instance in instances
        for seed in (0, 1)
    ]
    assert {t.instance_seed for t in trials} == {i.seed for i in instances}
    assert all(t.solved and t.status == "optimal" and t.gap == 0 for t in trials)
    optima = {(t.instance, t.primal_bound) for t in trials}
    assert len(optima) == len(instances)  # whoever branches, the optimum is the same


def test_a_trial_holds_the_numbers_of_its_search():
    instance = read_test_set("micro:tiny:1")[0]
    trials = run_trials([rule_policy("mostinf")], [instance], LIGHT, solver_seeds=2)
    settings = dataclasses.replace(LIGHT, seed=1)
    result = search_with_rule(instance.build(), settings, "mostinf")
    trial = trials[1]
    for name in ("nodes", "lp_iterations", "decisions", "unasked", "primal_bound", "dual_bound"):
        assert getattr(trial, name) == getattr(result, name), name
    assert (trial.defaults, trial.decisions > 0) == (0, True)
    assert trial.policy_seconds == 0
    assert trial.solver_seconds > 0


def test_an_agent_and_the_rule_it_imitates_have_equal_trials():
    instances = read_test_set("micro:tiny:2")
    policies = [rule_policy("mostinf"), agent_policy("nearest", MostInfeasibleAgent())]
    trials = run_trials(policies, instances, LIGHT, solver_seeds=1)
    half = [(t.nodes, t.lp_iterations) for t in trials]
    assert half[:2] == half[2:4]
    assert half[:2] != half[4:]
    assert [t.defaults for t in trials[2:4]] == [0, 0]
    assert all(t.policy_seconds > 0 for t in trials[2:4])


def test_an_agent_begins_each_search_and_sees_what_it_asked_for():
    agent = Watching()
    trials = run_trials(
        [agent_policy("watching", agent)], read_test_set("micro:tiny:2"), LIGHT, solver_seeds=2
    )
    assert agent.begun == 4
    assert [agent.seen.count((i, 1)) > 0 for i in (1, 2, 3, 4)] == [True] * 4
    mine = [t for t in trials if t.policy == "watching"]
    assert all(t.defaults == t.decisions > 0 for t in mine)


def test_agents_of_several_training_seeds_are_one_policy(tmp_path):
    folders = [str(tmp_path / f"run-{seed}") for seed in (0, 1)]
    for seed, folder in enumerate(folders):
        save_agent(RandomAgent(seed), folder)
    group = agent_policy("trained", {folder: folder for folder in folders})
    trials = run_trials([group], read_test_set("micro:tiny:1"), LIGHT, solver_seeds=1)
    assert [(t.policy, t.agent) for t in trials] == [
        ("trained", folders[0]),
        ("trained", folders[1]),
        ("random", "random"),
    ]
    assert trials[0].nodes != trials[1].nodes


def test_several_processes_find_the_same(tmp_path):
    save_agent(RandomAgent(3), tmp_path)
    policies = [agent_policy("chance", str(tmp_path)), agent_policy("near", MostInfeasibleAgent())]
    instances = read_test_set("micro:tiny:2")
    counts = []
    parallel = run_trials(
        policies,
        instances,
        LIGHT,
        solver_seeds=1,
        jobs=2,
        report=lambda trial, done, total: counts.append((done, total)),
    )
    assert untimed(parallel) == untimed(run_trials(policies, instances, LIGHT, solver_seeds=1))
    assert counts == [(n, 6) for n in range(1, 7)]


def test_the_same_instance_counts_once_however_it_is_spelled(tmp_path):
    twice = [*read_test_set("micro:tiny:2"), *read_test_set("micro:tiny:1:0")]
    with pytest.raises(ConfigError, match=r"of 'micro:tiny:2' and .* of 'micro:tiny:1:0' are the"):
        run_trials([], twice, LIGHT, solver_seeds=1)
    program = tmp_path / "folder" / "easy.lp"
    program.parent.mkdir()
    program.write_text("Minimize\n x\nSubject To\n c: x >= 1\nBounds\n x <= 3\nGeneral\n x\nEnd\n")
    (tmp_path / "other.lp").symlink_to(program)
    sets = [str(program.parent), str(program), str(tmp_path / "other.lp")]
    for other in sets[1:]:
        with pytest.raises(ConfigError, match="are the same instance"):
            run_trials([], read_test_set(sets[0]) + read_test_set(other), LIGHT, solver_seeds=1)
    different = [*read_test_set("micro:tiny:1"), *read_test_set("micro:tiny:1:1")]
    assert len(run_trials([], different, LIGHT, solver_seeds=1)) == 2


def test_limits_are_marked():
    settings = SearchSettings(preset="light", node_limit=5)
    trials = run_trials([], read_test_set("micro:tiny:1"), settings, solver_seeds=1)
    assert [(t.policy, t.status, t.solved, t.nodes) for t in trials] == [
        ("random", "nodelimit", False, 5)
    ]
    assert trials[0].gap > 0


def test_what_an_agent_raises_reaches_the_caller():
    with pytest.raises(Exception, match="99 is not a candidate"):
        run_trials(
            [agent_policy("wrong", Watching(answer=99))],
            read_test_set("micro:tiny:1"),
            LIGHT,
            solver_seeds=1,
        )


@pytest.mark.parametrize(
    ("policies", "changes", "words"),
    [
        (lambda: [rule_policy("pscost")] * 2, {}, "two of the policy 'pscost'"),
        (lambda: [agent_policy("random", RandomAgent())], {}, "belongs to SCIP's rule"),
        (lambda: [rule_policy("pscsot")], {}, "Did you mean 'pscost'"),
        (lambda: [agent_policy("none", {})], {}, "has no agent"),
        (lambda: [agent_policy("none", "no/such/folder")], {}, "no/such/folder"),
        (list, {"solver_seeds": 0}, "solver_seeds"),
        (list, {"jobs": 0}, "jobs"),
        (list, {"instances": []}, "no instances"),
        (list, {"instances": "twice"}, "two of the instance"),
    ],
)
def test_what_cannot_be_tried_is_refused(policies, changes, words):
    instances = read_test_set("micro:tiny:1")
    arguments = {"solver_seeds": 1, "instances": instances, **changes}
    if arguments["instances"] == "twice":
        arguments["instances"] = instances * 2
    with pytest.raises(ConfigError, match=words):
        run_trials(policies(), arguments.pop("instances"), LIGHT, **arguments)
