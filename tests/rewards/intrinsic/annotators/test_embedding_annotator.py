"""Labels by nearness of embeddings, with an encoder whose cosines can be worked out by hand."""

import math
import sys

import numpy as np
import pytest

from rewardloom.errors import ConfigError, MissingDependency
from rewardloom.rewards.intrinsic.annotators import (
    Annotator,
    Comparer,
    EmbeddingAnnotator,
    Goal,
    sentence_encoder,
)

WORDS = ["take", "key", "open", "door", "bump", "wall"]
DOOR = Goal("door", "open door", helpful=("take key", "open door"), unhelpful=("bump wall",))


def bag_of_words(texts):
    """One axis a word; a text of other words is zero."""
    return [[text.split().count(word) for word in WORDS] for text in texts]


def test_a_threshold_is_on_the_cosine_to_the_description():
    annotator = EmbeddingAnnotator(DOOR, bag_of_words, threshold=0.49)
    captions = ["open door", "open wall", "take key door", "bump wall", "else", ""]
    expected = [1.0, 0.5, 1 / math.sqrt(6), 0.0, 0.0, 0.0]
    assert annotator.scores(captions) == pytest.approx(expected)
    labels = annotator.label(captions)
    assert labels.dtype == np.float64
    assert labels.tolist() == [1, 1, 0, 0, 0, 0]


def test_without_one_the_nearest_examples_decide():
    annotator = EmbeddingAnnotator(DOOR, bag_of_words)
    captions = ["take key", "open door door", "bump door", "bump wall", "else"]
    expected = [1.0, 3 / math.sqrt(10), 0.0, -1.0, 0.0]
    assert annotator.scores(captions) == pytest.approx(expected)
    assert annotator.label(captions).tolist() == [1, 1, 0, 0, 0]
    strict = EmbeddingAnnotator(DOOR, bag_of_words, margin=0.95)
    assert strict.label(captions).tolist() == [1, 0, 0, 0, 0]


def test_compares_by_the_higher_score_and_ties_within_what_encoders_are_exact_to():
    annotator = EmbeddingAnnotator(DOOR, bag_of_words)
    pairs = [("take key", "bump wall"), ("bump wall", "take key"), ("take key", "open door")]
    assert annotator.compare(pairs).tolist() == [1, 0, 0.5]
    assert annotator.compare([("", "else")]).tolist() == [0.5]


def test_scores_that_differ_by_rounding_only_tie():
    def rounded(texts):
        return [[1.0, 1e-8 * len(text)] for text in texts]

    annotator = EmbeddingAnnotator(DOOR, rounded, threshold=0.5)
    assert annotator.compare([("a", "a" * 10_000)]).tolist() == [0.5]
    assert annotator.compare([("a", "a" * 1_000_000)]).tolist() == [1.0]


def test_a_blank_caption_is_near_nothing_whatever_the_encoder_says():
    annotator = EmbeddingAnnotator(DOOR, lambda texts: np.ones((len(texts), 3)), threshold=0.5)
    assert annotator.label(["a", "", " \n"]).tolist() == [1, 0, 0]


def test_length_of_a_caption_does_not_count():
    annotator = EmbeddingAnnotator(DOOR, bag_of_words, threshold=0.99)
    assert annotator.label(["open door " * 50]).tolist() == [1]


def test_keeps_the_protocols_and_takes_nothing():
    annotator = EmbeddingAnnotator("gold", bag_of_words, threshold=0.5, encoder_name="bow")
    assert isinstance(annotator, Annotator)
    assert isinstance(annotator, Comparer)
    assert annotator.name == "embedding:bow:gold"
    assert annotator.label([]).shape == annotator.compare([]).shape == (0,)
    others = [EmbeddingAnnotator("gold", bag_of_words, threshold=t) for t in (None, 0.4, 0.5)]
    assert len({other.version for other in others}) == 3
    assert annotator.version == others[2].version


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"goal": "gould"}, "Did you mean 'gold'"),
        ({"threshold": 1.5}, "threshold must be a cosine"),
        ({"threshold": True}, "threshold must be a cosine"),
        ({"margin": 3}, "margin must be a difference"),
        ({"margin": 0.1, "threshold": 0.1}, "margin is for examples"),
        ({"encoder": None}, "encoder must be a function or a folder"),
        ({"encoder": "no/such/folder"}, "There is no folder 'no/such/folder'"),
        ({"goal": Goal("bare", "Open doors.")}, "has no helpful and unhelpful examples"),
        ({"encoder": lambda texts: [1.0] * len(texts)}, r"a \(2, d\) array.*got shape \(2,\)"),
        ({"encoder": lambda texts: np.full((len(texts), 2), np.nan)}, "of finite numbers"),
        ({"encoder": lambda texts: np.ones((1, 2))}, r"for 2 texts, got shape \(1, 2\)"),
    ],
)
def test_refuses_what_does_not_fit(arguments, message):
    with pytest.raises(ConfigError, match=message):
        EmbeddingAnnotator(**{"goal": DOOR, "encoder": bag_of_words, **arguments})


def test_a_missing_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    with pytest.raises(MissingDependency, match=r"pip install 'rewardloom\[embed\]'"):
        sentence_encoder(tmp_path)


class FakeTransformer:
    made = None

    def __init__(self, path, device, local_files_only):
        FakeTransformer.made = (path, device, local_files_only)

    def encode(self, texts, batch_size, show_progress_bar):
        assert all(text.encode() is not None for text in texts)
        assert not show_progress_bar
        return np.array(bag_of_words(texts), np.float32)


def test_a_folder_is_loaded_without_fetching_anything(tmp_path, monkeypatch):
    from types import SimpleNamespace

    module = SimpleNamespace(SentenceTransformer=FakeTransformer)
    monkeypatch.setitem(sys.modules, "sentence_transformers", module)
    folder = tmp_path / "mini"
    folder.mkdir()
    annotator = EmbeddingAnnotator(DOOR, folder)
    assert FakeTransformer.made == (str(folder), "cpu", True)
    assert annotator.name == "embedding:mini:door"
    assert annotator.label(["take key", "bump wall", "a\ud800b"]).tolist() == [1, 0, 0]
    sentence_encoder("some-model", download=True)
    assert FakeTransformer.made == ("some-model", "cpu", False)
