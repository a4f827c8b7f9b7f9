"""The lexicon's rules: data, read and checked.

- `Rule`: one regular expression with its weight for a goal.
- `lexicon_rules`: the shipped rules, as data that can be extended.
- `read_rules`: a list or JSON file of rules, checked, for one goal.

A rule is a JSON object with an `id`, a `regex` and either `weight` (for any goal) or `weights`
(goal -> weight; a goal that is not named weighs 0). Weights are -1 (harmful), 0 (neutral), 1
(helpful) and 2 (very helpful). A regex holds no capturing group and no global flag and never
matches the empty string, so that all rules can be tried in one pass.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from rewardloom.errors import ConfigError, refuse_unknown, unknown_name
from rewardloom.rewards.intrinsic.annotators.data_files import read_json
from rewardloom.rewards.intrinsic.annotators.lexicons import LEXICONS, lexicon_path

__all__ = ["Rule", "checked_on", "lexicon_goals", "lexicon_rules", "read_rules"]

_SHIPPED = Path(__file__).with_name("lexicon.json")
_FIELDS = ("id", "regex", "weight", "weights")
_WEIGHTS = (-1, 0, 1, 2)


class Rule(NamedTuple):
    """One rule, resolved for a goal.

    Attributes:
        id: Its name, unique in its list.
        regex: What it looks for.
        weight: -1, 0, 1 or 2.
    """

    id: str
    regex: str
    weight: int


def lexicon_rules() -> list[dict[str, Any]]:
    """Return the shipped rules as data, to extend: `rules=[my_rule, *lexicon_rules()]`."""
    return _shipped()["rules"]


def lexicon_goals() -> dict[str, str]:
    """Return the goals of the shipped rules and what each one means."""
    return _shipped()["goals"]


def checked_on() -> str:
    """Return the game version whose messages the shipped rules were checked on."""
    return _shipped()["checked_on"]


def read_rules(source: str | os.PathLike[str] | Sequence[Any] | None, goal: str) -> list[Rule]:
    """Return the rules of `source` for `goal`, checked.

    Args:
        source: A list of rules, the name of a shipped rule file ("minigrid"), the path of a JSON
            file that holds a list (or an object whose `rules` is one), or None for the shipped
            rules of NetHack.
        goal: A goal that the rules give weights for. Rules with a plain `weight` serve any goal.

    Raises:
        ConfigError: the file cannot be read, a rule is malformed (the message names it), or no
            rule knows the goal (the message names the nearest).
    """
    entries = lexicon_rules() if source is None else _entries(source)
    rules, seen = [], set[str]()
    _check_goal(entries, goal)
    for position, entry in enumerate(entries):
        rule = _parse(entry, position, goal)
        if rule.id in seen:
            raise ConfigError(f"Two rules have the id {rule.id!r}; give each its own.")
        seen.add(rule.id)
        rules.append(rule)
    return rules


def _shipped() -> dict[str, Any]:
    return json.loads(_SHIPPED.read_text(encoding="utf-8"))


def _entries(source: Any) -> Sequence[Any]:
    where = "rules"
    if isinstance(source, str) and source in LEXICONS:
        source = lexicon_path(source)
    if isinstance(source, str | os.PathLike):
        where = f"rule file {os.fspath(source)!r}"
        data = read_json(source, where)
        source = data.get("rules") if isinstance(data, dict) else data
    if not isinstance(source, Sequence) or isinstance(source, str | bytes) or not source:
        raise ConfigError(
            f"{where[0].upper()}{where[1:]} must be a list of at least one rule, for example "
            '[{"id": "goal", "regex": "You win", "weight": 2}].'
        )
    return source


def _check_goal(entries: Iterable[Any], goal: str) -> None:
    known = set(lexicon_goals())
    named = {
        name
        for entry in entries
        if isinstance(entry, Mapping) and isinstance(entry.get("weights"), Mapping)
        for name in entry["weights"]
    }
    options = named or known
    if goal not in options:
        raise ConfigError(unknown_name("goal", goal, map(str, options), where="of the lexicon"))


def _parse(entry: Any, position: int, goal: str) -> Rule:
    where = f"rule {position}"
    if not isinstance(entry, Mapping):
        raise ConfigError(f"Rule {position} is {entry!r}, not an object with id, regex, weight.")
    refuse_unknown(entry, _FIELDS, kind="field", where=f"in {where}")
    name, regex = entry.get("id"), entry.get("regex")
    if not isinstance(name, str) or not name:
        raise ConfigError(f"Rule {position} needs an id, a text; got {name!r}.")
    if not isinstance(regex, str):
        raise ConfigError(f"Rule {name!r} needs a regex, a text; got {regex!r}.")
    _check_regex(name, regex)
    return Rule(name, regex, _weight(name, entry, goal))


def _check_regex(name: str, regex: str) -> None:
    try:
        compiled = re.compile(regex)
    except re.error as error:
        raise ConfigError(f"Rule {name!r} has a bad regex {regex!r}: {error}.") from None
    if compiled.groups:
        raise ConfigError(f"Rule {name!r} has a capturing group in {regex!r}; write (?:...).")
    if compiled.flags != re.UNICODE:
        raise ConfigError(
            f"Rule {name!r} sets a flag for the whole of {regex!r}; write (?i:...) around a part."
        )
    if compiled.match(""):
        raise ConfigError(f"Rule {name!r} matches the empty text with {regex!r}, so everything.")


def _weight(name: str, entry: Mapping[str, Any], goal: str) -> int:
    if ("weight" in entry) == ("weights" in entry):
        raise ConfigError(f"Rule {name!r} needs one of weight and weights.")
    weights = entry.get("weights", {goal: entry.get("weight")})
    if not isinstance(weights, Mapping):
        raise ConfigError(f"Rule {name!r}: weights maps goals to numbers, got {weights!r}.")
    for value in weights.values():
        if isinstance(value, bool) or value not in _WEIGHTS:
            raise ConfigError(f"Rule {name!r}: a weight is one of {_WEIGHTS}, got {value!r}.")
    return int(weights.get(goal, 0))
