"""`make_annotator`: an annotator from the plain data of a configuration."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Mapping
from typing import Any

from rewardloom.errors import ConfigError, refuse_unknown, unknown_name
from rewardloom.rewards.intrinsic.annotators.cached import CachedAnnotator, ReplayAnnotator
from rewardloom.rewards.intrinsic.annotators.embedding import EmbeddingAnnotator
from rewardloom.rewards.intrinsic.annotators.goals import GoalLike, read_goal
from rewardloom.rewards.intrinsic.annotators.lexicon import LexiconAnnotator, Rules
from rewardloom.rewards.intrinsic.annotators.openai import OpenAIAnnotator
from rewardloom.rewards.intrinsic.annotators.protocol import Annotator
from rewardloom.rewards.intrinsic.annotators.shuffled import ShuffledAnnotator
from rewardloom.rewards.intrinsic.annotators.stand_ins import NoisyAnnotator

__all__ = ["make_annotator"]

_ANNOTATORS: dict[str, Callable[..., Annotator]] = {
    "lexicon": LexiconAnnotator,
    "openai": OpenAIAnnotator,
    "embedding": EmbeddingAnnotator,
    "replay": ReplayAnnotator,
    "noisy": NoisyAnnotator,
    "shuffled": ShuffledAnnotator,
}
_GOAL_TAKERS = ("lexicon", "openai", "embedding")


def make_annotator(
    spec: Annotator | str | Mapping[str, Any] | None,
    goal: GoalLike = "score",
    rules: Rules | None = None,
) -> Annotator:
    """Return the annotator that `spec` describes.

    >>> make_annotator(None, "gold").name
    'lexicon:gold'
    >>> make_annotator({"annotator": "shuffled", "of": "lexicon", "seed": 3}, "gold").name
    'shuffled:lexicon:gold'

    Args:
        spec: None or "lexicon"; or a mapping whose "annotator" is "lexicon", "openai", "embedding",
            "replay", "noisy" or "shuffled" and whose other entries are that class's arguments. "of"
            is the spec of the annotator that a noisy or shuffled one stands before, "cache" the
            file in which to keep the answers, "goal" a goal in place of the argument. "api_key_env"
            names the environment variable with the key of an "openai" one; a key itself is refused,
            since runs write their configuration down. An annotator is returned as it is.
        goal: What is helpful, for those that need to know.
        rules: Rules of your own for the lexicon.

    Raises:
        ConfigError: an unknown annotator or argument (with the nearest name), a missing or bad
            argument, a key, a variable that is not set, or rules where no lexicon takes them.
    """
    if isinstance(spec, Annotator):
        if rules is not None:
            raise _no_lexicon(spec.name)
        return spec
    if spec is None or isinstance(spec, str):
        spec = {"annotator": "lexicon" if spec is None else spec}
    if not isinstance(spec, Mapping) or "annotator" not in spec:
        raise ConfigError(
            "An annotator is None, a name, an object, or a mapping such as "
            f'{{"annotator": "openai", "base_url": ..., "model": ...}}; got {spec!r}.'
        )
    arguments = dict(spec)
    kind = arguments.pop("annotator")
    if not isinstance(kind, str) or kind not in _ANNOTATORS:
        raise ConfigError(unknown_name("annotator", kind, _ANNOTATORS))
    cache = arguments.pop("cache", None)
    if "rules" in arguments and rules is not None:
        raise ConfigError("The lexicon's rules are given twice; leave them out of the annotator.")
    made = _made(kind, arguments, goal, rules)
    return made if cache is None else CachedAnnotator(made, cache)


def _made(kind: str, arguments: dict[str, Any], goal: GoalLike, rules: Rules | None) -> Annotator:
    build = _ANNOTATORS[kind]
    parameters = inspect.signature(build).parameters
    stands_before = "base" in parameters
    names = [name for name in parameters if name != "base"]
    names += ["of", "goal"] if stands_before else []
    if "api_key" in names:
        _look_up_key(arguments)
    refuse_unknown(arguments, names, kind="argument", where=f"of the {kind} annotator")
    if stands_before:
        own_goal = arguments.pop("goal", goal)
        base = make_annotator(arguments.pop("of", None), own_goal, rules)
        return build(base, **arguments)
    if kind in _GOAL_TAKERS:
        arguments.setdefault("goal", goal)
    if kind == "lexicon":
        arguments["goal"] = _lexicon_goal(arguments["goal"])
        arguments.setdefault("rules", rules)
    elif rules is not None:
        raise _no_lexicon(kind)
    missing = [
        name
        for name, parameter in parameters.items()
        if parameter.default is parameter.empty and name not in arguments
    ]
    if missing:
        raise ConfigError(f"The {kind} annotator needs {', '.join(missing)}.")
    return build(**arguments)


def _look_up_key(arguments: dict[str, Any]) -> None:
    """Put the key in for the variable's name, if there is one."""
    if "api_key" in arguments:
        raise ConfigError(
            "Leave api_key out of the annotator: a run writes its configuration down in clear "
            "text. Set the environment variable OPENAI_API_KEY, or name another by "
            '"api_key_env", or pass an OpenAIAnnotator object.'
        )
    if "api_key_env" in arguments:
        variable = arguments.pop("api_key_env")
        key = os.environ.get(variable) if isinstance(variable, str) else None
        if not key:
            raise ConfigError(
                f"api_key_env must name an environment variable that is set, got {variable!r}."
            )
        arguments["api_key"] = key


def _lexicon_goal(goal: GoalLike) -> str:
    """Return the name under which the lexicon's rules have a goal."""
    if isinstance(goal, str) and not goal.endswith(".json"):
        return goal
    return read_goal(goal).name


def _no_lexicon(kind: str) -> ConfigError:
    return ConfigError(f"rules are the lexicon's; annotator {kind!r} has none. Leave them out.")
