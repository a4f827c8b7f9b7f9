"""Scores of decisions, and returns that are spread by them."""

import numpy as np
import pytest
from revived_samples import trajectory

from rewardloom.baselines.branching.revived.rewriting import RewardRewriter
from rewardloom.baselines.branching.revived.scores import SCORES, standardized_score
from rewardloom.envs.branching.records import SearchResult
from rewardloom.envs.branching.tree import TreeTable
from rewardloom.errors import ConfigError

# The root 1 with children 2 and 3; 2 with children 4 and 5; 3 is branched on, but of its children
# only 6 was processed. Decisions were made at 1, 2 and 3.
TREE = TreeTable(
    node=np.array([1, 2, 3, 4, 5, 6]),
    parent=np.array([0, 1, 1, 2, 2, 3]),
    parent_row=np.array([-1, 0, 0, 1, 1, 2]),
    depth=np.array([0, 1, 1, 2, 2, 2], np.int32),
    side=np.array([0, -1, 1, -1, 1, -1], np.int8),
    outcome=np.zeros(6, np.int8),
    variable=np.zeros(6, np.int32),
    branching=np.zeros(6, np.int32),
    split=np.zeros(6),
    lower_bound=np.array([10.0, 12.0, 11.0, 15.0, np.inf, 11.5]),
    subtree_size=np.array([6, 3, 2, 1, 1, 1]),
    names=("x",),
)


def result(primal=20.0, dual=20.0, sense="minimize"):
    return SearchResult(
        status="optimal",
        nodes=6,
        lp_iterations=0,
        lps=0,
        primal_bound=primal,
        dual_bound=dual,
        gap=0.0,
        solver_seconds=0.0,
        decisions=3,
        unasked=0,
        sense=sense,
        tree=TREE,
    )


def decisions(reward=(0.0, 0.0, -5.0)):
    kept = trajectory(
        np.random.default_rng(0), [1, 2, 3], [0, 1, 1], depth=[0, 1, 1], reward=reward
    )
    kept.bound[:] = [10.0, 12.0, 11.0]
    kept.dual_bound[:] = [10.0, 11.0, 11.0]
    return kept


def score(name, **ends):
    return SCORES[name](decisions(), result(**ends)).tolist()


def test_scores_by_hand():
    assert score("depth") == [0, -1, -1]
    assert score("dual_gain") == pytest.approx([0.1, 0.0, 0.9])
    assert score("subtree") == pytest.approx(np.log([6, 3, 2]).tolist())
    # root: gains 2 and 1 of a gap of 10; 2: 3, and 8 of the infeasible child; 3: 0.5, and 9 of the
    # child that was never processed
    assert score("child_gain") == pytest.approx([0.2 * 0.1, 0.3 * 0.8, 0.05 * 0.9])


def test_an_infeasible_rest_closes_the_gap():
    assert score("dual_gain", dual=np.inf) == pytest.approx([0.1, 0.0, 0.9])


def test_without_a_solution_the_gap_ends_at_the_best_bound():
    assert score("dual_gain", primal=np.inf, dual=12.0) == pytest.approx([0.5, 0.0, 0.5])
    assert np.isfinite(score("child_gain", primal=np.inf, dual=12.0)).all()


def test_a_maximization_is_turned():
    # the records of decisions are in the sense of minimization, the result is not
    assert score("dual_gain", primal=-20.0, dual=-20.0, sense="maximize") == pytest.approx(
        [0.1, 0.0, 0.9]
    )


def test_standardized_scores_have_mean_0_and_deviation_1_or_are_0():
    found = standardized_score("subtree", decisions(), result())
    assert found.mean() == pytest.approx(0.0, abs=1e-12)
    assert found.std() == pytest.approx(1.0)
    flat = trajectory(np.random.default_rng(0), [4, 5], [2, 2], depth=[2, 2])
    assert standardized_score("depth", flat, result()).tolist() == [0, 0]


def softmax(score, **options):
    return {"mode": "softmax", "score": f"info:{score}", **options}


LEARNING = {"first_refit": 2, "refit_every": 1, "gradient_steps": 2, "hidden": [8]}


@pytest.mark.parametrize(
    "options",
    [
        {"mode": "uniform"},
        *(softmax(name, sign=sign) for name in SCORES for sign in ("credit", "blame")),
        softmax("dual_gain", beta=0.3, temperature=0.1),
        *({"mode": mode, "learning": LEARNING} for mode in ("attention", "occlusion", "rudder")),
        {"mode": "rrd", "learning": LEARNING},
    ],
    ids=lambda options: "-".join(map(str, options.values()))[:40],
)
@pytest.mark.parametrize("truncated", [False, True])
def test_the_return_is_preserved(options, truncated):
    rewriter = RewardRewriter(options)
    for _ in range(4):
        paid = rewriter.rewrite(decisions(), result(), truncated=truncated).reward
    assert abs(paid.sum() + 5.0) < 1e-9
    assert paid.tolist() != [0.0, 0.0, -5.0]
    if "learning" in options:
        assert rewriter.design.refits


def test_blame_lets_low_gains_pay():
    blamed = RewardRewriter(softmax("dual_gain", sign="blame"))
    paid = blamed.rewrite(decisions(), result(), truncated=False).reward
    assert paid.argmin() == 1  # gained nothing
    assert paid.argmax() == 2  # gained the most
    weights = np.exp(-standardized_score("dual_gain", decisions(), result()))
    np.testing.assert_allclose(paid, -5.0 * weights / weights.sum())


def test_the_rest_of_a_trajectory_stays():
    kept = decisions()
    paid = RewardRewriter({"mode": "uniform"}).rewrite(kept, result(), truncated=False)
    assert paid.graphs is kept.graphs
    assert kept.reward.tolist() == [0.0, 0.0, -5.0]


def test_a_truncated_search_can_be_left_raw():
    rewriter = RewardRewriter({"mode": "uniform", "on_truncation": "raw"})
    paid = rewriter.rewrite(decisions(), result(), truncated=True)
    assert paid.reward.tolist() == [0.0, 0.0, -5.0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (softmax("dual_gian"), "dual_gain"),
        ({"mode": "softmax"}, "info:dual_gain"),
        (softmax("depth") | {"score": "nodes"}, "info:dual_gain"),
        ({"mode": "difference", "score": "info:depth"}, "running estimate"),
        ({"mode": "sofmax"}, "softmax"),
        ({"mode": "uniform", "betta": 1}, "betta"),
        ({"beta": 0.5}, "mode"),
    ],
)
def test_bad_options_are_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        RewardRewriter(options)
