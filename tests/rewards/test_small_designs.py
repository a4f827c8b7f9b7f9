"""Weight, defer and count designs: numbers by hand and identities."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rewardloom.errors import ConfigError
from rewardloom.rewards import (
    CountDesign,
    DeferDesign,
    StepBatch,
    WeightDesign,
    episode_batch,
    make_design,
)

REWARDS = st.lists(st.lists(st.floats(-1e3, 1e3), min_size=0, max_size=12), min_size=1, max_size=6)


def tick(reward, *, components=None, terminated=None, active=None, truncated=None, **rest):
    n = len(reward)
    return StepBatch(
        np.asarray(reward, float),
        np.zeros((n, 0)) if components is None else np.asarray(components, float),
        np.zeros(n, bool) if terminated is None else np.asarray(terminated),
        np.zeros(n, bool) if truncated is None else np.asarray(truncated),
        np.ones(n, bool) if active is None else np.asarray(active),
        np.zeros(n, bool),
        **rest,
    )


def test_weights_by_hand():
    design = WeightDesign({"speed": 2.0, "energy": -0.5})
    design.bind(("energy", "idle", "speed"), 2)
    paid = design.step(tick([9, 9], components=[[4, 7, 1], [2, 7, 3]]))
    assert paid.tolist() == [0.0, 5.0]  # 2*1 - 0.5*4, 2*3 - 0.5*2
    assert design.summary()["reward"].tolist() == [0.0, 5.0]


def test_deferred_reward_by_hand():
    design = DeferDesign()
    design.bind((), 2)
    design.begin(np.array([True, True]))
    assert design.step(tick([1, 10])).tolist() == [0, 0]
    assert design.step(tick([2, 20], terminated=[True, False])).tolist() == [3, 0]
    assert design.step(tick([5, 30], active=[False, True])).tolist() == [0, 0]
    assert design.step(tick([4, 40], truncated=[False, True])).tolist() == [0, 100]
    assert design.summary()["held"].tolist() == [4, 100]


@given(REWARDS)
def test_deferring_preserves_every_episodes_sum(rewards):
    design = DeferDesign()
    paid = design.relabel(episode_batch(rewards))
    offsets = np.concatenate([[0], np.cumsum([len(r) for r in rewards])])
    for start, end, episode in zip(offsets, offsets[1:], rewards, strict=False):
        assert paid[start:end].sum() == pytest.approx(sum(episode), abs=1e-9)
        assert (paid[start : max(start, end - 1)] == 0).all()


def test_counts_by_hand():
    """1, 1/sqrt 2, 1/sqrt 3 for the same state; both slots of a tick are counted before payment."""
    design = CountDesign(1.0)
    design.bind((), 2)
    here, there = [0.5, 1.0], [0.5, 2.0]
    assert design.step(tick([0, 0], next_obs=np.array([here, there]))).tolist() == [1, 1]
    paid = design.step(tick([0, 2], next_obs=np.array([here, here])))
    assert paid == pytest.approx([3**-0.5, 2 + 3**-0.5])
    paid = design.step(tick([0, 7], active=[True, False], next_obs=np.array([there, there])))
    assert paid == pytest.approx([2**-0.5, 0])
    assert design.summary()["visits"].tolist() == [2, 0]


def test_the_count_bonus_alone():
    design = CountDesign(2.0, extrinsic_coef=0.0)
    design.bind((), 1)
    paid = [design.step(tick([5], next_obs=np.ones((1, 1))))[0] for _ in range(2)]
    assert paid == pytest.approx([2.0, 2.0 / 2**0.5])
    idle = design.step(tick([5], active=[False], next_obs=np.ones((1, 1))))
    assert idle.tolist() == [0.0]
    relabelled = design.relabel(episode_batch([[5.0]], next_obs=np.ones((1, 1))))
    assert relabelled == pytest.approx([2.0 / 3**0.5])


def test_the_reward_below_the_count_bonus_is_weighted():
    design = CountDesign(1.0, extrinsic_coef=0.5)
    design.bind((), 2)
    paid = design.step(tick([4, 4], active=[True, False], next_obs=np.ones((2, 1))))
    assert paid.tolist() == [3.0, 0.0]
    assert design.relabel(episode_batch([[4.0]], next_obs=np.zeros((1, 1)))).tolist() == [3.0]


def test_frozen_counts_stay_and_pay_a_new_state_as_a_first_visit():
    design = CountDesign(1.0)
    design.bind((), 1)
    design.step(tick([0], next_obs=np.array([[1.0]])))
    design.update_counts = False
    for _ in range(3):
        assert design.step(tick([0], next_obs=np.array([[1.0]]))).tolist() == [1]
        assert design.step(tick([0], next_obs=np.array([[2.0]]))).tolist() == [1]
    assert len(design.state_dict()["keys"]) == 1


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ([0.0], [-0.0], True),
        ([0.21], [0.24], True),
        ([0.24], [0.26], False),
        ([-0.1], [0.1], False),
    ],
)
def test_resolution_bins_states(one, other, same):
    design = CountDesign(1.0, resolution=0.25)
    design.bind((), 1)
    design.step(tick([0], next_obs=np.array([one])))
    paid = design.step(tick([0], next_obs=np.array([other])))[0]
    assert paid == pytest.approx(2**-0.5 if same else 1.0)


def visits(obs, **kwargs):
    design = CountDesign(1.0, **kwargs)
    design.bind((), 3)
    design.step(tick(np.zeros(3), next_obs=obs))
    return design.summary()["visits"].tolist()


def test_keys_of_every_kind_of_observation():
    image = np.zeros((3, 8, 8, 3), np.uint8)
    image[2, 7, 7, 2] = 1
    assert visits(image) == [2, 2, 1]
    assert visits(np.array([4, 4, 5])) == [2, 2, 1]
    words = np.array(["door", "door ", "door"], object)
    assert visits(words) == [2, 1, 2]
    both = {"a": np.array([[1.0], [1.0], [1.0]]), "b": np.array([1, 2, 1])}
    assert visits(both) == [2, 1, 2]
    assert visits(both, obs_keys=["a"]) == [3, 3, 3]
    assert visits((both["a"], both["b"])) == [2, 1, 2]


@given(st.lists(st.integers(0, 3), min_size=1, max_size=40), st.floats(0.1, 2.0))
def test_the_bonus_of_a_visit_sequence(states, exponent):
    design = CountDesign(0.5, exponent=exponent)
    paid = design.relabel(
        episode_batch([np.zeros(len(states))], next_obs=np.array(states)[:, None])
    )
    for i, state in enumerate(states):
        n = states[: i + 1].count(state)
        assert paid[i] == pytest.approx(0.5 * n**-exponent)


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda: make_design("cont"), "Did you mean 'count'"),
        (lambda: make_design("count", coeff=1), "Did you mean 'coef'.*|coef"),
        (lambda: make_design("weight"), "needs the argument 'weights'"),
        (lambda: make_design("defer", on_truncation="both"), "on_truncation"),
    ],
)
def test_the_catalog_refuses_with_the_nearest_name(build, words):
    with pytest.raises(ConfigError, match=words):
        build()


def test_deferring_leaves_an_open_episode_out_of_the_sums_beside_it():
    design = DeferDesign()
    design.bind((), 1)
    episodes = episode_batch([[1.0, 2.0], [10.0, 20.0], [3.0]], terminated=[True, False, True])
    assert design.relabel(episodes).tolist() == [0.0, 3.0, 10.0, 20.0, 3.0]
