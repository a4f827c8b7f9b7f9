"""Functions as annotators, annotators made worse, and answers given for other captions."""

import copy
import json
import pickle
import threading
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rewardloom.errors import ConfigError
from rewardloom.rewards import IntrinsicDesign
from rewardloom.rewards.intrinsic.annotators import (
    Annotator,
    CachedAnnotator,
    CallableAnnotator,
    Comparer,
    LexiconAnnotator,
    NoisyAnnotator,
    ShuffledAnnotator,
    checks,
    shuffled,
)

MANY = [f"caption {number}" for number in range(4000)]


def number_of(caption):
    return int(caption.split()[-1])


class Numbers:
    """Calls every fourth caption helpful; of two, the one of the higher number is ahead."""

    name, version = "numbers", "1"
    available = True

    def __init__(self):
        self.asked = []
        self.closed = 0

    def label(self, captions):
        self.asked.append(list(captions))
        return np.array([number_of(c) % 4 == 0 for c in captions], float)

    def compare(self, pairs):
        return np.array([(np.sign(number_of(a) - number_of(b)) + 1) / 2 for a, b in pairs], float)

    def metrics(self):
        return {"requests": float(len(self.asked))}

    def close(self):
        self.closed += 1


class OnlyLabels:
    name, version = "only", "1"

    def label(self, captions):
        return np.zeros(len(captions))


def only_labels():
    return OnlyLabels()


STAND_INS = [NoisyAnnotator, ShuffledAnnotator]


def test_a_function_labels_by_truth_values_numbers_or_nothing():
    answers = {"a": True, "b": 0, "c": 0.25, "d": None}
    annotator = CallableAnnotator(lambda captions: [answers[c] for c in captions], "mine", "7")
    assert isinstance(annotator, Annotator)
    assert (annotator.name, annotator.version) == ("mine", "7")
    np.testing.assert_array_equal(annotator.label("abcd"), [1, 0, 0.25, np.nan])


def test_a_function_compares_if_there_is_one():
    longer = CallableAnnotator(
        lambda captions: [0] * len(captions), "long", compare=lambda ps: [len(a) > 1 for a, _ in ps]
    )
    assert longer.compare([("aa", "b"), ("a", "bb")]).tolist() == [1, 0]
    with pytest.raises(ConfigError, match="'long' was given no function to compare with"):
        CallableAnnotator(lambda captions: [], "long").compare([])


def test_a_function_is_not_asked_about_nothing():
    def longest(captions):
        return np.char.str_len(np.array(captions)) / max(map(len, captions))

    def longer(pairs):
        lengths = np.char.str_len(np.array(pairs))
        return (lengths[:, 0] > lengths[:, 1]).astype(float)

    annotator = CallableAnnotator(longest, "long", compare=longer)
    assert annotator.label([]).shape == annotator.compare([]).shape == (0,)
    assert annotator.compare([("aa", "b"), ("a", "bb")]).tolist() == [1, 0]
    IntrinsicDesign(model="ranking", annotator=annotator)  # asks about no pair, to see if it can


@pytest.mark.parametrize("answer", [[1], [1, 2], [1, -0.1], ["yes", "no"], None, [[1, 0]]])
def test_a_functions_answers_are_checked(answer):
    annotator = CallableAnnotator(lambda captions: answer, "mine", compare=lambda pairs: answer)
    with pytest.raises(ConfigError, match=r"'mine' must return a number in \[0, 1\].*2 items"):
        annotator.label(["a", "b"])
    with pytest.raises(ConfigError, match="'mine' must return"):
        annotator.compare([("a", "b"), ("c", "d")])


@pytest.mark.parametrize("arguments", [("label", "mine"), (len, ""), (len, "mine", 1)])
def test_refuses_functions_and_names_that_are_none(arguments):
    with pytest.raises(ConfigError, match="must be"):
        CallableAnnotator(*arguments)


def test_noise_flips_and_drops_the_stated_shares():
    plain = Numbers().label(MANY)
    flipped = NoisyAnnotator(Numbers(), flip=0.2).label(MANY)
    assert np.mean(flipped != plain) == pytest.approx(0.2, abs=0.02)
    dropped = NoisyAnnotator(Numbers(), drop=0.3).label(MANY)
    assert np.isnan(dropped).mean() == pytest.approx(0.3, abs=0.02)
    kept = ~np.isnan(dropped)
    np.testing.assert_array_equal(dropped[kept], plain[kept])
    both = NoisyAnnotator(Numbers(), flip=0.5, drop=0.5).label(MANY)
    kept = ~np.isnan(both)
    assert np.mean(both[kept] != plain[kept]) == pytest.approx(0.5, abs=0.04)  # not the same ones


def test_noise_depends_on_the_caption_and_the_seed_only():
    one = NoisyAnnotator(Numbers(), flip=0.3, drop=0.3, seed=1)
    two = NoisyAnnotator(Numbers(), flip=0.3, drop=0.3, seed=1)
    order = np.random.default_rng(0).permutation(len(MANY))
    mixed = two.label([MANY[i] for i in order])
    np.testing.assert_array_equal(one.label(MANY)[order], mixed)
    np.testing.assert_array_equal(one.label(MANY), one.label(MANY))
    other = NoisyAnnotator(Numbers(), flip=0.3, drop=0.3, seed=2)
    assert not np.array_equal(other.label(MANY), one.label(MANY), equal_nan=True)


def test_noise_turns_soft_labels_and_comparisons_round():
    soft = CallableAnnotator(lambda captions: [0.25] * len(captions), "soft")
    assert NoisyAnnotator(soft, flip=1.0).label(["a\ud800"]).tolist() == [0.75]
    pairs = [("x 2", "x 1"), ("x 1", "x 2"), ("x 1", "x 1")]
    assert NoisyAnnotator(Numbers(), flip=1.0).compare(pairs).tolist() == [0, 1, 0.5]
    assert np.isnan(NoisyAnnotator(Numbers(), drop=1.0).compare(pairs)).all()


def test_latency_is_waited_for_once_a_call_and_close_ends_it():
    slow = NoisyAnnotator(Numbers(), latency=0.05)
    started = time.monotonic()
    slow.label(MANY[:100])
    slow.label([])
    assert time.monotonic() - started >= 0.05
    endless = NoisyAnnotator(Numbers(), latency=60)
    asking = threading.Thread(target=endless.label, args=(MANY[:2],))
    asking.start()
    time.sleep(0.02)
    endless.close()
    asking.join(2)
    assert not asking.is_alive()
    again = threading.Thread(target=endless.label, args=(MANY[:2],))
    again.start()
    time.sleep(0.02)
    assert again.is_alive()  # a call after close waits as before
    endless.close()
    again.join(2)


def mixed(captions, seed=0, **kwargs):
    return ShuffledAnnotator(Numbers(), seed, **kwargs).label(captions)


def test_shuffling_keeps_the_share_of_helpful_captions():
    for seed in range(3):
        assert mixed(MANY, seed).mean() == pytest.approx(0.25, abs=0.012)


def test_shuffling_destroys_the_pairing():
    plain = Numbers().label(MANY)
    for seed in range(3):
        assert abs(np.corrcoef(plain, mixed(MANY, seed))[0, 1]) < 0.06


def test_shuffling_destroys_it_where_neighbors_share_their_label():
    blocks = CallableAnnotator(lambda cs: [number_of(c) // 20 % 2 for c in cs], "blocks")
    plain = blocks.label(MANY)
    labels = ShuffledAnnotator(blocks).label(MANY)
    assert labels.mean() == pytest.approx(0.5, abs=0.02)
    assert abs(np.corrcoef(plain, labels)[0, 1]) < 0.1


def test_every_caption_but_the_last_64_and_first_ones_is_partner_once():
    base = Numbers()
    ShuffledAnnotator(base).label(MANY)
    asked = [caption for call in base.asked for caption in call]
    assert len(asked) == len(set(asked))  # distinct, as the protocol wants
    assert len(set(MANY) - set(asked)) == 64


def test_a_caption_keeps_its_label_for_good():
    annotator = ShuffledAnnotator(Numbers(), 3)
    first = annotator.label(MANY[:500])
    annotator.label(MANY[500:])
    np.testing.assert_array_equal(annotator.label(MANY[:500]), first)


def test_labels_depend_on_the_order_and_the_seed_not_on_the_batches():
    whole = mixed(MANY[:300], 5)
    annotator = ShuffledAnnotator(Numbers(), 5)
    parts = [annotator.label(MANY[i : min(i + 7, 300)]) for i in range(0, 300, 7)]
    np.testing.assert_array_equal(np.concatenate(parts), whole)
    assert not np.array_equal(mixed(MANY[:300], 6), whole)


def test_comparisons_are_between_the_partners():
    annotator = ShuffledAnnotator(Numbers(), 1)
    annotator.label(MANY[:200])
    partner = annotator._partners
    pairs = list(zip(MANY[:100], MANY[100:200], strict=True))
    expected = Numbers().compare([(partner[a], partner[b]) for a, b in pairs])
    assert annotator.compare(pairs).tolist() == expected.tolist()
    mirrored = annotator.compare([(b, a) for a, b in pairs])
    np.testing.assert_array_equal(mirrored, 1 - expected)
    assert annotator.compare([(MANY[0], MANY[0])]).tolist() == [0.5]
    ahead = annotator.compare([(MANY[i], MANY[i + 1]) for i in range(200, 1200)])
    assert ahead.mean() > 0.25  # plainly it is 0 everywhere: the next one has the higher number


@given(st.sets(st.integers(0, 10_000), min_size=2, max_size=30), st.integers(0, 5))
def test_with_all_captions_known_the_labels_are_exactly_permuted(numbers, seed):
    captions = [f"caption {number}" for number in numbers]
    annotator = ShuffledAnnotator(Numbers(), seed, captions)
    labels = annotator.label(captions)
    assert sorted(labels) == sorted(Numbers().label(captions))
    assert all(annotator._partners[caption] != caption for caption in captions)
    again = ShuffledAnnotator(Numbers(), seed, captions[::-1]).label(captions[::-1])
    np.testing.assert_array_equal(again, labels[::-1])  # no matter who is asked about first


def test_captions_beside_the_known_ones_get_one_of_them_whatever_the_order():
    base = Numbers()
    annotator = ShuffledAnnotator(base, 0, MANY[:4])
    others = annotator.label(MANY[4:])
    assert set().union(*base.asked) == set(MANY[:4])
    assert others.mean() == pytest.approx(0.25, abs=0.02)
    again = ShuffledAnnotator(Numbers(), 0, MANY[:4]).label(MANY[:3:-1])
    np.testing.assert_array_equal(again[::-1], others)
    assert not np.array_equal(ShuffledAnnotator(Numbers(), 1, MANY[:4]).label(MANY[4:]), others)
    assert annotator.version != ShuffledAnnotator(Numbers(), 0).version
    assert annotator.version != ShuffledAnnotator(Numbers(), 0, MANY[:5]).version


def wrapped_in_everything(path):
    """An urn below another one, each with noise before it."""
    inner = ShuffledAnnotator(CachedAnnotator(Numbers(), path), 2)
    return NoisyAnnotator(ShuffledAnnotator(NoisyAnnotator(inner, flip=0.1), 1), flip=0.2)


@pytest.mark.parametrize("kind", ["urn", "wrapped"])
def test_restored_it_gives_the_partners_that_it_would_have_given(kind, tmp_path):
    def made(seed):
        if kind == "urn":
            return ShuffledAnnotator(Numbers(), seed)
        return wrapped_in_everything(tmp_path / "labels.jsonl")

    whole = made(3)
    first = whole.label(MANY[:200])
    state = json.loads(json.dumps(checks.state_of(whole)))
    expected = whole.label(MANY[200:500])
    assert checks.state_of(whole) != state  # which did not go on with the annotator
    resumed = made(3)
    checks.restore(resumed, state)
    pairs = list(zip(MANY[:100], MANY[100:200], strict=True))
    np.testing.assert_array_equal(resumed.compare(pairs), whole.compare(pairs))
    np.testing.assert_array_equal(resumed.label(MANY[200:500]), expected)
    np.testing.assert_array_equal(resumed.label(MANY[:200]), first)
    assert checks.state_of(resumed) == checks.state_of(whole)


def test_annotators_without_a_state_have_none_to_restore():
    lexicon = LexiconAnnotator()
    assert checks.state_of(lexicon) is None
    checks.restore(lexicon, {"urn": []})
    annotator = ShuffledAnnotator(Numbers())
    checks.restore(annotator, None)
    assert annotator.label(["caption 4"]).tolist() == [1]


@pytest.mark.parametrize(
    "wrap",
    [
        ShuffledAnnotator,
        lambda base: NoisyAnnotator(ShuffledAnnotator(base), flip=0.1),
        lambda base: ShuffledAnnotator(ShuffledAnnotator(base), 0, MANY[:9]),
    ],
)
def test_a_cache_before_an_urn_is_refused_since_the_next_run_would_contradict_it(wrap, tmp_path):
    path = tmp_path / "labels.jsonl"
    with pytest.raises(ConfigError, match=r"order of the captions.*Put the cache inside.*list"):
        CachedAnnotator(wrap(Numbers()), path)
    assert wrap(CachedAnnotator(Numbers(), path)).label(["caption 4"]).shape == (1,)


def test_a_cache_before_listed_captions_agrees_with_any_run(tmp_path):
    fixed = CachedAnnotator(ShuffledAnnotator(Numbers(), 0, MANY[:50]), tmp_path / "labels.jsonl")
    labels = fixed.label(MANY[:100]).tolist()
    later = CachedAnnotator(ShuffledAnnotator(Numbers(), 0, MANY[:50]), tmp_path / "other.jsonl")
    assert later.label(MANY[99::-1]).tolist() == labels[::-1]


def test_no_answer_of_the_partner_is_no_answer():
    nothing = CallableAnnotator(lambda captions: [None] * len(captions), "nothing")
    annotator = ShuffledAnnotator(nothing)
    assert np.isnan(annotator.label(["a", "b"])).all()


def test_partners_are_forgotten_before_memory_is_full(monkeypatch):
    monkeypatch.setattr(shuffled, "_MOST_PARTNERS", 100)
    annotator = ShuffledAnnotator(Numbers())
    annotator.label(MANY)
    assert len(annotator._partners) == 100


@pytest.mark.parametrize("kind", STAND_INS)
def test_they_stand_for_their_base(kind):
    base = Numbers()
    annotator = kind(base, seed=3)
    assert isinstance(annotator, Annotator)
    assert isinstance(annotator, Comparer)
    assert annotator.name.endswith(":numbers")
    assert annotator.version != kind(base, seed=4).version
    annotator.label(["caption 1"])
    assert annotator.metrics() == {"requests": 1}
    assert annotator.available
    base.available = False
    assert not annotator.available
    annotator.close()
    assert base.closed == 1
    for other in (pickle.loads(pickle.dumps(annotator)), copy.deepcopy(annotator)):
        np.testing.assert_array_equal(other.label(MANY), annotator.label(MANY))
    assert annotator.label([]).shape == annotator.compare([]).shape == (0,)
    kind(LexiconAnnotator()).close()


@pytest.mark.parametrize("kind", STAND_INS)
def test_they_refuse_what_does_not_fit(kind):
    with pytest.raises(ConfigError, match="must have name, version and label"):
        kind(print)
    with pytest.raises(ConfigError, match="seed must be an integer"):
        kind(Numbers(), seed=-1)
    with pytest.raises(ConfigError, match="'only' labels captions but has no compare"):
        kind(only_labels()).compare([])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"flip": 1.1}, r"flip must be in \[0, 1\]"),
        ({"drop": float("nan")}, r"drop must be in \[0, 1\]"),
        ({"flip": True}, r"flip must be in \[0, 1\]"),
        ({"latency": -1}, "latency must be a finite number >= 0"),
    ],
)
def test_noise_out_of_range_is_refused(arguments, message):
    with pytest.raises(ConfigError, match=message):
        NoisyAnnotator(Numbers(), **arguments)


@pytest.mark.parametrize("captions", ["a wall", [1, 2], []])
def test_known_captions_must_be_texts(captions):
    with pytest.raises(ConfigError, match="captions must be a list of texts"):
        ShuffledAnnotator(Numbers(), captions=captions)
