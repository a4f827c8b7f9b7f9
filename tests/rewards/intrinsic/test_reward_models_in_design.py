"""The three reward models inside the design, against a reference written from the formula."""

import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rewardloom.rewards import IntrinsicDesign, StepBatch
from rewardloom.rewards.intrinsic import NO_LABEL

MODELS = ("retrieval", "classification", "ranking")
SMALL = {
    "min_labels": 5,
    "refit_labels": 5,
    "gradient_steps": 20,
    "learning_rate": 0.01,
    "channels": [8],
    "hidden": [8],
}
CAPTIONS = [f"You {verb} the {noun}." for verb in ("kill", "see", "hear") for noun in "abcdefg"]


class Oracle:
    """Helpful is what kills; answers are written down."""

    name, version = "oracle", "1"

    def __init__(self, silent=()):
        self.silent = silent
        self.asked = []

    def label(self, captions):
        self.asked += captions
        return np.array([NO_LABEL if c in self.silent else "kill" in c for c in captions], float)

    def compare(self, pairs):
        self.asked += pairs
        better = np.array([("kill" in a) - float("kill" in b) for a, b in pairs])
        return (better + 1) / 2


def tick(captions, rewards):
    n = len(captions)
    column = np.empty(n, object)
    column[:] = captions
    no = np.zeros(n, bool)
    return StepBatch(
        np.array(rewards, float), np.zeros((n, 0)), no, no, ~no, no, extra={"caption": column}
    )


def made(model, slots=2, **kwargs):
    learning = None
    if model != "retrieval":
        learning = dict(SMALL)
        if model == "ranking":
            learning |= {"subsample": 1, "draw_every": 2, "pairs_per_draw": 5}
    kwargs.setdefault("annotator", Oracle())
    design = IntrinsicDesign(model=model, learning=learning, **kwargs)
    design.bind((), slots)
    design.begin(np.ones(slots, bool))
    return design


def stream(count, slots=2, seed=0):
    random = np.random.default_rng(seed)
    for _ in range(count):
        picked = random.integers(len(CAPTIONS), size=slots)
        yield tick([CAPTIONS[i] for i in picked], random.normal(size=slots))


@given(
    st.lists(
        st.tuples(st.sampled_from("abcd"), st.booleans(), st.floats(-5, 5)), min_size=1, max_size=40
    ),
    st.sets(st.sampled_from("abcd")),
    st.sets(st.sampled_from("abcd")),
)
@settings(max_examples=200)
def test_retrieval_equals_the_formula_on_random_streams(steps, helpful, silent):
    """r = a_ext r_ext + a_int y(c) / N(c)^3, N counted anew in each episode."""

    class Map:
        name, version = "map", "1"

        def label(self, captions):
            return np.array([NO_LABEL if c in silent else c in helpful for c in captions], float)

    design = IntrinsicDesign(
        annotator=Map(), extrinsic_coef=0.1, intrinsic_coef=0.4, max_tries=1_000
    )
    design.bind((), 1)
    design.begin(np.ones(1, bool))
    paid, wanted, seen = [], [], []
    for caption, ends, reward in steps:
        paid.append(design.step(tick([caption], [reward]))[0])
        seen.append(caption)
        label = caption in helpful and caption not in silent
        wanted.append(0.1 * reward + 0.4 * label / seen.count(caption) ** 3)
        if ends:
            design.begin(np.ones(1, bool))
            seen = []
    np.testing.assert_allclose(paid, wanted, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("model", MODELS)
def test_learns_what_the_annotator_says_while_it_pays(model):
    design = made(model, count_exponent=0, extrinsic_coef=0, intrinsic_coef=1)
    for batch in stream(400):
        design.step(batch)
    kill, see = design.step(tick(["You kill the a.", "You see the a."], [0, 0]))
    assert kill > see
    assert kill > 0
    facts = design.diagnostics()
    assert facts["labels"] > 0
    assert all(np.isfinite(value) for value in facts.values())
    assert design.refits == (0 if model == "retrieval" else facts["refits"])


@pytest.mark.parametrize("model", MODELS)
def test_saved_and_restored_goes_on_as_if_nothing_happened(model):
    whole, cut = made(model), made(model)
    batches = list(stream(120))
    for batch in batches[:60]:
        whole.step(batch)
        cut.step(batch)
    state = pickle.loads(pickle.dumps(cut.state_dict()))
    again = made(model)
    again.load_state_dict(state)
    everyone = np.ones(2, bool)
    for design in (whole, again):
        design.begin(everyone)
    for batch in batches[60:]:
        np.testing.assert_array_equal(whole.step(batch), again.step(batch))
    assert again.refits == whole.refits
    assert again.diagnostics()["labels"] == whole.diagnostics()["labels"]


@pytest.mark.parametrize("model", ["classification", "ranking"])
def test_pays_nothing_before_it_has_learned_and_says_so(model):
    design = made(model, extrinsic_coef=0)
    assert design.step(tick(["You kill the a.", ""], [3, 4])).tolist() == [0, 0]
    assert design.summary()["known"].tolist() == [0, 0]
    for batch in stream(100):
        design.step(batch)
    assert design.refits
    assert design.summary()["known"].tolist() == [1, 1]


@pytest.mark.parametrize("model", MODELS)
def test_frozen_it_pays_and_learns_no_more(model):
    design = made(model)
    for batch in stream(100):
        design.step(batch)
    design.update_model = False
    asked, refits = len(design.annotator.asked), design.refits
    for batch in stream(50, seed=1):
        design.step(batch)
    assert (len(design.annotator.asked), design.refits) == (asked, refits)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("caption", ["", "x" * 10_240, "\ud800 lone", "nul\0 and \x1b[31m"])
def test_odd_texts_are_captions_too(model, caption):
    design = made(model)
    for batch in stream(60):
        design.step(batch)
    paid = design.step(tick([caption, caption], [1, 2]))
    assert np.isfinite(paid).all()
    pickle.dumps(design.state_dict())


def test_silent_annotators_leave_a_network_without_labels():
    design = made("classification", annotator=Oracle(silent=CAPTIONS), max_tries=2)
    for batch in stream(200):
        design.step(batch)
    assert design.refits == 0
    assert design.diagnostics()["given_up"] == len(CAPTIONS)
    assert len(design.annotator.asked) == 2 * len(CAPTIONS)


def test_what_a_shuffle_promised_for_good_is_kept_by_a_checkpoint():
    def shuffled():
        return made("retrieval", annotator={"annotator": "shuffled", "of": "lexicon"}, goal="gold")

    whole, cut = shuffled(), shuffled()
    batches = list(stream(40))
    for batch in batches[:20]:
        whole.step(batch)
        cut.step(batch)
    again = shuffled()
    again.load_state_dict(pickle.loads(pickle.dumps(cut.state_dict())))
    for batch in batches[20:]:
        whole.step(batch)
        again.step(batch)
    assert again.model.table == whole.model.table
    rest = [f"a new caption, number {n}" for n in range(30)]
    assert again.annotator.label(rest).tolist() == whole.annotator.label(rest).tolist()
