import itertools
import math
import pickle

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rewardloom.errors import ConfigError
from rewardloom.rewards.intrinsic.models.base import CaptionModel
from rewardloom.rewards.intrinsic.models.classification import ClassificationModel

SMALL = {
    "embedding": 8,
    "channels": [8, 8, 8],
    "kernel": 3,
    "hidden": [16],
    "batch_size": 16,
    "min_labels": 8,
    "refit_labels": 8,
    "gradient_steps": 4,
}
ANY_TEXT = st.one_of(
    st.text(st.characters(), max_size=300),
    st.sampled_from(["", "\0", "\ud800", "x" * 10_000, "a\0" * 200]),
)


def deeds(count, seed=0):
    """Captions of deeds and their labels; only kills help."""
    rng = np.random.default_rng(seed)
    verbs = np.array(["kill", "see", "miss", "pet"])[rng.integers(0, 4, count)]
    captions = [f"You {verb} the newt {k}." for k, verb in enumerate(verbs, seed * 10_000)]
    return captions, (verbs == "kill").astype(float)


def trained(count=64, **changes):
    model = ClassificationModel({**SMALL, **changes})
    model.learn(*deeds(count))
    return model


def score_by_hand(network, caption, kernels):
    """Compute one caption's score with loops, unpadded: an oracle of the network."""
    part = {name: tensor.numpy().astype(np.float64) for name, tensor in network.items()}
    key = caption.encode("utf-8", "surrogatepass")[:256]
    signal = part["embedding.weight"][np.array(list(key), int)]
    for layer, kernel in enumerate(kernels):
        weight, bias = part[f"convolutions.{layer}.weight"], part[f"convolutions.{layer}.bias"]
        around = np.pad(signal, ((kernel // 2, kernel // 2), (0, 0)))
        signal = np.array(
            [
                np.maximum(np.einsum("ock,kc->o", weight, around[at : at + kernel]) + bias, 0)
                for at in range(len(signal))
            ]
        ).reshape(-1, len(bias))
        if layer < 2:
            windows = [signal[at : at + 3].max(0) for at in range(0, len(signal), 3)]
            signal = np.array(windows).reshape(-1, len(bias))
    features = signal.max(0, initial=0.0)
    for layer in itertools.count():
        if f"hidden.{layer}.weight" not in part:
            break
        weight, bias = part[f"hidden.{layer}.weight"], part[f"hidden.{layer}.bias"]
        features = np.maximum(weight @ features + bias, 0)
    return float(part["output.weight"][0] @ features + part["output.bias"][0])


def probabilities(model, captions):
    network = model.state_dict()["trainer"]["learner"]["network"]
    scores = [score_by_hand(network, caption, (3, 3, 3)) for caption in captions]
    return 1 / (1 + np.exp(-np.array(scores)))


def test_it_is_a_caption_model():
    model = ClassificationModel(SMALL)
    assert isinstance(model, CaptionModel)
    assert model.annotates == "captions"


def test_an_untrained_network_pays_nothing_and_settles_nothing():
    model = ClassificationModel(SMALL)
    captions, labels = deeds(7)
    model.learn(captions, labels)
    assert model.labels == 7
    assert model.refits == 0
    assert model.values(captions).tolist() == [0.0] * 7
    assert model.table == {}
    model.learn(["You kill the jackal!"], np.ones(1))
    assert model.refits == 1
    values = model.values(captions)
    assert model.table == dict(zip(captions, values.tolist(), strict=True))


def test_it_learns_what_the_labels_have_in_common():
    model = ClassificationModel({"min_labels": 200})
    for seed in range(4):
        model.learn(*deeds(200, seed))
    captions, labels = deeds(500, seed=7)
    values = model.values(captions)
    assert set(values.tolist()) == {0.0, 1.0}
    assert (values == labels).mean() > 0.95
    facts = model.diagnostics()
    assert facts["accuracy"] > 0.85
    assert facts["recall"] > 0.5
    assert facts["positive_share"] == values.mean()


@settings(deadline=None, max_examples=40)
@given(st.lists(ANY_TEXT, min_size=1, max_size=8, unique=True), st.sampled_from([0.3, 0.5, 0.6]))
def test_values_are_the_formula_of_the_networks_outputs(captions, eta):
    model = trained(eta=eta)
    p = probabilities(model, captions)
    clear = np.abs(p - eta) > 1e-5
    expected = (p > eta).astype(float)
    np.testing.assert_array_equal(model.values(captions)[clear], expected[clear])


def test_scores_do_not_depend_on_what_stands_beside_a_caption():
    learner = trained()._trainer.learner
    keys = [b"", b"k", b"You kill the newt.", b"x" * 256, b"a\0b" * 30]
    together = learner.scores(keys)
    network = learner.state_dict()["network"]
    for key, score in zip(keys, together, strict=True):
        assert learner.scores([key])[0] == pytest.approx(score, abs=1e-5)
        assert score_by_hand(network, key.decode(), (3, 3, 3)) == pytest.approx(score, abs=1e-5)


def test_a_higher_threshold_pays_a_part_of_the_captions():
    captions, _ = deeds(200, seed=3)
    paid = [trained(eta=eta, gradient_steps=8).values(captions) for eta in (0.0, 0.2, 0.5, 0.9)]
    assert paid[0].all()
    assert all((less <= more).all() for more, less in itertools.pairwise(paid))
    assert paid[3].sum() < paid[1].sum()


def test_labels_are_learned_not_looked_up():
    model = trained(eta=0.999999)
    captions, labels = deeds(64)
    assert labels.any()
    assert not model.values(captions).any()


def test_the_loss_is_the_cross_entropy_to_a_soft_label():
    model = ClassificationModel(
        {**SMALL, "min_labels": 1, "gradient_steps": 1, "dropout": 0.0, "learning_rate": 1e-9}
    )
    p = probabilities(model, ["You kill the newt!"])[0]
    model.learn(["You kill the newt!"], np.array([0.7]))
    expected = -(0.7 * math.log(p) + 0.3 * math.log(1 - p))
    assert model.diagnostics()["loss"] == pytest.approx(expected, abs=1e-5)


def test_it_wants_the_newest_captions_without_a_label_last():
    model = ClassificationModel(SMALL)
    model.learn(["b"], np.zeros(1))
    captions = ["a", "b", "c", "a", "d", "x" * 300, "x" * 301]
    assert model.wanted(captions, 10) == ["c", "a", "d", "x" * 301]
    assert model.wanted(captions, 2) == ["d", "x" * 301]
    assert model.wanted(captions, 0) == []
    assert model.wanted([], 5) == []


def test_it_is_trained_when_enough_labels_are_new():
    model = ClassificationModel(SMALL)
    for count, refits in [(7, 0), (1, 1), (7, 1), (1, 2), (20, 4)]:
        captions = [f"{model.labels + k}" for k in range(count)]
        model.learn(captions, np.zeros(count))
        assert model.refits == refits
    model.learn(captions, np.zeros(20))  # known already
    assert (model.refits, model.labels) == (4, 36)
    model.learn(captions, np.ones(20))  # and 4 were left
    assert (model.refits, model.labels) == (7, 36)
    assert model.diagnostics()["positives"] == 20


def gradient_steps(model):
    optimizer = model.state_dict()["trainer"]["learner"]["optimizer"]
    return int(optimizer["state"][0]["step"])


def test_training_follows_the_labels_whether_they_come_at_once_or_one_by_one():
    captions, labels = deeds(50)
    at_once, one_by_one = ClassificationModel(SMALL), ClassificationModel(SMALL)
    at_once.learn(captions, labels)
    for k in range(50):
        one_by_one.learn(captions[k : k + 1], labels[k : k + 1])
    assert at_once.refits == one_by_one.refits == 1 + (50 - 8) // 8
    assert gradient_steps(at_once) == gradient_steps(one_by_one) == 4 * at_once.refits


def test_it_trains_ten_times_at_once_at_most_and_makes_up_for_the_rest():
    model = ClassificationModel(SMALL)
    model.learn(*deeds(8 + 8 * 24))
    for refits in (10, 20, 25, 25):
        assert model.refits == refits
        model.learn([f"{refits} {model.labels}"], np.zeros(1))


def test_in_a_small_world_it_learns_the_few_labels_that_there_are():
    model = ClassificationModel({**SMALL, "patience": 50})
    assert model.wanted(["a"] * 1000, 9) == ["a"]
    assert model.refits == 0  # nothing to learn
    model.learn(["a"], np.ones(1))
    model.wanted(["a"] * 49, 9)
    model.learn(["b"], np.zeros(1))
    model.wanted(["a"] * 49, 9)
    assert model.refits == 0  # others may be coming
    model.wanted(["b"], 9)
    assert model.refits == 1
    assert model.table == {}
    model.values(["a"])
    assert model.table
    model.wanted(["a"] * 1000, 9)
    assert model.refits == 1
    model.learn(["rare"], np.ones(1))
    assert model.refits == 2
    assert model.table == {}


def test_labels_left_over_are_learned_when_no_more_come():
    model = ClassificationModel({**SMALL, "patience": 50})
    model.learn(*deeds(8))
    model.learn(*deeds(7, seed=1))
    model.wanted(["a"] * 50, 0)
    assert model.refits == 2


def test_a_restored_model_waits_no_longer_than_the_saved_one_would_have(assert_same):
    model = ClassificationModel({**SMALL, "patience": 50})
    model.learn(["a"], np.ones(1))
    model.wanted(["a"] * 30, 9)
    other = ClassificationModel({**SMALL, "patience": 50})
    other.load_state_dict(pickle.loads(pickle.dumps(model.state_dict())))
    for each in (model, other):
        each.wanted(["a"] * 20, 9)
    assert other.refits == 1
    assert_same(model.state_dict(), other.state_dict())


def test_after_many_labels_it_is_trained_less():
    model = trained(8, slow_after=16, max_labels=8)
    assert gradient_steps(model) == 4
    for seed, steps in [(1, 8), (2, 9), (3, 10)]:
        model.learn(*deeds(8, seed=seed))
        assert gradient_steps(model) == steps
    assert model.labels == 8


def test_a_refit_empties_the_table():
    model = trained()
    model.values(["a", "b"])
    model.learn(*deeds(8, seed=1))
    assert model.table == {}


def test_the_table_is_bounded():
    model = trained(max_table=3)
    assert len(model.values(list("abcde"))) == 5
    assert list(model.table) == ["c", "d", "e"]


def test_accuracy_counts_new_captions_before_they_are_learned():
    model = trained(gradient_steps=12, learning_rate=0.01)
    assert model.diagnostics()["accuracy"] == 0.0  # nothing was foretold yet
    captions, labels = deeds(64)
    model.learn(captions, 0.1 + 0.8 * labels)  # known captions say nothing about new ones
    assert model.refits == 16
    assert model.diagnostics()["accuracy"] == 0.0

    model = trained(gradient_steps=12, learning_rate=0.01)
    captions, labels = deeds(40, seed=2)
    foretold = model.values(captions)
    assert set(foretold.tolist()) == {0.0, 1.0}
    wrong = 1 - labels
    wrong[0] = foretold[0]
    model.learn(captions, wrong)
    facts = model.diagnostics()
    assert facts["accuracy"] == pytest.approx((foretold == wrong).mean())
    assert facts["recall"] == pytest.approx(foretold[wrong == 1].mean())
    assert facts["accuracy"] < 1


def test_diagnostics_have_the_same_finite_entries_before_and_after():
    before, after = ClassificationModel(SMALL).diagnostics(), trained().diagnostics()
    assert before.keys() == after.keys()
    assert before == dict.fromkeys(before, 0.0)
    assert all(map(math.isfinite, after.values()))
    assert (after["labels"], after["refits"]) == (64, 8)


def test_a_restored_model_goes_on_as_if_nothing_had_happened(assert_same):
    captions, _ = deeds(50, seed=9)
    model = trained(70, max_labels=40)
    model.values(captions[:10])
    model.learn(*deeds(5, seed=4))  # some labels that were not trained on yet
    other = ClassificationModel({**SMALL, "max_labels": 40, "seed": 5})
    other.load_state_dict(pickle.loads(pickle.dumps(model.state_dict())))
    for each in (model, other):
        for seed in (5, 6):
            each.learn(*deeds(9, seed=seed))
            each.values(captions)
    assert model.refits == 11
    assert_same(model.state_dict(), other.state_dict())


def test_a_saved_state_does_not_change_any_more(assert_same):
    model = trained()
    state = model.state_dict()
    copy = pickle.loads(pickle.dumps(state))
    model.learn(*deeds(30, seed=1))
    model.values(["a"])
    assert_same(state, copy)


def test_a_loaded_state_does_not_change_any_more(assert_same):
    state = trained().state_dict()
    copy = pickle.loads(pickle.dumps(state))
    model = ClassificationModel(SMALL)
    model.load_state_dict(state)
    model.learn(*deeds(30, seed=1))
    model.values(["a"])
    assert model.refits == 11
    assert_same(state, copy)


def test_a_state_of_another_size_is_refused():
    with pytest.raises(ConfigError, match="Use the same embedding, channels, kernel and hidden"):
        ClassificationModel({**SMALL, "hidden": [17]}).load_state_dict(trained().state_dict())


def test_equal_seeds_are_equal_and_nobody_elses_random_numbers_are_drawn(assert_same):
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    states = [trained(seed=seed).state_dict() for seed in (1, 1, 2)]
    assert torch.rand(1) == expected
    assert_same(states[0], states[1])
    weights = [state["trainer"]["learner"]["network"]["output.weight"] for state in states]
    assert not torch.equal(weights[0], weights[2])


@pytest.mark.parametrize("labels", [[0.5, 2.0], [math.nan, 0.0], [1.0]])
def test_labels_that_are_none_are_refused(labels):
    model = ClassificationModel(SMALL)
    with pytest.raises(ConfigError, match="Need 2 labels"):
        model.learn(["a", "b"], np.array(labels))
    assert model.labels == 0


@settings(deadline=None, max_examples=30)
@given(st.lists(st.tuples(ANY_TEXT, st.floats(0, 1)), max_size=40), st.integers(1, 10))
def test_any_stream_of_captions_is_taken(stream, size):
    bounds = {"max_labels": 10, "max_table": 5, "gradient_steps": 1, "min_labels": 4}
    model = ClassificationModel({**SMALL, **bounds})
    for first in range(0, len(stream), size):
        captions, labels = zip(*stream[first : first + size], strict=True)
        wanted = model.wanted(captions, 3)
        assert len(wanted) <= 3
        assert set(wanted) <= set(captions)
        model.learn(captions, np.array(labels))
        assert not set(model.wanted(captions, 99)) & set(captions[-1:])
        values = model.values(list(dict.fromkeys(captions)))
        assert np.isin(values, (0.0, 1.0)).all()
        assert model.labels <= 10
        assert len(model.table) <= 5
