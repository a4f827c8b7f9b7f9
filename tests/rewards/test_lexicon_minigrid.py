"""The shipped rules for MiniGrid: which of its captions are helpful, and the name of the file."""

import pytest

from rewardloom.errors import ConfigError
from rewardloom.rewards import LexiconAnnotator
from rewardloom.rewards.intrinsic.annotators.lexicons import LEXICONS, lexicon_path

PROGRESS, EXPLORE, COLLECT = "progress", "explore", "collect"

# caption -> the goals it helps
CAPTIONS = {
    "You pick up the yellow key.": {PROGRESS, COLLECT},
    "You pick up the red ball.": {PROGRESS, COLLECT},
    "You drop the yellow key.": set(),
    "You unlock and open the yellow door.": {PROGRESS, EXPLORE},
    "You open the red door.": {PROGRESS, EXPLORE},
    "You close the red door.": set(),
    "The yellow door is locked.": set(),
    "You open the red box and find the blue key.": {PROGRESS, EXPLORE},
    "You open the red box and find nothing.": set(),
    "You reach the goal.": {PROGRESS},
    "You step into the lava.": set(),
    "You enter a new room, number 2.": {PROGRESS, EXPLORE},
    "You return to a room you know.": set(),
    "You bump into the closed red door.": set(),
    "You say that you are done.": set(),
    "You stand before the yellow key.": set(),
    "You see the goal ahead.": set(),
    "Mission: open the red door": set(),
    "": set(),
}


@pytest.mark.parametrize("goal", [PROGRESS, EXPLORE, COLLECT])
def test_the_rules_tell_deeds_that_help_from_all_else(goal):
    lexicon = LexiconAnnotator(goal, rules="minigrid")
    labels = lexicon.label(list(CAPTIONS)).tolist()
    assert labels == [float(goal in helped) for helped in CAPTIONS.values()]


def test_a_shipped_file_has_a_name_and_a_path():
    by_name = LexiconAnnotator("progress", rules="minigrid")
    by_path = LexiconAnnotator("progress", rules=lexicon_path("minigrid"))
    assert by_name.version == by_path.version
    assert all(lexicon_path(name).is_file() for name in LEXICONS)
    with pytest.raises(ConfigError, match="Did you mean 'minigrid'"):
        lexicon_path("minigird")


def test_an_unknown_goal_names_the_nearest_of_the_file():
    with pytest.raises(ConfigError, match="Did you mean 'progress'"):
        LexiconAnnotator("progres", rules="minigrid")
