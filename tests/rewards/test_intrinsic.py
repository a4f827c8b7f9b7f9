"""The intrinsic design: numbers by hand, identities, and what the table remembers."""

import pickle
import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rewardloom.errors import ConfigError
from rewardloom.rewards import IntrinsicDesign, StepBatch, episode_batch, make_design
from rewardloom.rewards.intrinsic import NO_LABEL, RetrievalModel

KILL, GOLD, WALL = "You kill the newt!", "$ - 5 gold pieces.", "It's a wall."
CAPTION = st.sampled_from([KILL, GOLD, WALL, "", "You kill the bat!"])
EPISODES = st.lists(
    st.tuples(CAPTION, st.lists(st.tuples(CAPTION, st.floats(-50, 50)), max_size=12)),
    min_size=1,
    max_size=5,
)


class Script:
    """An annotator that answers from a dict and writes down what it was asked."""

    name, version = "script", "1"

    def __init__(self, answers):
        self.answers = answers
        self.asked = []

    def label(self, captions):
        self.asked.append(list(captions))
        return np.array([self.answers.get(c, 0) for c in captions], float)


def texts(captions):
    column = np.empty(len(captions), object)
    column[:] = captions
    return {"caption": column}


def tick(*captions, reward=None, active=None):
    n = len(captions)
    return StepBatch(
        np.zeros(n) if reward is None else np.asarray(reward, float),
        np.zeros((n, 0)),
        np.zeros(n, bool),
        np.zeros(n, bool),
        np.ones(n, bool) if active is None else np.asarray(active),
        np.zeros(n, bool),
        extra=texts(captions),
    )


def begun(*starts, **kwargs):
    design = IntrinsicDesign(**{"intrinsic_coef": 1.0, **kwargs})
    design.bind((), len(starts))
    design.begin(np.ones(len(starts), bool), texts(starts))
    return design


def play(design, *ticks):
    return np.array([design.step(one) for one in ticks])


def test_repetitions_pay_1_then_an_eighth_then_a_27th():
    design = begun("")
    paid = play(design, tick(KILL), tick(WALL), tick(KILL), tick(KILL))
    assert paid[:, 0] == pytest.approx([1, 0, 1 / 8, 1 / 27])


def test_a_caption_shown_at_reset_has_been_shown_once():
    assert play(begun(KILL), tick(KILL))[0, 0] == pytest.approx(1 / 8)


def test_slots_count_for_themselves():
    paid = play(begun("", KILL), tick(KILL, KILL), tick(GOLD, KILL))
    np.testing.assert_allclose(paid, [[1, 1 / 8], [1, 1 / 27]])


def test_a_new_episode_counts_anew_in_its_slot_only():
    design = begun("", "")
    play(design, tick(KILL, KILL))
    design.begin(np.array([True, False]), texts(["", None]))
    np.testing.assert_allclose(design.step(tick(KILL, KILL)), [1, 1 / 8])
    design.begin(np.array([False, True]))  # a plug without captions at reset
    np.testing.assert_allclose(design.step(tick(KILL, KILL)), [1 / 8, 1])


def test_coefficients_and_exponent_by_hand():
    design = begun("", extrinsic_coef=0.1, intrinsic_coef=0.4, count_exponent=1)
    paid = play(design, tick(KILL, reward=[20]), tick(KILL, reward=[0]), tick(WALL, reward=[-1]))
    assert paid[:, 0] == pytest.approx([2.4, 0.2, -0.1])


def test_defaults_leave_the_tasks_scale_alone():
    design = make_design("intrinsic", goal="score")
    assert (design.extrinsic_coef, design.intrinsic_coef, design.count_exponent) == (1.0, 0.4, 3.0)


def test_captions_only():
    design = begun("", extrinsic_coef=0)
    assert play(design, tick(KILL, reward=[1e6]), tick(WALL, reward=[-7])).ravel().tolist() == [
        1,
        0,
    ]


def test_exponent_0_pays_every_repetition_in_full():
    paid = play(begun("", count_exponent=0), tick(KILL), tick(KILL))
    assert paid.ravel().tolist() == [1, 1]


def test_counters_inside_a_text_make_new_captions():
    paid = play(begun(""), tick("$ - 5 gold pieces (17 in total)."), tick(GOLD))
    assert paid.ravel().tolist() == [1, 1]


def test_summary_says_what_was_paid_and_why():
    design = begun("", "", annotator=Script({KILL: 1, GOLD: NO_LABEL}), intrinsic_coef=0.4)
    play(design, tick(KILL, GOLD), tick(KILL, WALL))
    assert {k: v.tolist() for k, v in design.summary().items()} == {
        "reward": [pytest.approx(0.05), 0],
        "value": [1, 0],
        "count": [2, 1],
        "known": [1, 1],
    }
    play(design, tick(WALL, GOLD))
    assert design.summary()["count"].tolist() == [1, 2]
    assert design.summary()["known"].tolist() == [1, 0]


def test_an_inactive_slot_is_paid_nothing_and_changes_nothing():
    script = Script({KILL: 1})
    design = begun("", "", annotator=script)
    paid = design.step(tick(WALL, KILL, reward=[1, 5], active=[True, False]))
    assert paid.tolist() == [1, 0]
    assert [column[1] for column in design.summary().values()] == [0, 0, 0, 0]
    assert script.asked == [[WALL]]
    assert design.step(tick(None, KILL, active=[False, True])).tolist() == [0, 1]


def test_unseen_captions_of_a_tick_are_asked_once_and_together():
    script = Script({KILL: 1})
    design = begun("", "", "", "", annotator=script)
    play(design, tick(KILL, WALL, KILL, GOLD), tick(WALL, KILL, "", GOLD), tick(KILL, "", "", ""))
    assert script.asked == [[KILL, WALL, GOLD], [""]]


def test_a_soft_label_pays_its_share():
    design = begun("", annotator=Script({KILL: 0.5}), intrinsic_coef=0.4)
    assert play(design, tick(KILL), tick(KILL)).ravel() == pytest.approx([0.2, 0.025])
    assert design.summary()["value"].tolist() == [0.5]
    batch = episode_batch([[0.0, 0.0]], extra=texts([KILL, KILL]))
    assert design.relabel(batch) == pytest.approx([0.2, 0.025])


def test_no_label_pays_nothing_and_is_asked_again():
    script = Script({KILL: NO_LABEL})
    design = begun("", annotator=script)
    assert play(design, tick(KILL)).item() == 0
    assert design.model.table == {}
    script.answers[KILL] = 1
    assert play(design, tick(KILL)).item() == pytest.approx(
        1 / 8
    )  # the label came in time for this
    play(design, tick(KILL))
    assert script.asked == [[KILL], [KILL]]


@given(EPISODES)
def test_relabeling_equals_stepping(episodes):
    captions = [[caption for caption, _ in steps] for _, steps in episodes]
    rewards = [[reward for _, reward in steps] for _, steps in episodes]
    design = IntrinsicDesign(extrinsic_coef=0.5)
    design.bind((), 1)
    stepped = []
    for (start, steps), values in zip(episodes, rewards, strict=True):
        design.begin(np.array([True]), texts([start]))
        stepped += [
            design.step(tick(caption, reward=[value]))[0]
            for (caption, _), value in zip(steps, values, strict=True)
        ]
    shown = [caption for episode in captions for caption in episode]
    starts = [start for start, _ in episodes]
    batch = episode_batch(rewards, extra=texts(shown), start=texts(starts))
    fresh = IntrinsicDesign(extrinsic_coef=0.5)
    fresh.bind((), 3)
    np.testing.assert_allclose(fresh.relabel(batch), stepped, rtol=0, atol=1e-12)


def test_relabeling_without_captions_at_reset():
    design = IntrinsicDesign(intrinsic_coef=1)
    design.bind((), 1)
    batch = episode_batch([[0, 0], [0]], extra=texts([KILL, KILL, KILL]))
    np.testing.assert_allclose(design.relabel(batch), [1, 1 / 8, 1])


@given(
    st.lists(st.tuples(CAPTION, CAPTION, CAPTION), min_size=1, max_size=10),
    st.permutations(range(3)),
)
def test_permuting_slots_permutes_rewards(captions, order):
    straight = play(begun("", KILL, WALL), *(tick(*row) for row in captions))
    starts = [("", KILL, WALL)[i] for i in order]
    mixed = play(begun(*starts), *(tick(*(row[i] for i in order)) for row in captions))
    np.testing.assert_array_equal(mixed, straight[:, order])


def test_the_table_survives_and_the_counts_do_not():
    script = Script({KILL: 1})
    design = begun("", annotator=script)
    play(design, tick(KILL), tick(WALL))
    state = pickle.loads(pickle.dumps(design.state_dict()))
    other = begun("", annotator=Script({}))
    other.load_state_dict(state)
    assert play(other, tick(KILL), tick(WALL)).ravel().tolist() == [1, 0]
    assert other.annotator.asked == []


def test_a_table_of_another_goal_or_of_other_rules_is_refused():
    state = IntrinsicDesign("gold").state_dict()
    with pytest.raises(ConfigError, match=r"'lexicon:gold'.*this reward model has 'lexicon:score'"):
        IntrinsicDesign("score").load_state_dict(state)
    rules = [{"id": "a", "regex": "a", "weights": {"gold": 1}}]
    with pytest.raises(ConfigError, match="version"):
        IntrinsicDesign("gold", rules=rules).load_state_dict(state)


def test_a_full_table_forgets_its_oldest_captions():
    model = RetrievalModel(capacity=2)
    model.learn([KILL, WALL, GOLD], np.array([1.0, 0.0, 1.0]))
    assert model.table == {WALL: 0, GOLD: 1}
    assert model.wanted([KILL, GOLD, KILL], 5) == [KILL]


def test_counts_for_life_go_on_over_episodes_and_slots():
    design = begun("", "", count_exponent=0, lifetime_exponent=1)
    np.testing.assert_allclose(play(design, tick(KILL, KILL)), [[1 / 2, 1 / 2]])
    design.begin(np.ones(2, bool), texts(["", ""]))
    np.testing.assert_allclose(play(design, tick(KILL, GOLD)), [[1 / 3, 1]])
    both = begun("", count_exponent=3, lifetime_exponent=1)
    both.load_state_dict(design.state_dict())
    assert play(both, tick(KILL), tick(KILL)).ravel() == pytest.approx([1 / 4, 1 / 5 / 8])


def test_a_frozen_design_asks_nothing_and_counts_nothing_for_life():
    script = Script({KILL: 1, GOLD: 1})
    design = begun("", annotator=script, count_exponent=0, lifetime_exponent=1)
    play(design, tick(KILL))
    design.update_model = False
    assert play(design, tick(KILL), tick(KILL), tick(GOLD)).ravel().tolist() == [1, 1, 0]
    assert script.asked == [[KILL]]


def test_templates_fold_numbers_lists_and_item_letters():
    design = begun("", count_key="template", goal="gold")
    paid = play(design, tick("$ - 5 gold pieces (17 in total)."), tick("$ - 8 gold pieces."))
    assert paid.ravel() == pytest.approx([1, 1])  # "# gold pieces ." is not "# gold pieces."
    paid = play(design, tick("$ - 6 gold pieces (23 in total)."))
    assert paid.ravel() == pytest.approx([1 / 8])
    assert begun("", count_key=lambda c: "same").step(tick(KILL)).item() == pytest.approx(1 / 8)
    with pytest.raises(ConfigError, match="Did you mean 'template'"):
        IntrinsicDesign(count_key="templat")
    with pytest.raises(ConfigError, match="or a function"):
        IntrinsicDesign(count_key=3)


@given(EPISODES)
def test_relabeling_counts_for_life_and_by_template_as_steps_do(episodes):
    settings = {"count_key": "template", "lifetime_exponent": 0.5, "count_exponent": 1}
    stepped, design = [], begun("", **settings)
    for start, steps in episodes:
        design.begin(np.array([True]), texts([start]))
        stepped += [design.step(tick(caption, reward=[0]))[0] for caption, _ in steps]
    captions = [caption for _, steps in episodes for caption, _ in steps]
    batch = episode_batch(
        [[0.0] * len(steps) for _, steps in episodes],
        extra=texts(captions),
        start=texts([start for start, _ in episodes]),
    )
    other = begun("", **settings)
    np.testing.assert_allclose(other.relabel(batch), stepped, rtol=0, atol=1e-12)
    assert str(other.state_dict()) == str(design.state_dict())


def test_what_is_noticed_is_annotated_before_it_is_paid():
    script = Script({KILL: 1})
    design = begun("", "", annotator=script)
    design.notice(tick(KILL, GOLD, active=[True, False]))
    assert script.asked == [[KILL]]
    np.testing.assert_allclose(design.step(tick(KILL, KILL)), [1, 1])
    assert design.step(tick(GOLD, WALL)).tolist() == [0, 0]
    assert script.asked == [[KILL]]  # a plug that notices asks there only


def test_bound_to_another_plug_it_asks_again_at_its_steps():
    design = begun("", annotator=Script({KILL: 1}))
    design.notice(tick(WALL))
    design.bind((), 1)
    assert design.step(tick(KILL)).item() == 1


def test_relabelling_what_was_noticed_asks_no_more_and_counts_what_it_pays():
    script = Script({KILL: NO_LABEL})
    design = begun("", annotator=script)
    design.notice(tick(KILL))
    batch = episode_batch([[0.0, 0.0]], extra=texts([KILL, WALL]))
    assert design.relabel(batch).tolist() == [0, 0]
    assert script.asked == [[KILL]]
    other = begun("", annotator=Script({KILL: 1}))
    assert other.relabel(batch).tolist() == [1, 0]
    facts = other.diagnostics()
    assert (facts["intrinsic_per_1000"], facts["rewarded_per_1000"]) == (500, 500)


def test_answers_that_came_after_the_last_recorded_step_count():
    script, noticed = Script({KILL: 1}), threading.Event()
    label = script.label
    script.label = lambda captions: label(captions) if noticed.wait(5) else None
    design = begun("", annotator=script, asynchronous=True)
    design.notice(tick(KILL))
    noticed.set()
    labeler = design._asking._labeler
    assert labeler.wait(5)
    assert labeler.arrived
    assert design.step(tick(KILL)).item() == 1
    design.close()


def test_diagnostics_count_since_they_were_last_asked():
    design = begun("", annotator=Script({KILL: 1}), intrinsic_coef=0.5)
    play(design, tick(KILL), tick(WALL), tick(WALL), tick(WALL))
    facts = design.diagnostics()
    assert facts["intrinsic_per_1000"] == pytest.approx(125)
    assert facts["rewarded_per_1000"] == pytest.approx(250)
    assert (facts["labels"], facts["positives"], facts["pending"]) == (2, 1, 0)
    assert design.diagnostics()["intrinsic_per_1000"] == 0


@pytest.mark.parametrize(
    "name", ["extrinsic_coef", "intrinsic_coef", "count_exponent", "lifetime_exponent"]
)
@pytest.mark.parametrize("value", [-0.1, float("nan"), float("inf"), "1", True])
def test_refuses_numbers_out_of_range(name, value):
    with pytest.raises(ConfigError, match=name):
        IntrinsicDesign(**{name: value})


def test_refuses_what_does_not_fit_together():
    with pytest.raises(ConfigError, match="Did you mean 'combat'"):
        IntrinsicDesign("combta")
    with pytest.raises(ConfigError, match="Give one or the other"):
        IntrinsicDesign("gold", annotator=Script({}))
    with pytest.raises(ConfigError, match=r"must have name, version and label"):
        IntrinsicDesign(annotator=print)
    with pytest.raises(ConfigError, match="capacity"):
        RetrievalModel(capacity=0)
    with pytest.raises(ConfigError, match="Did you mean 'ranking'"):
        IntrinsicDesign(model="rankin")
    with pytest.raises(ConfigError, match="learns nothing"):
        IntrinsicDesign(learning={"seed": 1})
    with pytest.raises(ConfigError, match=r"'script' labels captions but has no compare"):
        IntrinsicDesign(annotator=Script({}), model="ranking")
    with pytest.raises(ConfigError, match="max_pending"):
        IntrinsicDesign(asynchronous=True, max_pending=0)


@pytest.mark.parametrize("caption", [None, float("nan"), b"You kill the newt!", 3, np.zeros(2)])
def test_refuses_captions_that_are_no_texts(caption):
    with pytest.raises(ConfigError, match="A caption must be a text"):
        begun("").step(tick(caption))


def test_says_where_captions_come_from_when_there_are_none():
    design = begun("")
    with pytest.raises(ConfigError, match="needs the column 'caption'"):
        design.step(tick(KILL)._replace(extra=None))
    with pytest.raises(ConfigError, match="needs the column 'caption'"):
        design.relabel(episode_batch([[0.0]]))


@pytest.mark.parametrize("answer", [np.array([1, 0]), np.array([2]), np.array([-0.5]), None])
def test_refuses_annotators_that_break_their_protocol(answer):
    script = Script({})
    script.label = lambda captions: answer
    with pytest.raises(ConfigError, match=r"'script' must return a number in \[0, 1\]"):
        begun("", annotator=script).step(tick(KILL))
