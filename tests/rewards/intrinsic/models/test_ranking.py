import math
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rewardloom.errors import ConfigError
from rewardloom.rewards.intrinsic.models.base import CaptionModel
from rewardloom.rewards.intrinsic.models.caption_data import Pool
from rewardloom.rewards.intrinsic.models.ranking import RankingModel

SMALL = {
    "embedding": 8,
    "channels": [8, 8],
    "kernel": 3,
    "hidden": [16],
    "batch_size": 16,
    "min_labels": 8,
    "refit_labels": 8,
    "gradient_steps": 4,
    "subsample": 1,
    "draw_every": 1,
}
WORDS = {"kill": 4.0, "gold": 2.0, "stairs": 1.0, "wall": 0.0, "hungry": -2.0, "die": -4.0}
ANY_TEXT = st.one_of(
    st.text(st.characters(), max_size=300),
    st.sampled_from(["", "\0", "\ud800", "x" * 10_000]),
)


def tales(count, seed=0):
    """Captions of two words, and the sum of what the words are worth."""
    rng = np.random.default_rng(seed)
    words, worths = list(WORDS), np.array(list(WORDS.values()))
    drawn = rng.integers(0, len(words), (count, 2))
    captions = [
        f"T:{k} you {words[a]}, then {words[b]}." for k, (a, b) in enumerate(drawn, seed * 10_000)
    ]
    return captions, worths[drawn].sum(1)


def worth(caption):
    return sum(value * caption.count(word) for word, value in WORDS.items())


def better(pairs):
    """1 where the first of a pair is worth more, 0 where it is less, 0.5 where they tie."""
    gaps = np.array([worth(first) - worth(second) for first, second in pairs])
    return 0.5 + 0.5 * np.sign(gaps)


def trained(ticks=8, **changes):
    model = RankingModel({**SMALL, **changes})
    captions, _ = tales(10 * ticks)
    for first in range(0, len(captions), 10):
        pairs = model.wanted(captions[first : first + 10], 10)
        model.learn(pairs, better(pairs))
    return model


def learner_state(state):
    return state["trainer"]["learner"]


def scores(model, captions):
    """The network's own outputs, which the formula takes as given."""
    return model._trainer.learner.scores([c.encode("utf-8", "surrogatepass") for c in captions])


def ranks(values):
    return np.argsort(np.argsort(values))


def test_it_is_a_caption_model():
    model = RankingModel(SMALL)
    assert isinstance(model, CaptionModel)
    assert model.annotates == "pairs"


def test_it_learns_a_hidden_order():
    model = RankingModel({"subsample": 1, "draw_every": 1, "pairs_per_draw": 100, "eps": -99})
    for seed in range(8):
        captions, _ = tales(100, seed)
        pairs = model.wanted(captions, 1000)
        model.learn(pairs, better(pairs))
    captions, hidden = tales(300, seed=99)
    values = model.values(captions)
    assert np.corrcoef(ranks(values), ranks(hidden))[0, 1] > 0.8
    assert model.diagnostics()["accuracy"] > 0.7


@settings(deadline=None, max_examples=15)
@given(st.lists(ANY_TEXT, min_size=1, max_size=8, unique=True), st.floats(-2, 2))
def test_values_are_the_formula_of_the_networks_outputs(captions, eps):
    captions = [caption[:80] for caption in captions]
    model = trained(ticks=3, eps=eps)
    pool = scores(model, model._pool.captions)
    z = (scores(model, captions) - pool.mean()) / pool.std()
    expected = np.where(z > eps, z, 0.0)
    clear = np.abs(z - eps) > 1e-4
    np.testing.assert_allclose(model.values(captions)[clear], expected[clear], atol=1e-4)


def test_the_loss_is_the_cross_entropy_of_bradley_and_terry():
    still = {"gradient_steps": 1, "min_labels": 1, "dropout": 0.0, "learning_rate": 1e-9}
    for label in (1.0, 0.0, 0.5, 0.3):
        model = RankingModel({**SMALL, **still})
        first, second = np.exp(scores(model, ["you kill", "you die"]))
        model.learn([("you kill", "you die")], np.array([label]))
        p = first / (first + second)
        expected = -(label * math.log(p) + (1 - label) * math.log(1 - p))
        assert model.diagnostics()["loss"] == pytest.approx(expected, abs=1e-5)


def shifted(model, by):
    state = pickle.loads(pickle.dumps(model.state_dict()))
    learner_state(state)["network"]["output.bias"] += by
    other = RankingModel(model.settings)
    other.load_state_dict(state)
    return other


def test_a_shift_of_the_networks_bias_changes_nothing():
    model = trained(dropout=0.0)
    captions, _ = tales(50, seed=3)
    values, outputs = [], []
    for by in (0.0, 5.0):
        other = shifted(model, by)
        outputs.append(scores(other, captions))
        other._measure()
        values.append(other.values(captions))
    np.testing.assert_allclose(outputs[1] - outputs[0], 5, atol=1e-4)
    assert values[0].any()
    np.testing.assert_allclose(values[0], values[1], atol=1e-4)


def test_a_shift_of_the_networks_bias_is_gone_after_the_next_refit():
    model = trained(learning_rate=1e-4)
    pairs = [(f"{k} kill", f"{k} die") for k in range(8)]
    captions, _ = tales(50, seed=3)
    values = []
    for by in (0.0, 5.0):
        other = shifted(model, by)
        other.learn(pairs, np.ones(8))
        values.append(other.values(captions))
    np.testing.assert_allclose(values[0], values[1], atol=1e-2)


def test_the_reward_is_standardized_and_pruned():
    pool_values = trained(eps=-99.0).values(trained()._pool.captions)
    assert pool_values.mean() == pytest.approx(0, abs=1e-5)
    assert pool_values.std() == pytest.approx(1, abs=1e-5)
    for eps in (-0.5, 0.0, 1.0):
        model = trained(eps=eps)
        kept = pool_values > eps
        values = model.values(model._pool.captions)
        assert 0 < kept.sum() < len(kept)
        np.testing.assert_allclose(values, np.where(kept, pool_values, 0.0), atol=1e-6)
        assert model.diagnostics()["pruned_share"] == pytest.approx((~kept).mean())


def test_how_often_a_caption_is_in_the_pool_weighs_in_mean_and_deviation():
    model = RankingModel({**SMALL, "eps": -99.0})
    model.wanted(["you kill"] * 30 + ["you die"] * 10, 0)
    model.learn([(f"{k} kill", f"{k} die") for k in range(8)], np.ones(8))
    high, low = model.values(["you kill", "you die"])
    assert abs(high) == pytest.approx(1 / math.sqrt(3), abs=1e-4)  # 3/4 and 1/4 of the pool
    assert low == pytest.approx(-3 * high, abs=1e-4)


def test_a_constant_output_and_an_empty_pool_pay_nothing():
    model = trained()
    state = model.state_dict()
    learner_state(state)["network"]["output.weight"] *= 0
    model.load_state_dict(state)
    model._measure()
    assert model.values(["you kill", "you die"]).tolist() == [0.0, 0.0]
    model = RankingModel(SMALL)
    model.learn([(f"{k} kill", "die") for k in range(8)], np.ones(8))
    assert model.refits == 1
    assert model.values(["you kill"]).tolist() == [0.0]
    assert all(map(math.isfinite, model.diagnostics().values()))


def test_an_untrained_network_pays_nothing_and_settles_nothing():
    model = RankingModel({**SMALL, "min_labels": 20})
    captions, _ = tales(19)
    pairs = list(zip(captions, reversed(captions), strict=True))
    model.learn(pairs, better(pairs))
    assert (model.labels, model.refits) == (19, 0)
    assert model.values(captions).tolist() == [0.0] * 19
    assert model.table == {}


def test_a_refit_empties_the_table_and_its_size_is_bounded():
    model = trained(max_table=3)
    values = model.values(list("abcde"))
    assert model.table == dict(zip("cde", values[2:].tolist(), strict=True))
    model.learn([(f"{k}", "x") for k in range(8)], np.ones(8))
    assert model.table == {}


def test_every_tenth_caption_enters_the_pool_however_they_come():
    stream = [str(k) for k in range(100)]
    for size in (1, 3, 10, 17, 100):
        model = RankingModel({**SMALL, "subsample": 10})
        for first in range(0, 100, size):
            model.wanted(stream[first : first + size], 0)
        assert model._pool.captions == stream[::10]


def test_the_pool_keeps_the_newest():
    model = RankingModel({**SMALL, "max_pool": 3})
    model.wanted(list("abcab"), 0)
    assert model._pool.captions == list("cab")


def test_a_distinct_pool_has_each_caption_once():
    model = RankingModel({**SMALL, "max_pool": 3, "distinct": True})
    model.wanted(list("aab"), 0)
    model.wanted(list("ba"), 0)
    assert model._pool.captions == list("ab")
    model.wanted(list("cdd"), 0)
    model.wanted(["a"], 0)
    assert model._pool.captions == list("cda")  # what left may enter again


def test_pairs_are_uniform_over_different_captions():
    pool, rng = Pool(5, False), np.random.default_rng(0)
    pool.add(list("aaabc"))
    pairs = [pair for _ in range(6000) for pair in pool.draw(1, rng, ())]
    drawn = {}
    for pair in pairs:
        drawn[pair] = drawn.get(pair, 0) + 1
    assert len(pairs) == 6000
    weight = {"a": 3, "b": 1, "c": 1}
    total = 3 + 3 + 3 + 3 + 1 + 1
    assert set(drawn) == {(x, y) for x in "abc" for y in "abc" if x != y}
    for (first, second), count in drawn.items():
        share = weight[first] * weight[second] / total
        assert count == pytest.approx(6000 * share, abs=5 * math.sqrt(6000 * share))


def test_pairs_are_few_and_come_now_and_then():
    model = RankingModel({**SMALL, "draw_every": 10})
    assert model.wanted(list("abcde"), 99) == []
    assert len(model.wanted(list("fghij"), 99)) == 10
    assert model.wanted(list("abcde"), 99) == []
    assert model.wanted(list("abcdef"), 0) == []  # no room: put off
    assert len(model.wanted(["a"], 3)) == 3


def test_as_many_pairs_are_drawn_however_captions_come():
    stream = [str(k) for k in range(100)]
    for size in (1, 7, 10, 33, 100):
        model = RankingModel({**SMALL, "draw_every": 10, "pairs_per_draw": 3})
        model._pool.add([f"earlier {k}" for k in range(100)])
        ticks = [stream[first : first + size] for first in range(0, 100, size)]
        assert sum(len(model.wanted(tick, 99)) for tick in ticks) == 30


def test_what_found_no_room_is_drawn_later_up_to_a_bound():
    model = RankingModel({**SMALL, "draw_every": 10, "pairs_per_draw": 3})
    stream = [str(k) for k in range(45)]
    assert [len(model.wanted(stream[:at], 5)) for at in (45, 0, 0)] == [5, 5, 0]
    model.wanted(stream * 100, 0)
    assert len(model.wanted([], 9999)) == 300


def test_known_pairs_are_not_asked_about_again_in_either_order():
    model = RankingModel(SMALL)
    asked = []
    for _ in range(50):
        pairs = model.wanted([*"abcd", "x" * 256, "x" * 300], 99)
        asked += pairs
        model.learn(pairs, np.ones(len(pairs)))
    assert len(asked) == len({frozenset(pair) for pair in asked}) == 10  # of 5 to a network
    assert any(model.wanted(["new"] * 20, 99) for _ in range(5))


def test_in_a_small_world_it_learns_the_few_pairs_that_there_are():
    model = RankingModel({**SMALL, "patience": 50, "min_labels": 100, "gradient_steps": 60})
    captions = ["you kill", "you die", "gold", "a wall"]
    for _ in range(20):
        pairs = model.wanted(captions, 99)
        model.learn(pairs, better(pairs))
    assert model.labels == 6
    assert model.refits == 1
    values = model.values(captions)
    assert values[0] == values.max() > 0


def test_one_caption_makes_no_pair():
    model = RankingModel(SMALL)
    assert model.wanted([], 9) == []
    assert model.wanted(["a"] * 50, 9) == []


def test_a_pair_is_kept_once_with_its_newest_label_and_the_oldest_leave():
    model = RankingModel({**SMALL, "max_labels": 9})
    model.learn([("a", "b"), ("b", "a"), ("a", "b")], np.array([0.5, 0.5, 1.0]))
    assert model.labels == 2
    assert model.diagnostics()["ties"] == 1
    model.learn([(str(k), "x") for k in range(20)], np.ones(20))
    assert model.labels == 9
    assert model.diagnostics()["ties"] == 0


def test_accuracy_is_of_pairs_not_trained_on_yet_and_leaves_ties_out():
    model = trained(gradient_steps=60)
    fresh = RankingModel(model.settings)
    fresh.load_state_dict(model.state_dict())
    fresh._trainer.judged.clear()
    pairs = [(f"{k} you kill", f"{k} you die") for k in range(8)]
    gaps = np.array([np.subtract(*scores(fresh, pair)) for pair in pairs])
    labels = np.array([1.0, 1.0, 0.0, 0.5, 0.5, 1.0, 0.8, 0.2])
    fresh.learn(pairs, labels)
    decided = labels != 0.5
    expected = ((gaps > 0) == (labels > 0.5))[decided].mean()
    assert fresh.diagnostics()["accuracy"] == expected == 4 / 6


def test_diagnostics_have_the_same_finite_entries_before_and_after():
    before, after = RankingModel(SMALL).diagnostics(), trained().diagnostics()
    assert before.keys() == after.keys()
    assert before == dict.fromkeys(before, 0.0)
    assert all(map(math.isfinite, after.values()))
    assert after["pool"] == 80


@pytest.mark.parametrize("distinct", [False, True])
def test_a_restored_model_goes_on_as_if_nothing_had_happened(distinct, assert_same):
    changes = {"max_labels": 30, "subsample": 3, "draw_every": 7, "distinct": distinct}
    model = trained(**changes)
    captions, _ = tales(60, seed=9)
    model.values(captions[:10])
    other = RankingModel({**SMALL, **changes, "seed": 5})
    other.load_state_dict(pickle.loads(pickle.dumps(model.state_dict())))
    refits = model.refits
    for each in (model, other):
        for first in range(0, 60, 4):
            tick = captions[first : first + 4]
            pairs = each.wanted(tick, 8)
            each.learn(pairs, better(pairs))
            each.values(tick)
    assert model.refits > refits
    assert_same(model.state_dict(), other.state_dict())


def test_a_state_of_another_size_is_refused():
    with pytest.raises(ConfigError, match="Use the same embedding, channels, kernel and hidden"):
        RankingModel({**SMALL, "embedding": 9}).load_state_dict(trained().state_dict())


@settings(deadline=None, max_examples=30)
@given(st.lists(ANY_TEXT, max_size=60), st.integers(1, 9), st.integers(0, 12))
def test_any_stream_of_captions_is_taken(stream, size, room):
    bounds = {"max_labels": 10, "max_table": 5, "max_pool": 7, "min_labels": 4}
    model = RankingModel({**SMALL, **bounds, "gradient_steps": 1})
    for first in range(0, len(stream), size):
        captions = stream[first : first + size]
        pairs = model.wanted(captions, room)
        assert len(pairs) <= room
        assert len({frozenset(pair) for pair in pairs}) == len(pairs)
        assert all(len(set(pair)) == 2 for pair in pairs)
        model.learn(pairs, np.full(len(pairs), 0.5))
        values = model.values(list(dict.fromkeys(captions)))
        assert np.isfinite(values).all()
        assert ((values == 0) | (values > -0.5)).all()
        assert model.labels <= 10
        assert len(model.table) <= 5
        assert len(model._pool.captions) <= 7
