"""Means, wins and paired intervals by hand."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rewardloom.baselines.branching.results import Trial, read_trials, write_trials
from rewardloom.baselines.branching.statistics import METRICS, shifted_geometric_mean, summarize
from rewardloom.errors import ConfigError


def trial(policy, instance, nodes, *, seed=0, agent=None, solved=True, test_set="set", **numbers):
    fields = {
        "instance_seed": 0,
        "status": "optimal" if solved else "nodelimit",
        "lp_iterations": 10 * nodes,
        "solver_seconds": nodes / 100,
        "policy_seconds": 0.25,
        "decisions": nodes // 2,
        "defaults": 0,
        "unasked": 0,
        "primal_bound": math.inf,
        "dual_bound": -1.5,
        "gap": 0.1,
    }
    return Trial(
        policy=policy,
        agent=agent or policy,
        test_set=test_set,
        instance=instance,
        solver_seed=seed,
        solved=solved,
        nodes=nodes,
        **{**fields, **numbers},
    )


def table(policy, nodes, **kwargs):
    """Return trials of a policy on instances 0, 1, ..."""
    return [trial(policy, str(i), count, **kwargs) for i, count in enumerate(nodes)]


def by_name(trials, **kwargs):
    return {summary.policy: summary for summary in summarize(trials, **kwargs)}


def test_the_shifted_geometric_mean_by_hand():
    assert shifted_geometric_mean([0, 3], 1) == pytest.approx(1)  # sqrt(1 * 4) - 1
    assert shifted_geometric_mean([0, 300], 100) == pytest.approx(100)  # sqrt(100 * 400) - 100
    assert shifted_geometric_mean([[8, 8], [0, 3]], 1).tolist() == pytest.approx([8, 1])


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=8), st.sampled_from([1.0, 100.0]))
def test_the_shifted_mean_lies_between_the_ends_and_below_the_mean(values, shift):
    found = shifted_geometric_mean(values, shift)
    slack = 1e-9 * (max(values) + shift)
    assert min(values) - slack <= found <= np.mean(values) + slack


def test_solver_seeds_are_averaged_before_instances():
    trials = [
        trial("random", "a", 1, seed=0),
        trial("random", "a", 5, seed=1),
        trial("random", "b", 15, seed=0),
        trial("random", "b", 15, seed=1),
    ]
    found = by_name(trials)["random"]
    assert found.metrics["nodes"].mean.point == pytest.approx(7)  # sqrt(4 * 16) - 1
    assert found.metrics["lp_iterations"].mean.point == pytest.approx(math.sqrt(130 * 250) - 100)
    assert found.metrics["nodes"].median == 9
    assert (found.instances, found.runs, found.solved, found.training_seeds) == (2, 4, 4, 1)
    assert found.decisions == pytest.approx((0 + 2 + 7 + 7) / 4)
    assert found.policy_seconds == 0.25


def test_wins_are_shared_and_need_a_solution():
    trials = [
        *table("random", [9, 9, 9, 100], solved=False),
        *table("a", [7, 5, 8, 3]),
        *table("b", [7, 6, 4, 3]),
    ]
    found = {name: s.metrics["nodes"].wins for name, s in by_name(trials).items()}
    assert found == {"random": 0, "a": 2, "b": 2}  # 1/2 + 1 + 0 + 1/2 each
    unsolved = [*table("random", [9], solved=False), *table("a", [1], solved=False)]
    assert [s.metrics["nodes"].wins for s in summarize(unsolved)] == [0, 0]


def test_who_gives_up_more_often_wins_nothing():
    trials = [
        trial("random", "a", 50, seed=0),
        trial("random", "a", 90, seed=1),
        trial("a", "a", 1, seed=0),
        trial("a", "a", 1, seed=1, solved=False),
    ]
    found = by_name(trials, time_limit=9.0)
    assert [found[name].metrics["nodes"].wins for name in ("random", "a")] == [1, 0]
    equal = by_name([*trials[:1], trial("random", "a", 9, seed=1, solved=False), *trials[2:]])
    assert [equal[name].metrics["nodes"].wins for name in ("random", "a")] == [0, 1]


def test_unsolved_searches_without_a_limit_are_told():
    trials = [*table("random", [9, 9]), *table("a", [1, 2, 3], solved=False)[:2]]
    free = by_name(trials)["a"].metrics
    assert [free[name].stopped for name in METRICS] == [2, 2, 2]
    limited = by_name(trials, node_limit=50, time_limit=7.0)["a"].metrics
    assert [limited[name].stopped for name in METRICS] == [0, 2, 0]
    assert by_name(trials)["random"].metrics["nodes"].stopped == 0


def test_decisions_left_to_scip_are_no_decisions_of_the_policy():
    trials = [
        *table("random", [20, 20]),
        trial("lazy", "0", 20, decisions=10, defaults=1),
        trial("lazy", "1", 20, decisions=20, defaults=5),
    ]
    found = by_name(trials)
    assert (found["lazy"].decisions, found["lazy"].share_left) == (12, pytest.approx(0.2))
    assert (found["random"].decisions, found["random"].share_left) == (10, 0)


def test_unsolved_searches_count_at_their_limit():
    trials = [
        trial("random", "a", 10, solved=False, solver_seconds=2.0),
        trial("random", "b", 100),
    ]
    free, limited = (
        by_name(trials, **limits)["random"].metrics
        for limits in ({}, {"node_limit": 50, "time_limit": 7.0})
    )
    assert free["nodes"].median == 55
    assert limited["nodes"].median == 75
    assert limited["solver_seconds"].median == pytest.approx(4)  # (7 + 1) / 2
    assert limited["lp_iterations"].median == free["lp_iterations"].median
    beyond = by_name([trial("random", "a", 51, solved=False)], node_limit=50)["random"]
    assert beyond.metrics["nodes"].median == 51
    assert beyond.share_solved == 0


def test_the_ratio_is_paired():
    nodes = np.array([3, 30, 300, 3000])
    # In each instance (n + 1) / (r + 1) = 1/2, so the ratio hardly varies although nodes do.
    trials = [*table("random", 2 * nodes + 1), *table("half", nodes)]
    found = by_name(trials)["half"].metrics["nodes"]
    assert found.mean.high / found.mean.low > 20
    assert found.ratio.point == pytest.approx(0.5, rel=0.02)
    assert 0.4 < found.ratio.low <= found.ratio.point <= found.ratio.high <= 0.5
    own = by_name(trials)["random"].metrics["nodes"].ratio
    assert (own.point, own.low, own.high) == (1, 1, 1)
    inverse = by_name(trials, reference="half")["random"].metrics["nodes"].ratio
    assert inverse.point == pytest.approx(1 / found.ratio.point)


def test_the_interval_of_two_instances_by_hand():
    # Drawn anew, two instances are both the first (1/4), both the second (1/4) or mixed (1/2).
    found = by_name(table("random", [0, 3]))["random"].metrics["nodes"].mean
    assert (found.low, found.point, found.high) == pytest.approx((0, 1, 3))


def test_instances_are_drawn_within_their_sets():
    trials = [
        *table("random", [3, 3, 3], test_set="small"),
        *table("random", [99, 99, 99], test_set="large"),
    ]
    found = by_name(trials)["random"].metrics["nodes"].mean
    assert (found.low, found.high) == pytest.approx((19, 19))  # sqrt(4 * 100) - 1, always


def test_training_seeds_are_averaged_after_instances_and_widen_the_interval():
    trials = [
        *table("random", [8, 8]),
        *table("learned", [1, 1], agent="run-0"),
        *table("learned", [9, 9], agent="run-1"),
    ]
    found = by_name(trials)["learned"]
    assert (found.training_seeds, found.runs) == (2, 4)
    mean = found.metrics["nodes"].mean
    assert (mean.low, mean.point, mean.high) == pytest.approx((1, 5, 9))
    assert found.metrics["nodes"].ratio.point == pytest.approx(5 / 8)
    assert by_name(trials)["random"].metrics["nodes"].mean.low == pytest.approx(8)
    assert found.metrics["nodes"].wins == 2  # the mean over training seeds, 5, is below 8


def test_one_instance_has_no_interval():
    found = by_name(table("random", [5]))["random"].metrics["nodes"]
    assert math.isnan(found.mean.low)
    assert math.isnan(found.ratio.high)


def test_sets_of_one_instance_have_no_interval_between_them():
    apart = [
        trial(policy, "0", nodes, test_set=test_set)
        for policy, nodes in (("random", 9), ("a", 3))
        for test_set in ("small", "large")
    ]
    found = by_name(apart)["a"].metrics["nodes"]
    assert math.isnan(found.mean.low)
    assert math.isnan(found.ratio.high)
    more = [
        *apart,
        trial("random", "1", 30, test_set="small"),
        trial("a", "1", 30, test_set="small"),
    ]
    assert by_name(more)["a"].metrics["nodes"].mean.low == pytest.approx(3)
    seeds = [*apart, *(trial("a", "0", 9, test_set=s, agent="b") for s in ("small", "large"))]
    against = by_name(seeds, reference="a")["random"].metrics["nodes"]
    assert math.isnan(against.mean.low)
    assert against.ratio.low == pytest.approx(1)  # the reference's two training seeds vary
    assert against.ratio.high == pytest.approx(3)


def test_a_bootstrap_repeats():
    trials = [*table("random", [5, 9, 30]), *table("a", [4, 9, 2])]
    assert summarize(trials) == summarize(trials)


@pytest.mark.parametrize(
    ("trials", "words"),
    [
        ([], "no trials"),
        (table("rand", [1]), "Did you mean 'rand'"),
        ([*table("random", [1, 2]), *table("a", [1])], "same instances"),
        ([*table("random", [1]), *table("a", [1], seed=3)], "same instances"),
        (table("random", [1]) * 2, "not one for each"),
        ([*table("random", [1, 2]), trial("random", "0", 1, seed=1)], "not one for each"),
    ],
)
def test_trials_that_cannot_be_compared_are_refused(trials, words):
    with pytest.raises(ConfigError, match=words):
        summarize(trials)


def test_trials_survive_their_file(tmp_path):
    trials = [trial("random", "a, b", 3, solved=False), trial("random", 'c"', 5, seed=2)]
    write_trials(tmp_path / "results.csv", trials)
    assert read_trials(tmp_path / "results.csv") == trials
    with pytest.raises(ConfigError, match="no table"):
        read_trials(tmp_path / "none.csv")
    (tmp_path / "other.csv").write_text("policy,nodes\nrandom,3\n")
    with pytest.raises(ConfigError, match="no table of trials"):
        read_trials(tmp_path / "other.csv")
