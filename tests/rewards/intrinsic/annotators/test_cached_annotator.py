"""Answers in a file: across runs and processes, damaged, of others, and replayed."""

import copy
import json
import multiprocessing
import pickle
import threading

import numpy as np
import pytest

from rewardloom.errors import ConfigError
from rewardloom.rewards.intrinsic import IntrinsicDesign
from rewardloom.rewards.intrinsic.annotators import (
    Annotator,
    CachedAnnotator,
    Comparer,
    LexiconAnnotator,
    ReplayAnnotator,
    checks,
)

KILL, WALL, GOLD = "You kill the newt!", "It's a wall.", "$ - 5 gold pieces."
ODD = ["", "a\ud800b", "x" * 10_000, 'say "yes"\n', "\x00\x1b\u2028", "世界"]


class Script:
    """Answers from a dict, and writes down what it was asked."""

    name, version = "script:score", "1"

    def __init__(self, answers=(), **attributes):
        self.answers = dict(answers)
        self.asked = []
        self.closed = 0
        self.__dict__.update(attributes)

    def label(self, captions):
        self.asked.append(list(captions))
        return np.array([self.answers.get(caption, 0.0) for caption in captions], float)

    def compare(self, pairs):
        self.asked.append(list(pairs))
        return np.array([self.answers.get(pair, 0.5) for pair in pairs], float)

    def metrics(self):
        return {"requests": float(len(self.asked))}

    def close(self):
        self.closed += 1


@pytest.fixture
def path(tmp_path):
    return tmp_path / "made" / "labels.jsonl"


def test_asks_once_and_remembers_across_runs(path):
    base = Script({KILL: 1.0, GOLD: 0.25})
    cached = CachedAnnotator(base, path)
    assert cached.label([KILL, WALL]).tolist() == [1, 0]
    assert cached.label([WALL, GOLD, KILL]).tolist() == [0, 0.25, 1]
    assert base.asked == [[KILL, WALL], [GOLD]]
    later = Script()
    again = CachedAnnotator(later, path)
    assert again.label([KILL, WALL, GOLD]).tolist() == [1, 0, 0.25]
    assert later.asked == []
    assert again.metrics() == {
        "requests": 0,
        "cache_hits": 3,
        "cache_misses": 0,
        "cache_size": 3,
    }


def test_it_carries_the_state_of_its_annotator(path):
    class Counting(Script):
        def state_dict(self):
            return {"calls": len(self.asked)}

        def load_state_dict(self, state):
            self.asked = [[]] * state["calls"]

    cached = CachedAnnotator(Counting(), path)
    cached.label([KILL])
    state = checks.state_of(cached)
    other = CachedAnnotator(Counting(), path)
    checks.restore(other, state)
    assert len(other.annotator.asked) == 1
    plain = CachedAnnotator(Script(), path)
    checks.restore(plain, checks.state_of(plain))


def test_pairs_are_kept_beside_captions_and_in_their_order(path):
    base = Script({(KILL, WALL): 1.0, KILL: 0.5})
    cached = CachedAnnotator(base, path)
    assert cached.compare([(KILL, WALL), (WALL, GOLD)]).tolist() == [1, 0.5]
    assert cached.label([KILL]).tolist() == [0.5]
    later = Script()
    again = CachedAnnotator(later, str(path))
    assert again.compare([(KILL, WALL), (WALL, KILL)]).tolist() == [1, 0.5]
    assert later.asked == [[(WALL, KILL)]]


def test_a_line_can_be_read_by_people(path):
    CachedAnnotator(Script({KILL: 1.0}), path).label([KILL])
    assert json.loads(path.read_text()) == {
        "annotator": "script:score",
        "version": "1",
        "caption": KILL,
        "label": 1.0,
    }


def test_it_stands_for_its_annotator(path):
    base = Script()
    cached = CachedAnnotator(base, path)
    assert isinstance(cached, Annotator)
    assert isinstance(cached, Comparer)
    assert (cached.name, cached.version) == (base.name, base.version)
    assert cached.available
    base.available = False
    assert not cached.available
    cached.close()
    assert base.closed == 1
    CachedAnnotator(LexiconAnnotator(), path).close()  # which has no close


def test_texts_of_any_kind_come_back(path):
    CachedAnnotator(Script({text: 1.0 for text in ODD}), path).label(ODD)
    later = Script()
    assert CachedAnnotator(later, path).label(ODD).tolist() == [1] * len(ODD)
    assert later.asked == []
    assert len(path.read_bytes().splitlines()) == len(ODD)


def test_what_has_no_answer_is_not_stored_and_is_asked_again(path):
    base = Script({KILL: np.nan})
    cached = CachedAnnotator(base, path)
    assert np.isnan(cached.label([KILL])).all()
    assert not path.exists()
    base.answers[KILL] = 1.0
    assert cached.label([KILL]).tolist() == [1]
    assert base.asked == [[KILL], [KILL]]


def test_a_line_cut_short_is_skipped_named_and_closed_off(path):
    CachedAnnotator(Script({KILL: 1.0}), path).label([KILL, WALL])
    path.write_bytes(path.read_bytes()[:-20])
    base = Script()
    with pytest.warns(UserWarning, match=r"Skipped 1 line.*labels.jsonl.*line 2"):
        cached = CachedAnnotator(base, path)
    assert cached.label([KILL, WALL]).tolist() == [1, 0]
    assert base.asked == [[WALL]]
    with pytest.warns(UserWarning, match="line 2"):
        assert CachedAnnotator(Script({WALL: 1.0}), path).label([WALL]).tolist() == [0]


def test_a_last_line_without_its_end_still_counts(path):
    CachedAnnotator(Script({KILL: 1.0}), path).label([KILL])
    path.write_bytes(path.read_bytes().rstrip(b"\n"))
    assert CachedAnnotator(Script(), path).label([KILL, WALL]).tolist() == [1, 0]
    assert ReplayAnnotator(path).label([KILL, WALL]).tolist() == [1, 0]


def line(**fields):
    entry = {"annotator": "script:score", "version": "1", "caption": KILL, "label": 1.0, **fields}
    return json.dumps({key: value for key, value in entry.items() if value is not ...}).encode()


@pytest.mark.parametrize(
    "garbage",
    [
        b"rubbish",
        b"\xff\xfe\x00",
        b"[]",
        b"3",
        b"{}",
        b"[" * 100_000,
        line(label="yes"),
        line(label=True),
        line(label=1.5),
        line(label=float("nan")),
        line(caption=3),
        line(annotator=...),
        line(version=None),
        line(caption=..., first=KILL, preference=1.0),
    ],
    ids=range(14),
)
def test_lines_that_are_no_answers_are_skipped_and_the_first_is_named(path, garbage):
    path.parent.mkdir()
    good = line(caption=WALL, label=0.5)
    path.write_bytes(b"\n".join([good, b"", garbage, garbage, line(caption=GOLD)]) + b"\n")
    with pytest.warns(UserWarning, match=r"Skipped 2 line\(s\).*line 3\.") as warned:
        cached = CachedAnnotator(Script(), path)
    assert len(warned) == 1
    assert cached.label([WALL, GOLD, KILL]).tolist() == [0.5, 1, 0]


def test_answers_of_others_are_left_alone_and_a_file_without_own_ones_is_named(path):
    CachedAnnotator(Script({KILL: 1.0}, name="script:gold"), path).label([KILL])
    with pytest.warns(UserWarning, match=r"no answer of 'script:score'.*'script:gold' \(1\)"):
        cached = CachedAnnotator(Script(), path)
    assert cached.label([KILL]).tolist() == [0]
    CachedAnnotator(Script(), path)  # has one now: a warning would be an error
    with pytest.warns(UserWarning, match="version '2'"):
        other = CachedAnnotator(Script(version="2"), path)
    assert other.label([WALL]).tolist() == [0]
    gold = CachedAnnotator(Script(name="script:gold"), path)
    assert gold.label([KILL]).tolist() == [1]


def test_two_at_once_use_each_others_answers(path):
    first, second = Script({KILL: 1.0}), Script({KILL: 0.0})
    one, two = CachedAnnotator(first, path), CachedAnnotator(second, path)
    one.label([KILL])
    assert two.label([KILL]).tolist() == [1]
    two.label([WALL])
    assert one.label([KILL, WALL]).tolist() == [1, 0]
    assert (first.asked, second.asked) == ([[KILL]], [[WALL]])


def test_of_two_answers_the_first_counts_and_none_changes_within_a_run(path):
    one = CachedAnnotator(Script({KILL: 1.0}), path)
    one.label([KILL])
    with path.open("ab") as file:
        file.write(line(label=0.0) + b"\n")
    assert one.label([KILL, WALL]).tolist() == [1, 0]  # WALL has it read what is new
    assert CachedAnnotator(Script(), path).label([KILL]).tolist() == [1]
    assert ReplayAnnotator(path).label([KILL]).tolist() == [1]


def fill(path, number):
    cached = CachedAnnotator(Script(), path)
    for i in range(60):
        cached.label([f"{number} {i} {'x' * 3000}", f"shared {i}"])


@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
def test_processes_that_write_at_once_leave_whole_lines(path):
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=fill, args=(path, number)) for number in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    captions = [f"{number} {i} {'x' * 3000}" for number in range(3) for i in range(60)]
    base = Script()
    cached = CachedAnnotator(base, path)  # a broken line would be a warning, here an error
    cached.label([*captions, *(f"shared {i}" for i in range(60))])
    assert base.asked == []


def test_a_writer_waits_for_another(path):
    fcntl = pytest.importorskip("fcntl")
    cached = CachedAnnotator(Script(), path)
    cached.label([WALL])
    with path.open("rb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        writing = threading.Thread(target=cached.label, args=([KILL],))
        writing.start()
        writing.join(0.05)
        assert writing.is_alive()
        fcntl.flock(other, fcntl.LOCK_UN)
        writing.join(2)
        assert not writing.is_alive()


def test_lines_are_numbered_from_the_beginning_of_the_file(path):
    cached = CachedAnnotator(Script(), path)
    cached.label([KILL, WALL])
    cached.label([GOLD])  # reads the two lines, then writes its own
    with path.open("ab") as file:
        file.write(b"rubbish\n")
    with pytest.warns(UserWarning, match=r"line 4\."):
        cached.label(["another"])


def test_a_file_that_begins_anew_is_read_anew(path):
    cached = CachedAnnotator(Script({KILL: 1.0}), path)
    cached.label([KILL, WALL])
    cached.label(["read what is there"])
    path.write_bytes(line(caption=GOLD, label=0.5) + b"\n")
    assert cached.label([GOLD, KILL]).tolist() == [0.5, 1]


def test_a_file_that_cannot_be_written_is_named_once_and_asking_goes_on(tmp_path):
    blocked = tmp_path / "file"
    cached = CachedAnnotator(Script({KILL: 1.0}), blocked / "labels.jsonl")
    blocked.write_text("in the way")
    with pytest.warns(UserWarning, match="Cannot write"):
        assert cached.label([KILL]).tolist() == [1]
    assert cached.label([KILL, WALL]).tolist() == [1, 0]


def test_copies_work(path):
    cached = CachedAnnotator(Script({KILL: 1.0}), path)
    cached.label([KILL])
    for other in (pickle.loads(pickle.dumps(cached)), copy.deepcopy(cached)):
        assert other.label([KILL, WALL]).tolist() == [1, 0]


def test_refuses_what_is_no_annotator_or_no_file(tmp_path):
    with pytest.raises(ConfigError, match="must have name, version and label"):
        CachedAnnotator(print, tmp_path / "a.jsonl")
    with pytest.raises(ConfigError, match="Cannot read"):
        CachedAnnotator(Script(), tmp_path)


def test_refuses_answers_out_of_range_before_they_are_stored(path):
    cached = CachedAnnotator(Script({KILL: 2.0}), path)
    with pytest.raises(ConfigError, match=r"'script:score' must return a number in \[0, 1\]"):
        cached.label([KILL])
    assert not path.exists()


def test_says_beforehand_that_its_annotator_does_not_compare(path):
    class OnlyLabels:
        name, version = "labels", "1"

        def label(self, captions):
            return np.ones(len(captions))

    with pytest.raises(ConfigError, match=r"'labels' labels captions but has no compare"):
        CachedAnnotator(OnlyLabels(), path).compare([])


def test_replays_a_run_without_anybody_to_ask(path):
    base = Script({KILL: 1.0, (KILL, WALL): 1.0})
    cached = CachedAnnotator(base, path)
    cached.label([KILL, WALL])
    cached.compare([(KILL, WALL)])
    replay = ReplayAnnotator(path)
    assert isinstance(replay, Annotator)
    assert isinstance(replay, Comparer)
    assert (replay.name, replay.version) == (base.name, base.version)
    np.testing.assert_array_equal(replay.label([WALL, KILL, GOLD]), [0, 1, np.nan])
    np.testing.assert_array_equal(replay.compare([(KILL, WALL), (WALL, KILL)]), [1, np.nan])
    assert replay.metrics() == {"replay_size": 3, "replay_missing": 2}
    assert pickle.loads(pickle.dumps(replay)).label([KILL]).tolist() == [1]


@pytest.mark.parametrize(
    ("ask", "refused", "words"),
    [
        ("label", "compare", "holds labels of captions and no comparisons of pairs"),
        ("compare", "label", "holds comparisons of pairs and no labels of captions"),
    ],
)
def test_refuses_to_replay_the_other_kind_of_answers(path, ask, refused, words):
    items = {"label": [KILL], "compare": [(KILL, WALL)]}
    getattr(CachedAnnotator(Script(), path), ask)(items[ask])
    replay = ReplayAnnotator(path)
    getattr(replay, ask)(items[ask])
    for asked in ([], items[refused]):
        with pytest.raises(ConfigError, match=f"'script:score' .*labels.jsonl' {words}"):
            getattr(replay, refused)(asked)
    models = {"label": "retrieval", "compare": "ranking"}
    IntrinsicDesign(model=models[ask], annotator=replay)
    with pytest.raises(ConfigError, match=words):
        IntrinsicDesign(model=models[refused], annotator=replay, asynchronous=True)


def test_of_several_annotators_or_versions_one_is_chosen(path):
    CachedAnnotator(Script({KILL: 1.0}), path).label([KILL])
    with pytest.warns(UserWarning, match="has no answer of"):
        CachedAnnotator(Script({KILL: 0.5}, name="script:gold"), path).label([KILL])
    with pytest.warns(UserWarning, match="has no answer of"):
        CachedAnnotator(Script({KILL: 0.25}, name="script:gold", version="2"), path).label([KILL])
    with pytest.raises(ConfigError, match=r"choose one by name=: 'script:score', 'script:gold'"):
        ReplayAnnotator(path)
    with pytest.raises(ConfigError, match=r"Unknown annotator 'script:gould'.*mean 'script:gold'"):
        ReplayAnnotator(path, "script:gould")
    with pytest.raises(ConfigError, match=r"choose one by version=: '1', '2'"):
        ReplayAnnotator(path, "script:gold")
    with pytest.raises(ConfigError, match="Unknown version '3'"):
        ReplayAnnotator(path, "script:gold", "3")
    assert ReplayAnnotator(path, "script:score").label([KILL]).tolist() == [1]
    assert ReplayAnnotator(path, "script:gold", "2").label([KILL]).tolist() == [0.25]


def test_refuses_to_replay_nothing(tmp_path):
    with pytest.raises(ConfigError, match=r"no answers to replay in .*none\.jsonl"):
        ReplayAnnotator(tmp_path / "none.jsonl")
