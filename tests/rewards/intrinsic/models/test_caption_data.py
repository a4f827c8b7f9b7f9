import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rewardloom.errors import ConfigError
from rewardloom.rewards.intrinsic.models.caption_data import (
    PAD,
    Labels,
    caption_key,
    checked_labels,
    padded,
    remember,
)

ANY_TEXT = st.text(st.characters(), max_size=400)  # lone surrogates and NUL included


def test_a_caption_is_its_first_256_bytes():
    assert caption_key("You see here 5 gold pieces.") == b"You see here 5 gold pieces."
    assert caption_key("x" * 10_000) == b"x" * 256
    assert caption_key("é" * 200) == ("é" * 128).encode()
    assert caption_key("aé" * 200) == ("aé" * 200).encode()[:256]


def test_what_is_no_text_elsewhere_is_one_here():
    assert caption_key("") == b""
    assert caption_key("a\0b") == b"a\0b"
    assert caption_key("\ud800") == b"\xed\xa0\x80"


@given(ANY_TEXT)
def test_no_caption_has_the_byte_of_padding(caption):
    key = caption_key(caption)
    assert len(key) <= 256
    assert PAD not in key


@given(st.lists(ANY_TEXT, min_size=1, max_size=5))
def test_padding_keeps_every_byte_and_fills_the_rest(captions):
    keys = [caption_key(caption) for caption in captions]
    rows = padded(keys)
    assert rows.shape[1] % 32 == 0
    assert rows.shape[1] < max(map(len, keys)) + 33
    for key, row in zip(keys, rows, strict=True):
        assert row[: len(key)].tobytes() == key
        assert (row[len(key) :] == PAD).all()


def test_nothing_to_pad_has_a_shape_too():
    assert padded([]).shape == (0, 32)


@pytest.mark.parametrize("labels", [[0.5], [0.0, 1.1], [0.0, -0.1], [0.0, np.nan], [[0.0, 1.0]]])
def test_labels_are_one_number_between_0_and_1_for_each_item(labels):
    with pytest.raises(ConfigError, match="Need 2 labels"):
        checked_labels(2, np.array(labels))


def test_the_table_keeps_the_newest():
    table = {"a": 1.0, "b": 2.0}
    remember(table, ["c", "d"], np.array([3.0, 4.0]), 3)
    assert table == {"b": 2.0, "c": 3.0, "d": 4.0}
    remember(table, ["e", "f", "g", "h"], np.arange(4.0), 3)
    assert list(table) == ["f", "g", "h"]


def key(number):
    return (b"%d" % number,)


def test_a_new_label_of_a_caption_replaces_the_old_one():
    store = Labels(3)
    assert store.add(key(1), 0.0)
    assert not store.add(key(1), 0.0)
    assert store.add(key(1), 1.0)
    assert len(store) == 1
    assert store.array().tolist() == [1.0]


@given(st.lists(st.tuples(st.integers(0, 9), st.sampled_from([0.0, 0.5, 1.0])), max_size=60))
def test_labels_are_the_newest_of_the_latest_captions(stream):
    store = Labels(4)
    expected = {}
    for number, label in stream:
        store.add(key(number), label)
        expected[key(number)] = label  # a known caption keeps its place
        if len(expected) > 4:
            del expected[next(iter(expected))]
    assert dict(zip(store.keys, store.array().tolist(), strict=True)) == expected
    assert all((key(number) in store) == (key(number) in expected) for number in range(10))


@pytest.mark.parametrize(("limit", "kept"), [(4, [4, 5, 2, 3]), (2, [4, 5]), (9, [2, 3, 4, 5])])
def test_a_restored_store_keeps_its_rows_or_the_newest(limit, kept):
    store, other = Labels(4), Labels(limit)
    for number in range(6):
        store.add(key(number), number / 10)
    other.load_state_dict(store.state_dict())
    assert other.keys == [key(number) for number in kept]
    assert other.array().tolist() == [number / 10 for number in kept]
    other.add(key(7), 0.7)
    assert (key(kept[0] if limit == 2 else 2) in other) == (limit == 9)
