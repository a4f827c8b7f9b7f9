"""Goals as data, the prompts made of them, and how answers are read."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rewardloom.errors import ConfigError
from rewardloom.rewards.intrinsic.annotators import (
    Goal,
    lexicon_goals,
    read_goal,
    shipped_goals,
)
from rewardloom.rewards.intrinsic.annotators.prompts import (
    MAX_CAPTION,
    compare_messages,
    label_messages,
    quoted,
    read_label,
    read_preference,
)

TIDY = Goal("tidy", "Bring boxes to the cellar.", ("A box is in the cellar.",), ("A wall.",))
FIELDS = {
    "name": "tidy",
    "description": "Bring boxes to the cellar.",
    "helpful": ["A box is in the cellar."],
    "unhelpful": ["A wall."],
}


def test_the_shipped_goals_are_those_of_the_lexicon():
    assert set(shipped_goals()) == set(lexicon_goals())


def test_shipped_examples_agree_with_the_lexicon():
    from rewardloom.rewards import LexiconAnnotator

    for name, goal in shipped_goals().items():
        lexicon = LexiconAnnotator(name)
        assert lexicon.label(goal.helpful).min() == 1, name
        assert lexicon.label(goal.unhelpful).max() == 0, name


def test_a_goal_comes_as_a_name_a_mapping_a_file_or_itself(tmp_path):
    path = tmp_path / "tidy.json"
    path.write_text(json.dumps(FIELDS))
    assert read_goal("gold").name == "gold"
    assert read_goal(TIDY) is TIDY
    assert read_goal(FIELDS) == read_goal(path) == read_goal(str(path)) == TIDY


def test_the_digest_changes_with_any_word():
    others = [
        read_goal({**FIELDS, field: ["x"] if field[-2:] == "ul" else "x"}) for field in FIELDS
    ]
    assert len({TIDY.digest, *(goal.digest for goal in others)}) == 5
    assert read_goal(FIELDS).digest == TIDY.digest


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("gould", "Unknown goal 'gould'. Did you mean 'gold'"),
        (3, "Unknown goal 3"),
        ({**FIELDS, "helpfull": []}, "Unknown field 'helpfull' of a goal. Did you mean 'helpful'"),
        ({"name": "tidy"}, "needs a description"),
        ({**FIELDS, "name": " "}, "needs a name"),
        ({**FIELDS, "helpful": "A box."}, "helpful must be a list"),
        ({**FIELDS, "unhelpful": [3]}, "unhelpful must hold texts"),
        ("none.json", "Cannot read goal file 'none.json'"),
    ],
)
def test_refuses_goals_that_are_none(source, message):
    with pytest.raises(ConfigError, match=message):
        read_goal(source)


@pytest.mark.parametrize(("text", "message"), [("[{", "is not JSON"), ("[]", "must hold one obj")])
def test_refuses_goal_files_that_hold_none(tmp_path, text, message):
    path = tmp_path / "goal.json"
    path.write_text(text)
    with pytest.raises(ConfigError, match=message):
        read_goal(path)


def test_a_prompt_holds_the_goal_its_examples_and_the_caption():
    system, user = label_messages(TIDY, "You carry a box.")
    assert (system["role"], user["role"]) == ("system", "user")
    assert TIDY.description in system["content"]
    assert '"A box is in the cellar."' in system["content"]
    assert '"A wall."' in system["content"]
    assert '"You carry a box."' in user["content"]
    pair = compare_messages(TIDY, "a stair", "a wall")[1]["content"]
    assert pair.index('First: "a stair"') < pair.index('Second: "a wall"')


def test_a_goal_without_examples_makes_a_prompt_too():
    bare = Goal("tidy", "Bring boxes to the cellar.")
    assert "Events" not in label_messages(bare, "x")[0]["content"]


def test_a_long_caption_is_cut_and_says_so():
    assert quoted("a" * MAX_CAPTION) == f'"{"a" * MAX_CAPTION}"'
    cut = quoted("a" * 10_000)
    assert cut == f'"{"a" * MAX_CAPTION}" (cut here, {10_000 - MAX_CAPTION} more characters)'


@given(st.text(st.characters(codec=None), max_size=50))
def test_any_caption_stays_within_its_quotes_on_one_line_and_is_utf_8(caption):
    shown = quoted(caption)
    assert shown.encode().decode() == shown
    assert shown.isprintable() or all(ord(c) > 0x9F for c in shown if not c.isprintable())
    assert len(shown.splitlines()) == 1
    assert json.loads(shown) == caption


@pytest.mark.parametrize(("word", "other", "value"), [("yes", "no", 1.0), ("no", "yes", 0.0)])
@pytest.mark.parametrize(
    "form",
    [
        "{word}",
        " {word}.\n",
        '"{word}"',
        "'{word}'",
        "**{word}**",
        "Label: {word}",
        "label = {word}.",
        "**Label:** {word}",
        "Answer: {word}",
        '{{"label": "{word}"}}',
        '```json\n{{"label": "{word}."}}\n```',
        "Some would say {other}. I would not say {other}.\nLabel: {word}",
        "<think>{other}, {other} ... {other}</think>\n{word}",
        "{other}? No: {other} ... {other}\n</think> {word}",
        "<think>It says '</think> {other}', so {other}?</think>\n\nLabel: {word}",
    ],
)
def test_reads_the_label_field(form, word, other, value):
    for case in (str.lower, str.upper, str.title):
        assert read_label(form.format(word=case(word), other=case(other))) == value


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "maybe",
        "yes and no",
        "yesno",
        "This is not unhelpful, so I would say yes",
        "Label: yes\nLabel: no",
        "Label:",
        "Label: perhaps. yes",
        "<think>yes",
        "yes</think>",
        '{"label": "yes"',
        '{"label": 1}',
        '{"label": "yes and no"}',
        '{"verdict": "yes"}',
        '{"label":' + "[" * 100_000,
        "helpful",
    ],
)
def test_anything_else_is_no_label(answer):
    assert math.isnan(read_label(answer))


def test_reads_preferences():
    answers = ["first", "Second.", "neither", '{"label": "first"}', "The first, not the second"]
    values = [read_preference(answer) for answer in answers]
    assert values[:4] == [1.0, 0.0, 0.5, 1.0]
    assert math.isnan(values[4])
