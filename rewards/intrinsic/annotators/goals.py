"""What an annotator is to look for, as data.

- `Goal`: a name, a description, and examples of events that help and that do not.
- `shipped_goals`: those for NetHack.
- `read_goal`: a goal from a name, a mapping, a JSON file or a `Goal`.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, TypeAlias

from rewardloom.errors import ConfigError, refuse_unknown, unknown_name
from rewardloom.rewards.intrinsic.annotators.data_files import read_json

__all__ = ["Goal", "GoalLike", "read_goal", "shipped_goals"]

_SHIPPED = Path(__file__).with_name("goals.json")


@dataclass(frozen=True)
class Goal:
    """What counts as progress in a world, in words.

    Nothing here is about NetHack: a goal of your own names its world in the description.

    >>> tidy = Goal(
    ...     "tidy",
    ...     "In a house of rooms and boxes, bring every box to the cellar.",
    ...     helpful=("You carry a box into the cellar.",),
    ...     unhelpful=("You bump into a wall.",),
    ... )

    Args:
        name: A short name; goes into the annotator's name, hence into records.
        description: The world and what is wanted in it, a sentence or two.
        helpful: Events that bring the goal closer, as captions put them; may be empty.
        unhelpful: Events that do not; may be empty.

    Raises:
        ConfigError: the name or the description is empty, or an example is no text.
    """

    name: str
    description: str
    helpful: tuple[str, ...] = ()
    unhelpful: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for field in ("name", "description"):
            value = getattr(self, field)
            if not isinstance(value, str) or not value.strip():
                raise ConfigError(f"A goal needs a {field}, a text; got {value!r}.")
        for field in ("helpful", "unhelpful"):
            events = getattr(self, field)
            if isinstance(events, str) or not isinstance(events, Sequence):
                raise ConfigError(f"Goal {self.name!r}: {field} must be a list, got {events!r}.")
            if not all(isinstance(event, str) for event in events):
                raise ConfigError(f"Goal {self.name!r}: {field} must hold texts, got {events!r}.")
            object.__setattr__(self, field, tuple(events))

    @property
    def digest(self) -> str:
        """Eight hexadecimal digits that change with any word of the goal."""
        text = json.dumps([self.name, self.description, self.helpful, self.unhelpful])
        return hashlib.blake2b(text.encode(), digest_size=4).hexdigest()


GoalLike: TypeAlias = str | os.PathLike[str] | Mapping[str, Any] | Goal


def shipped_goals() -> dict[str, Goal]:
    """Return the goals that come with the package, by name."""
    entries = json.loads(_SHIPPED.read_text(encoding="utf-8"))["goals"]
    return {entry["name"]: Goal(**entry) for entry in entries}


def read_goal(source: GoalLike) -> Goal:
    """Return the goal that `source` names or describes.

    Args:
        source: The name of a shipped goal, the path of a JSON file (a text that ends in ".json"),
            a mapping with the fields of `Goal`, or a `Goal`.

    Raises:
        ConfigError: no goal has the name (the message has the nearest), the file cannot be read,
            or a field is unknown, missing or malformed.
    """
    if isinstance(source, Goal):
        return source
    if isinstance(source, Mapping):
        return _from_mapping(source, "a goal")
    if isinstance(source, os.PathLike) or (isinstance(source, str) and source.endswith(".json")):
        return _from_file(os.fspath(source))
    known = shipped_goals()
    if not isinstance(source, str) or source not in known:
        message = unknown_name("goal", source, known)
        raise ConfigError(f"{message} Describe one of your own with Goal(...) or in a JSON file.")
    return known[source]


def _from_file(path: str) -> Goal:
    where = f"goal file {path!r}"
    data = read_json(path, where)
    if not isinstance(data, Mapping):
        raise ConfigError(f"The {where} must hold one object with name and description.")
    return _from_mapping(data, where)


def _from_mapping(data: Mapping[str, Any], where: str) -> Goal:
    names = [field.name for field in fields(Goal)]
    refuse_unknown(data, names, kind="field", where=f"of {where}")
    return Goal(**{"name": "", "description": "", **data})
