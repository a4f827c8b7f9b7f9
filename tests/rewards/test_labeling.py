"""Annotating at once and in the background: order, bounds, faults, and an end without leftovers."""

import ctypes
import gc
import multiprocessing
import pickle
import threading
import time

import numpy as np
import pytest

from rewardloom.errors import ConfigError
from rewardloom.rewards.intrinsic.background import BackgroundLabeler
from rewardloom.rewards.intrinsic.labeling import ImmediateLabeler, Source

NAN = float("nan")


class Gate:
    """An annotator that answers 1.0 to everything, once it is let."""

    name = "gate"

    def __init__(self, open_=True):
        self.asked = []
        self.started = threading.Event()
        self.opened = threading.Event()
        if open_:
            self.opened.set()

    def label(self, items):
        self.asked.append(list(items))
        self.started.set()
        self.opened.wait(10)
        return np.ones(len(items))


def annotator_threads():
    return [t for t in threading.enumerate() if t.name == "rewardloom-annotator"]


@pytest.fixture(autouse=True)
def _no_thread_is_left():
    yield
    gc.collect()
    deadline = time.monotonic() + 5
    while annotator_threads() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not annotator_threads()


@pytest.fixture
def labelers():
    made = []

    def make(ask, available=None, name="", **kwargs):
        source = Source(ask, name)
        if available is not None:
            source = source._replace(available=available)
        made.append(BackgroundLabeler(source, **kwargs))
        return made[-1]

    yield make
    for labeler in made:
        labeler.close()


def arrive(labeler, count, seconds=5):
    """Collect until `count` items have come."""
    items, labels, deadline = [], [], time.monotonic() + seconds
    while len(items) < count and time.monotonic() < deadline:
        new, values = labeler.collect()
        items += new
        labels += values.tolist()
        time.sleep(0.002)
    assert len(items) == count
    return dict(zip(items, labels, strict=True))


def test_at_once_answers_once_and_gives_up_after_some_tries():
    asked = []

    def ask(items):
        asked.append(list(items))
        return np.array([NAN if item == "?" else 0.25 for item in items])

    labeler = ImmediateLabeler(Source(ask), max_tries=2)
    labeler.submit(["a", "?", "a"])
    assert labeler.arrived
    items, labels = labeler.collect()
    assert (items, labels.tolist()) == (["a"], [0.25])
    assert not labeler.arrived
    labeler.submit(["?"])
    labeler.submit(["?"])
    assert asked == [["a", "?"], ["?"]]
    assert labeler.metrics() == {"answered": 1, "unanswered": 2, "given_up": 1}


def test_the_newest_are_asked_first_and_the_oldest_dropped(labelers):
    gate = Gate(open_=False)
    labeler = labelers(gate.label, batch_size=2, max_pending=4)
    labeler.submit(["first"])
    assert gate.started.wait(5)
    labeler.submit(["a", "b", "c"])
    labeler.submit(["d", "e", "c"])  # c waits already
    assert (labeler.pending, labeler.room) == (5, 0)
    gate.opened.set()
    assert set(arrive(labeler, 5)) == {"first", "b", "c", "d", "e"}
    assert gate.asked == [["first"], ["e", "d"], ["c", "b"]]
    assert labeler.metrics()["dropped"] == 1
    labeler.submit(["a"])  # what was dropped may come again
    assert set(arrive(labeler, 1)) == {"a"}


def test_items_in_flight_are_not_asked_twice(labelers):
    gate = Gate(open_=False)
    labeler = labelers(gate.label)
    labeler.submit(["a"])
    assert gate.started.wait(5)
    for _ in range(3):
        labeler.submit(["a"])
    gate.opened.set()
    assert labeler.wait(5)
    labeler.submit(["a"])  # answered, but not collected
    arrive(labeler, 1)
    assert gate.asked == [["a"]]


def test_submitting_and_collecting_never_wait(labelers):
    gate = Gate(open_=False)
    labeler = labelers(gate.label)
    labeler.submit(["a"])
    assert gate.started.wait(5)
    began = time.perf_counter()
    for index in range(200):
        labeler.submit([f"b{index}"])
        assert not labeler.arrived
    assert time.perf_counter() - began < 2  # the annotator hangs for ten
    gate.opened.set()


def test_no_answer_is_retried_when_submitted_again_then_given_up(labelers):
    labeler = labelers(lambda items: np.full(len(items), NAN), max_tries=2)
    for _ in range(3):
        labeler.submit(["a"])
        assert labeler.wait(5)
    assert not labeler.arrived
    assert labeler.metrics()["unanswered"] == 2
    assert labeler.metrics()["given_up"] == 1


class Away:
    """An annotator that has no answers while it is away, and says so."""

    def __init__(self):
        self.here = False
        self.asked = 0

    def available(self):
        return self.here

    def label(self, items):
        self.asked += 1
        return np.ones(len(items)) if self.here else np.full(len(items), NAN)


def test_while_the_annotator_is_away_nothing_is_given_up(labelers):
    away = Away()
    labeler = labelers(away.label, away.available, max_tries=1)
    labeler.submit(["a", "b"])
    time.sleep(0.1)
    assert (labeler.pending, away.asked) == (2, 0)
    away.here = True
    assert arrive(labeler, 2) == {"a": 1, "b": 1}
    assert labeler.metrics()["unanswered"] == 0

    away.here = False
    at_once = ImmediateLabeler(Source(away.label, available=away.available), max_tries=1)
    at_once.submit(["a"])
    away.here = True
    at_once.submit(["a"])
    assert at_once.collect()[0] == ["a"]


def test_what_an_annotator_that_goes_away_did_not_answer_was_not_tried(labelers):
    away = Away()
    away.here = True

    def half(items):
        if away.here and away.asked == 0:
            away.here, away.asked = False, 1
            return np.array([1.0, NAN])
        return away.label(items)

    labeler = labelers(half, away.available, max_tries=1)
    labeler.submit(["a", "b"])
    assert arrive(labeler, 1) == {"b": 1}
    assert labeler.pending == 1
    away.here = True
    assert arrive(labeler, 1) == {"a": 1}

    at_once = ImmediateLabeler(Source(half, available=away.available), max_tries=1)
    away.asked = 0
    at_once.submit(["a", "b"])
    assert at_once.collect()[0] == ["a"]
    assert at_once.metrics()["given_up"] == 0


def test_an_annotator_that_raises_is_tried_again_and_said_once(labelers):
    calls = []

    def ask(items):
        calls.append(list(items))
        if len(calls) < 3:
            raise OSError("the server is down")
        return np.zeros(len(items))

    labeler = labelers(ask, name="judge")
    labeler.submit(["a", "b"])
    assert arrive(labeler, 2) == {"a": 0, "b": 0}
    with pytest.warns(UserWarning, match="'judge' failed with OSError: the server is down"):
        labeler.submit([])
    labeler.submit([])
    assert calls == [["b", "a"], ["b"], ["a"], ["b"]]  # fewer at once after an error
    assert labeler.metrics()["errors"] == 2


def test_one_item_that_makes_the_annotator_raise_stops_no_other(labelers):
    def ask(items):
        if "bad" in items:
            raise ValueError("bad")
        return np.ones(len(items))

    labeler = labelers(ask, max_tries=1)
    labeler.submit([*"abcde", "bad", *"fgh"])
    arrive(labeler, 8, seconds=15)
    assert labeler.wait(10)
    assert labeler.metrics()["given_up"] == 1
    with pytest.warns(UserWarning, match="ValueError: bad"):
        labeler.submit(["bad", "a"])
    arrive(labeler, 1)


def test_closing_counts_no_try_for_what_was_in_flight():
    gate = Gate(open_=False)

    def ask(items):
        gate.label(items)
        return np.full(len(items), NAN)  # abandoned

    labeler = BackgroundLabeler(Source(ask, stop=gate.opened.set), max_tries=1)
    labeler.submit(["a"])
    assert gate.started.wait(5)
    labeler.close()
    assert labeler.metrics()["given_up"] == labeler.metrics()["unanswered"] == 0


def test_what_had_no_answer_is_remembered(labelers):
    for make in (labelers, lambda ask, **kw: ImmediateLabeler(Source(ask), **kw)):
        labeler, other = (make(lambda x: np.full(len(x), NAN), max_tries=2) for _ in range(2))
        for _ in range(2):
            labeler.submit(["a", ("b", "c")])
            if isinstance(labeler, BackgroundLabeler):
                assert labeler.wait(5)
        other.load_state_dict(pickle.loads(pickle.dumps(labeler.state_dict())))
        assert other.metrics() == labeler.metrics()
        other.submit(["a", ("b", "c")])
        assert other.pending == 0
        assert other.metrics()["unanswered"] == 4


def test_an_answer_of_the_wrong_length_reaches_nobody(labelers):
    labeler = labelers(Gate().label)
    bad = labelers(lambda items: np.ones(3))
    bad.submit(["a"])
    deadline = time.monotonic() + 5
    while not bad.metrics()["errors"] and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not bad.arrived
    with pytest.warns(UserWarning, match=r"must return a number in \[0, 1\] or NaN"):
        bad.submit(["a"])
    labeler.submit(["a"])
    arrive(labeler, 1)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_killed_thread_is_replaced(labelers):
    gate = Gate()
    labeler = labelers(gate.label)
    labeler.submit(["a"])
    arrive(labeler, 1)
    thread = annotator_threads()[0]
    ctypes.pythonapi.PyThreadState_SetAsyncExc(
        ctypes.c_ulong(thread.ident), ctypes.py_object(SystemExit)
    )
    labeler.submit(["b"])  # wakes it, so that it dies or answers
    deadline = time.monotonic() + 5
    while thread.is_alive() and time.monotonic() < deadline:
        labeler.submit([f"c{time.monotonic()}"])
        time.sleep(0.01)
    assert not thread.is_alive()
    labeler.submit(["d"])
    deadline = time.monotonic() + 5
    seen = []
    while "d" not in seen and time.monotonic() < deadline:
        seen += labeler.collect()[0]
        time.sleep(0.01)
    assert "d" in seen
    assert labeler.metrics()["restarts"] == 1


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_thread_that_died_with_items_is_replaced_when_nothing_new_comes(labelers):
    away = Away()
    labeler = labelers(away.label, away.available)
    labeler.submit(["a"])
    thread = annotator_threads()[0]
    time.sleep(0.05)  # it has taken the item, and waits for the annotator
    ctypes.pythonapi.PyThreadState_SetAsyncExc(
        ctypes.c_ulong(thread.ident), ctypes.py_object(SystemExit)
    )
    thread.join(5)
    assert not thread.is_alive()
    away.here = True
    labeler.submit([])
    assert arrive(labeler, 1) == {"a": 1}


def test_close_is_idempotent_and_ends_the_thread_even_during_a_request():
    gate = Gate(open_=False)
    labeler = BackgroundLabeler(Source(gate.label, stop=gate.opened.set))
    labeler.close()
    labeler.submit(["a"])
    assert gate.started.wait(5)
    began = time.monotonic()
    labeler.close()
    labeler.close()
    assert time.monotonic() - began < 2
    assert not annotator_threads()
    labeler.submit(["b"])  # it can be used again
    assert "b" in arrive(labeler, 2 if labeler.arrived else 1)
    labeler.close()


def test_a_labeler_nobody_holds_ends_its_thread():
    gate = Gate()
    labeler = BackgroundLabeler(Source(gate.label))
    labeler.submit(["a"])
    arrive(labeler, 1)
    assert annotator_threads()
    del labeler  # the fixture checks


def test_pickles_without_its_thread(labelers):
    labeler = labelers(np.ones_like, batch_size=7)
    labeler.submit([])
    other = pickle.loads(pickle.dumps(labeler))
    assert other.pending == 0


def _label_in_child(labeler, answers):
    assert not labeler.arrived
    assert labeler.collect()[0] == []
    labeler.submit(["child"])
    answers.put(arrive(labeler, 1))
    labeler.close()


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_forked_child_starts_anew(labelers):
    labeler = labelers(lambda items: np.ones(len(items)))
    labeler.submit(["parent"])
    arrive(labeler, 1)
    context = multiprocessing.get_context("fork")
    answers = context.Queue()
    child = context.Process(target=_label_in_child, args=(labeler, answers))
    with labeler._queue.lock:  # as the thread may hold it at any time
        child.start()
    assert answers.get(timeout=10) == {"child": 1.0}
    child.join(10)


@pytest.mark.parametrize("name", ["batch_size", "max_pending", "max_tries"])
@pytest.mark.parametrize("value", [0, -1, 1.5, True, "3"])
def test_refuses_sizes_that_are_none(name, value):
    with pytest.raises(ConfigError, match=name):
        BackgroundLabeler(Source(np.ones_like), **{name: value})
