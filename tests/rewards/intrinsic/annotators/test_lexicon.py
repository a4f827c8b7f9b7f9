"""The lexicon on hand-labeled captions, its rules as data, and what it refuses."""

import copy
import json
import pickle
from pathlib import Path

import numpy as np
import pytest

from rewardloom.errors import ConfigError
from rewardloom.rewards import LexiconAnnotator
from rewardloom.rewards.intrinsic import Annotator, Comparer, lexicon_goals, lexicon_rules

CAPTIONS = json.loads((Path(__file__).parents[2] / "data" / "captions.json").read_text())[
    "captions"
]
RECALL = {"score": 46 / 48, "combat": 24 / 26, "gold": 16 / 18, "stairs": 15 / 16}
"""On the captions of the file; see its note on how to read these figures."""


def label(goal, *captions, rules=None):
    return LexiconAnnotator(goal, rules).label(captions).tolist()


@pytest.mark.parametrize("goal", RECALL)
def test_labels_no_unhelpful_caption_helpful(goal):
    unhelpful = [row["text"] for row in CAPTIONS if goal not in row["helps"]]
    assert len(unhelpful) >= 100
    labels = label(goal, *unhelpful)
    assert [text for text, one in zip(unhelpful, labels, strict=True) if one] == []


@pytest.mark.parametrize("goal", RECALL)
def test_finds_the_stated_share_of_helpful_captions(goal):
    helpful = [row["text"] for row in CAPTIONS if goal in row["helps"]]
    assert np.mean(label(goal, *helpful)) == pytest.approx(RECALL[goal])


@pytest.mark.parametrize(
    ("caption", "rule"),
    [
        ("You kill the newt!", "kill"),
        ("You kill the poor kitten!", "kill-own-pet"),
        ("You kill the watchman!  You murderer!", "murder"),
        ('You read: "You kill the newt!".', "quoted"),
        ("The newt is killed!", None),
        ("$ - 5 gold pieces (17 in total).", "gold-picked-up"),
        ("This door is locked.", "door-shut"),
        ("You fall down the stairs.", "descent"),
        ("", None),
    ],
)
def test_explains_by_the_rule_that_decided(caption, rule):
    assert LexiconAnnotator("score").explain(caption) == rule


def test_explore_tells_open_doors_from_shut_ones():
    doors = ["The door opens.", "This door is locked.", "As you kick the door, it crashes open!"]
    assert label("explore", *doors) == [1, 0, 1]
    assert label("explore", "The goblin opens a door.", "You hear a door open.") == [0, 0]
    assert label("explore", '"Agent, welcome to Delphi!"', '"Welcome to my shop!"') == [1, 0]


def test_of_several_messages_the_best_one_counts():
    lexicon = LexiconAnnotator("score")
    both = "This door is locked.  You hear someone counting money.  You kill the newt!"
    assert lexicon.explain(both) == "kill"  # weight 2 beats weight 1 and 0
    assert label("score", "You kill the newt!  You kill the poor kitten!") == [1]


def test_at_one_place_the_first_rule_decides():
    exception = {"id": "ghost", "regex": "You kill the ghost", "weight": -1}
    general = {"id": "kill", "regex": "You kill", "weight": 2}
    captions = ["You kill the ghost!", "You kill the bat!"]
    assert label("score", *captions, rules=[exception, general]) == [0, 1]
    assert label("score", *captions, rules=[general, exception]) == [1, 1]


def test_labels_have_the_protocols_form():
    lexicon = LexiconAnnotator("combat")
    assert isinstance(lexicon, Annotator)
    labels = lexicon.label(["You hit the newt.", "You miss the newt."])
    assert labels.dtype == np.float64
    assert labels.tolist() == [1, 0]
    assert lexicon.label([]).shape == (0,)
    assert lexicon.name == "lexicon:combat"


def test_of_two_captions_the_one_of_the_higher_weight_shows_more_progress():
    lexicon = LexiconAnnotator("score")
    assert isinstance(lexicon, Comparer)
    wall, money = "It's a wall.", "You hear someone counting money."
    kill, murder = "You kill the newt!", "You kill the poor kitten!"
    pairs = [(kill, money), (money, kill), (wall, murder), (wall, "This door is locked."), ("", "")]
    pairs += [(wall, "You die...")]  # looks like nothing helpful, and weighs -1
    compared = lexicon.compare(pairs)
    assert compared.dtype == np.float64
    assert compared.tolist() == [1, 0, 1, 0.5, 0.5, 1]
    assert lexicon.compare([]).shape == (0,)


def test_the_version_follows_the_rules():
    shipped = LexiconAnnotator("score")
    assert shipped.version.startswith("NetHack 3.6.7 (nle 1.3.0)")
    assert shipped.version == LexiconAnnotator("score").version
    rules = lexicon_rules()
    rules[0]["weights"]["score"] = 0
    assert LexiconAnnotator("score", rules).version not in shipped.version


def test_every_shipped_weight_is_for_a_goal_that_exists():
    goals = set(lexicon_goals())
    assert goals == {"score", "combat", "gold", "stairs", "explore"}
    for rule in lexicon_rules():
        assert set(rule["weights"]) <= goals, rule["id"]


def test_own_rules_from_a_list_a_file_and_beside_the_shipped_ones(tmp_path):
    rule = {"id": "box", "regex": "pick up the (?:red|blue) box", "weight": 1}
    captions = ["you pick up the red box", "You kill the newt!"]
    path = tmp_path / "rules.json"
    path.write_text(json.dumps({"rules": [rule]}))
    assert label("score", *captions, rules=[rule]) == [1, 0]
    assert label("score", *captions, rules=path) == [1, 0]
    assert label("score", *captions, rules=str(path)) == [1, 0]
    assert label("score", *captions, rules=[rule, *lexicon_rules()]) == [1, 1]


def test_own_rules_bring_their_own_goals():
    rules = [{"id": "box", "regex": "box", "weights": {"tidy": 1, "lazy": -1}}]
    assert label("tidy", "a box", rules=rules) == [1]
    assert label("lazy", "a box", rules=rules) == [0]
    with pytest.raises(ConfigError, match=r"Unknown goal 'tidi'.*Did you mean 'tidy'"):
        LexiconAnnotator("tidi", rules)


def test_rules_of_which_none_helps_label_nothing_helpful():
    assert label("score", "a", rules=[{"id": "a", "regex": "a", "weight": -1}]) == [0]


def test_survives_copies():
    lexicon = LexiconAnnotator("gold")
    for other in (pickle.loads(pickle.dumps(lexicon)), copy.deepcopy(lexicon)):
        assert other.label(["$ - 3 gold pieces."]).tolist() == [1]


@pytest.mark.parametrize("goal", ["scoer", "Gold", 3])
def test_refuses_an_unknown_goal(goal):
    with pytest.raises(ConfigError, match="Unknown goal"):
        LexiconAnnotator(goal)


def rule(**fields):
    return {"id": "mine", "regex": "a", "weight": 1, **fields}


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ([], "at least one rule"),
        ({"id": "a"}, "must be a list"),
        (["a"], "Rule 0 is 'a', not an object"),
        ([rule(), rule()], "Two rules have the id 'mine'"),
        ([rule(id="")], "Rule 0 needs an id"),
        ([rule(regex=None)], "Rule 'mine' needs a regex"),
        ([rule(regex="(?:")], r"Rule 'mine' has a bad regex"),
        ([rule(regex="(a)")], "Rule 'mine' has a capturing group"),
        ([rule(regex="(?i)a")], "Rule 'mine' sets a flag"),
        ([rule(regex="a*")], "Rule 'mine' matches the empty text"),
        ([rule(weight=3)], "Rule 'mine': a weight is one of"),
        ([rule(weight=True)], "Rule 'mine': a weight is one of"),
        ([rule(weights={"score": 1})], "Rule 'mine' needs one of weight and weights"),
        ([{"id": "mine", "regex": "a"}], "Rule 'mine' needs one of weight and weights"),
        ([{"id": "mine", "regex": "a", "weights": 1}], "weights maps goals to numbers"),
        ([rule(wieght=1)], "Unknown field 'wieght' in rule 0. Did you mean 'weight'"),
    ],
)
def test_refuses_bad_rules_and_names_them(rules, message):
    with pytest.raises(ConfigError, match=message):
        LexiconAnnotator("score", rules)


def test_refuses_files_that_hold_no_rules(tmp_path):
    with pytest.raises(ConfigError, match=r"Cannot read rule file .*No such file"):
        LexiconAnnotator("score", tmp_path / "none.json")
    broken = tmp_path / "broken.json"
    broken.write_text("[{")
    with pytest.raises(ConfigError, match=r"rule file .*broken.json' is not JSON"):
        LexiconAnnotator("score", broken)
    broken.write_text('{"rulez": []}')
    with pytest.raises(ConfigError, match=r"Rule file .*must be a list"):
        LexiconAnnotator("score", broken)


def grid_captions(count):
    return [f"You stand before door {number}." for number in range(count)]


@pytest.mark.parametrize("ask", ["label", "compare"])
def test_a_world_that_the_shipped_rules_do_not_know_is_warned_of_once(ask):
    lexicon = LexiconAnnotator("score")
    captions = grid_captions(102)
    items = captions if ask == "label" else list(zip(captions[::2], captions[1::2], strict=True))
    call = getattr(lexicon, ask)
    few = items[: 99 if ask == "label" else 49]
    for _ in range(3):
        call([*few, *few])
    call(["", " "] if ask == "label" else [("", " ")])
    with pytest.warns(UserWarning, match=r"None of 10\d .* 'score'.*door.*rules=\"minigrid\""):
        call(items)
    call(items)


def test_one_message_of_nethack_ends_the_doubt_and_own_rules_are_never_doubted():
    lexicon = LexiconAnnotator("score")
    lexicon.label(["It's a wall.", "You kill the newt!"])
    lexicon.label(grid_captions(300))
    rules = [{"id": "win", "regex": "You win", "weight": 2}]
    LexiconAnnotator("score", rules=rules).label(grid_captions(300))
