"""Counts of keys against a plain counter, and by hand."""

import copy
import pickle
from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from rewardloom.rewards.visits import Visits

BATCHES = st.lists(st.lists(st.integers(0, 5).map(lambda n: bytes([n])), max_size=8), max_size=8)


def test_a_batch_is_counted_before_any_of_it_is_read():
    visits = Visits()
    assert visits.visit([b"x", b"y", b"x"]).tolist() == [2, 1, 2]
    assert visits.visit([b"z", b"x"]).tolist() == [1, 3]
    assert visits.look([b"x", b"new", b"y"]).tolist() == [3, 0, 1]
    assert (visits.keys, visits.counts.tolist()) == ([b"x", b"y", b"z"], [3, 1, 1])


def test_keys_in_order_see_only_those_before_them():
    visits = Visits([b"x"], [4])
    assert visits.visit_in_order([b"y", b"x", b"x", b"y", b"x"]).tolist() == [1, 5, 6, 2, 7]
    assert visits.counts.tolist() == [7, 2]


@given(BATCHES, st.booleans())
def test_it_is_a_counter(batches, in_order):
    visits, counter = Visits(), Counter()
    for keys in batches:
        if in_order:
            expected = []
            for key in keys:
                counter[key] += 1
                expected.append(counter[key])
            assert visits.visit_in_order(keys).tolist() == expected
        else:
            counter.update(keys)
            assert visits.visit(keys).tolist() == [counter[key] for key in keys]
    assert dict(zip(visits.keys, visits.counts.tolist(), strict=True)) == counter
    assert list(counter) == visits.keys


def test_copies_go_on_by_themselves():
    visits = Visits()
    visits.visit([b"x", b"y"])
    for again in (copy.deepcopy(visits), pickle.loads(pickle.dumps(visits))):
        assert again.visit([b"y", b"z", b"z"]).tolist() == [2, 2, 2]
        assert again.keys == [b"x", b"y", b"z"]
    assert visits.counts.tolist() == [1, 1]
    assert np.array_equal(visits.look([b"z"]), [0])
