"""Redistribution without models: sums, weights and differences, worked by hand and in general."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rewardloom.errors import ComponentError, ConfigError
from rewardloom.rewards import episode_batch, make_design
from rewardloom.rewards.design import StepBatch
from rewardloom.rewards.ragged import episode_sums
from rewardloom.rewards.redistribute.scores import (
    differences,
    evenly,
    normalized_weights,
    potential_shaping,
    settle,
    softmax_of,
)
from rewardloom.testing import ComponentWorld
from rewardloom.wrappers import RedistributeReward


def redistribute(mode, **kwargs):
    design = make_design("redistribute", mode=mode, **kwargs)
    design.bind(("a", "b"), 1)
    return design


numbers = st.floats(-100, 100, width=32)


@st.composite
def scored_episodes(draw):
    """Return rewards per episode and one score per step."""
    lengths = draw(st.lists(st.integers(1, 6), min_size=1, max_size=4))
    rewards = [draw(st.lists(numbers, min_size=n, max_size=n)) for n in lengths]
    total = sum(lengths)
    scores = draw(st.lists(numbers, min_size=total, max_size=total))
    return rewards, np.array(scores)


PRESERVING = {
    "uniform": {},
    "softmax": {},
    "blame": {"mode": "softmax", "sign": "blame", "temperature": 3.0},
    "difference": {"score": "info:g"},
    "difference in a buffer": {"mode": "difference", "score": "info:g", "emit": "relabel"},
}


@pytest.mark.parametrize("case", PRESERVING)
@settings(deadline=None, max_examples=60)
@given(episodes=scored_episodes(), beta=st.floats(0, 1))
def test_rewards_of_an_episode_sum_to_its_return(case, episodes, beta):
    rewards, scores = episodes
    design = redistribute(**{"mode": case, "beta": beta, **PRESERVING[case]})
    batch = episode_batch(rewards, scores=scores, extra={"info:g": scores})
    paid = design.relabel(batch)
    np.testing.assert_allclose(
        episode_sums(paid, batch.offsets), episode_sums(batch.reward, batch.offsets), atol=1e-9
    )


@settings(deadline=None, max_examples=60)
@given(episodes=scored_episodes(), sign=st.sampled_from(["credit", "blame"]))
def test_weights_are_a_distribution_over_each_episode(episodes, sign):
    rewards, scores = episodes
    batch = episode_batch(rewards)
    for weights in (
        softmax_of(scores, batch.reward, batch.offsets, 2.0, sign),
        normalized_weights(np.abs(scores), batch.offsets),
        evenly(np.ones(len(rewards)), batch.offsets),
    ):
        assert (weights >= 0).all()
        np.testing.assert_allclose(episode_sums(weights, batch.offsets), 1.0, atol=1e-12)


@pytest.mark.parametrize("case", PRESERVING)
@settings(deadline=None, max_examples=20)
@given(episodes=scored_episodes())
def test_beta_0_changes_nothing(case, episodes):
    rewards, scores = episodes
    design = redistribute(**{"mode": case, "beta": 0.0, **PRESERVING[case]})
    batch = episode_batch(rewards, scores=scores, extra={"info:g": scores})
    np.testing.assert_allclose(design.relabel(batch), batch.reward, rtol=0, atol=1e-9)


def test_softmax_by_hand():
    """Scores 0 and ln 3: weights 1/4 and 3/4 of the return 8; at temperature 1/2, 1/10 and 9/10."""
    batch = episode_batch([[0.0, 8.0]], scores=[0.0, np.log(3.0)])
    np.testing.assert_allclose(redistribute("softmax").relabel(batch), [2.0, 6.0])
    cold = redistribute("softmax", temperature=0.5)
    np.testing.assert_allclose(cold.relabel(batch), [0.8, 7.2])


def test_blame_puts_losses_on_low_scores_and_gains_on_high_ones():
    scores = [0.0, np.log(3.0)] * 2
    batch = episode_batch([[0.0, -8.0], [0.0, 8.0]], scores=scores)
    blame = redistribute("softmax", sign="blame").relabel(batch)
    np.testing.assert_allclose(blame, [-6.0, -2.0, 2.0, 6.0])
    np.testing.assert_allclose(redistribute("softmax").relabel(batch), [-2.0, -6.0, 2.0, 6.0])


def test_equal_scores_give_the_uniform_share():
    batch = episode_batch([[1.0, 2.0, 3.0], [7.0]], scores=[5.0] * 4)
    np.testing.assert_allclose(redistribute("softmax").relabel(batch), [2.0, 2.0, 2.0, 7.0])
    np.testing.assert_array_equal(redistribute("uniform").relabel(batch), [2.0, 2.0, 2.0, 7.0])


def test_uniform_is_the_dense_reward_bit_by_bit_where_that_is_1():
    """CartPole pays 1 per step; with the sum paid at the end R / T is 1 again."""
    lengths = range(1, 501)
    late = [[0.0] * (n - 1) + [float(n)] for n in lengths]
    assert (redistribute("uniform").relabel(episode_batch(late)) == 1.0).all()


def test_an_episode_of_one_step_stays_as_it_is():
    batch = episode_batch([[3.0]], scores=[9.0], extra={"info:g": np.array([7.0])})
    for mode in ("uniform", "softmax"):
        assert redistribute(mode).relabel(batch).tolist() == [3.0]
    assert redistribute("difference", score="info:g").relabel(batch).tolist() == [3.0]


def test_softmax_reads_a_component_or_an_info_column():
    components = [[[0.0, 0.0], [np.log(3.0), 0.0]]]
    batch = episode_batch(
        [[0.0, 8.0]], components, extra={"info:gain": np.array([np.log(3.0), 0.0])}
    )
    np.testing.assert_allclose(redistribute("softmax", score="a").relabel(batch), [2.0, 6.0])
    by_info = redistribute("softmax", score="info:gain")
    assert by_info.needs == {"info:gain"}
    np.testing.assert_allclose(by_info.relabel(batch), [6.0, 2.0])


def test_difference_by_hand():
    """g = 1, 4, 2 and R = 10: pays 1, 3 and what is left, 6."""
    batch = episode_batch([[0.0, 0.0, 10.0]], extra={"info:g": np.array([1.0, 4.0, 2.0])})
    paid = redistribute("difference", score="info:g").relabel(batch)
    np.testing.assert_allclose(paid, [1.0, 3.0, 6.0])


@settings(deadline=None, max_examples=60)
@given(episodes=scored_episodes())
def test_differences_telescope_and_settle_whatever_g_is(episodes):
    rewards, scores = episodes
    batch = episode_batch(rewards)
    steps = differences(scores, batch.offsets)
    np.testing.assert_allclose(
        episode_sums(steps, batch.offsets), scores[batch.offsets[1:] - 1], atol=1e-9
    )
    paid = settle(steps, batch.reward, batch.offsets, np.ones(len(rewards), bool))
    returns = episode_sums(batch.reward, batch.offsets)
    np.testing.assert_allclose(episode_sums(paid, batch.offsets), returns, atol=1e-9)
    inner = np.setdiff1d(np.arange(len(scores)), batch.offsets[1:] - 1)
    np.testing.assert_array_equal(paid[inner], steps[inner])


@settings(deadline=None, max_examples=60)
@given(episodes=scored_episodes(), gamma=st.floats(0.1, 1.0))
def test_potential_changes_the_discounted_return_by_its_value_at_the_start(episodes, gamma):
    rewards, scores = episodes
    batch = episode_batch(rewards)
    starts = np.arange(len(rewards)) + 2.0
    added = potential_shaping(scores, starts, batch.offsets, gamma, np.ones(len(rewards), bool))
    ages = np.arange(len(scores)) - np.repeat(batch.offsets[:-1], np.diff(batch.offsets))
    sums = episode_sums(gamma**ages * added, batch.offsets)
    np.testing.assert_allclose(sums, -starts, atol=1e-9)


def test_potential_by_hand():
    """Phi = 5 at the start, then 2 and 8, gamma 1/2: 1 + 1 - 5, and 1 + 0 - 2 at the end."""
    batch = episode_batch(
        [[1.0, 1.0]], extra={"info:phi": np.array([2.0, 8.0])}, start={"info:phi": np.array([5.0])}
    )
    design = redistribute("potential", score="info:phi", gamma=0.5)
    np.testing.assert_allclose(design.relabel(batch), [-3.0, -1.0])
    cut = batch._replace(terminated=np.array([False]), truncated=np.array([True]))
    np.testing.assert_allclose(design.relabel(cut), [-3.0, 3.0])
    design = redistribute("potential", score="info:phi", gamma=0.5, on_truncation="settle")
    np.testing.assert_allclose(design.relabel(cut), [-3.0, -1.0])


def test_ircr_normalizes_over_the_latest_episodes():
    """Mean rewards 1, 3 and 2 lie at 0, 1 and 1/2 of their range; the oldest is forgotten."""
    design = redistribute("ircr", learning={"max_episodes": 3})
    batch = episode_batch([[0.0, 2.0], [3.0], [1.0, 3.0]])
    np.testing.assert_allclose(design.relabel(batch), [0.0, 0.0, 1.0, 0.5, 0.5])
    assert design.diagnostics() == {"low": 1.0, "high": 3.0, "episodes": 3.0}
    later = design.relabel(episode_batch([[2.0]]))
    np.testing.assert_allclose(later, [0.0])
    assert design.diagnostics()["low"] == 2.0


def test_ircr_sums_forgets_nothing_when_frozen_and_loads():
    design = redistribute("ircr", normalize="sum")
    np.testing.assert_allclose(design.relabel(episode_batch([[0.0, 2.0], [3.0]])), [0.0, 0.0, 1.0])
    design.update_model = False
    np.testing.assert_allclose(design.relabel(episode_batch([[9.0], [2.5]])), [1.0, 0.5])
    again = redistribute("ircr", normalize="sum")
    again.load_state_dict(design.state_dict())
    again.update_model = False
    np.testing.assert_allclose(again.relabel(episode_batch([[2.5]])), [0.5])


@pytest.mark.parametrize(
    ("policy", "expected"),
    [("raw", [0.0, 4.0]), ("settle", [2.0, 2.0]), ("bootstrap", [2.0, 2.0])],
)
def test_truncated_episodes_in_a_buffer(policy, expected):
    design = redistribute("uniform", on_truncation=policy)
    cut = episode_batch([[0.0, 4.0]], terminated=False, truncated=True)
    assert design.relabel(cut).tolist() == expected
    assert design.settles_truncation == (policy == "settle")


@pytest.mark.parametrize(
    ("policy", "expected"),
    [("raw", [1.0, 2.0]), ("settle", [1.0, 3.0]), ("bootstrap", [1.0, 3.0])],
)
def test_truncated_episodes_of_a_causal_mode(policy, expected):
    """g = 1, 3 and R = 4: without a settlement the last step pays 3 - 1."""
    design = redistribute("difference", score="info:g", on_truncation=policy)
    extra = {"info:g": np.array([1.0, 3.0])}
    cut = episode_batch([[0.0, 4.0]], terminated=False, truncated=True, extra=extra)
    assert design.relabel(cut).tolist() == expected


def test_failed_and_open_episodes_stay_raw():
    batch = episode_batch([[0.0, 4.0], [0.0, 6.0]], terminated=[True, False], failed=[True, False])
    for policy in ("raw", "settle", "bootstrap"):
        design = redistribute("uniform", on_truncation=policy)
        assert design.relabel(batch).tolist() == [0.0, 4.0, 0.0, 6.0]
    design = redistribute("ircr")
    design.relabel(batch)
    assert design.diagnostics() == {}


def tick(reward, g, *, ended=False):
    yes, no = np.ones(1, bool), np.zeros(1, bool)
    return StepBatch(
        np.array([reward]),
        np.zeros((1, 2)),
        yes if ended else no,
        no,
        yes,
        no,
        extra={"info:g": np.array([g])},
    )


def test_beta_anneals_with_the_steps_and_the_sum_stays():
    """Over 4 steps beta is 1, 3/4, 1/2, 1/4; then 0, and what was held back is settled."""
    design = redistribute("difference", score="info:g", anneal_steps=4)
    design.begin(np.ones(1, bool))
    g = [8.0, 16.0, 24.0, 32.0, 40.0]
    paid = [float(design.step(tick(1.0, x, ended=t == 4))[0]) for t, x in enumerate(g)]
    assert paid[:4] == [8.0, 6.25, 4.5, 2.75]
    assert sum(paid) == pytest.approx(5.0)
    assert design.current_beta == 0.0
    loaded = redistribute("difference", score="info:g", anneal_steps=10)
    loaded.load_state_dict(design.state_dict())
    assert loaded.current_beta == 0.5


def test_relabelling_anneals_by_the_rows_of_ended_episodes():
    design = redistribute("uniform", anneal_steps=8)
    batch = episode_batch([[0.0, 4.0], [0.0, 6.0]], terminated=[True, False])
    assert design.relabel(batch).tolist() == [2.0, 2.0, 0.0, 6.0]
    assert design.relabel(batch).tolist() == [1.5, 2.5, 0.0, 6.0]


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_score_that_is_not_finite_names_column_and_row(bad):
    design = redistribute("softmax", score="info:gain")
    extra = {"info:gain": np.array([0.0, 1.0, bad])}
    with pytest.raises(ComponentError, match=r"info:gain.* in row 2"):
        design.relabel(episode_batch([[1.0], [2.0, 3.0]], extra=extra))
    online = redistribute("difference", score="info:g")
    with pytest.raises(ComponentError, match="info:g"):
        online.step(tick(1.0, bad))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"mode": "unifrom"}, "Did you mean 'uniform'"),
        ({"mode": "uniform", "gamma": 0.9}, "potential only"),
        ({"mode": "uniform", "score": "a"}, "softmax, difference, potential only"),
        ({"mode": "uniform", "learning": {}}, "no learning"),
        ({"mode": "uniform", "preserve": "discounted"}, "explodes"),
        ({"mode": "uniform", "preserve": "none"}, "always preserves"),
        ({"mode": "ircr", "preserve": "sum"}, "does not preserve"),
        ({"mode": "uniform", "emit": "causal"}, "known only when the episode has ended"),
        ({"mode": "uniform", "emit": "deferred"}, "undoes the redistribution"),
        ({"mode": "potential", "score": "a", "emit": "relabel"}, "known at once"),
        ({"mode": "uniform", "emit": "casual"}, "Did you mean 'causal'"),
        ({"mode": "uniform", "beta": 1.5}, "beta must be"),
        ({"mode": "uniform", "anneal_steps": -1}, "anneal_steps"),
        ({"mode": "uniform", "on_truncation": "settel"}, "Did you mean 'settle'"),
        ({"mode": "softmax", "temperature": 0.0}, "temperature"),
        ({"mode": "softmax", "sign": "blam"}, "Did you mean 'blame'"),
        ({"mode": "difference"}, "needs score="),
        ({"mode": "potential", "score": "a", "gamma": 0.0}, "gamma"),
        ({"mode": "ircr", "normalize": "men"}, "Did you mean 'mean'"),
        ({"mode": "rrd", "learning": {"lerning_rate": 1}}, "Did you mean 'learning_rate'"),
        ({"mode": "rrd", "learning": {"subset": 0}}, "subset"),
        ({"mode": "rrd", "learning": {"subset": 1, "unbiased": True}}, "unbiased"),
        ({"mode": "rrd", "learning": {"inputs": ["ob"]}}, "Did you mean 'obs'"),
        ({"mode": "rrd", "learning": 3}, "mapping"),
        ({"mode": "rrd", "learning": {"hidden": []}}, "hidden"),
        ({"mode": "rrd", "learning": {"seed": -1}}, "seed"),
        ({"mode": "rrd", "learning": {"learning_rate": 0}}, "learning_rate"),
    ],
)
def test_bad_arguments_are_refused(arguments, message):
    with pytest.raises(ConfigError, match=message):
        make_design("redistribute", **arguments)


def test_a_component_that_does_not_exist_is_refused():
    with pytest.raises(ConfigError, match=r"Unknown score 'c'.*info:c"):
        make_design("redistribute", mode="softmax", score="c").bind(("a", "b"), 1)


def test_missing_scores_are_refused():
    with pytest.raises(ConfigError, match="reads scores"):
        RedistributeReward(ComponentWorld(), "softmax")
    with pytest.raises(ConfigError, match="without scores"):
        redistribute("softmax").relabel(episode_batch([[1.0]]))
    with pytest.raises(ConfigError, match="info:gain"):
        redistribute("softmax", score="info:gain").relabel(episode_batch([[1.0]]))
