"""`Level`: reward components with a priority, a threshold that opens what lies below, and caps.

- `Level`: one level; a plain mapping with the same fields, as in a JSON file, stands for it.
- `as_levels`: checks a list of levels.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, fields
from typing import Any

from rewardloom.components import COMPONENT_NAME
from rewardloom.errors import ConfigError, refuse_unknown, unknown_name
from rewardloom.rewards.numbers import is_integer, is_number

__all__ = ["AGGREGATIONS", "Level", "as_levels"]

AGGREGATIONS = ("last", "sum", "mean", "max", "min")
"""How an episode-scope level reads the episode."""

_OPERATORS = (">", ">=")
_SCOPES = ("episode", "step")
_INFINITIES = ("-inf", "inf", "+inf")  # JSON has no infinite numbers


@dataclass(frozen=True)
class Level:
    """One level of a gate.

    The level's value at a step is the sum of its components, before the weight. The level is
    *open* where that value (scope "step") or its aggregate over the episode (scope "episode")
    passes the threshold; levels of lower priority count only there. Values within 1e-9 of the
    threshold (relative above 1) count as equal to it, so that the order of a sum cannot decide.

    Args:
        components: Name of one component, or a list of names.
        name: Key of the level's columns in `info`; empty joins the components' names by "_".
        priority: Higher ones gate lower ones; equal ones leave each other alone.
        threshold: A number in the components' own units. Minus infinity (default) is always open
            and plus infinity never; a configuration writes "-inf" (or null) and "inf".
        operator: ">" or ">=".
        scope: "episode" or "step".
        aggregation: "last", "sum", "mean", "max" or "min", for scope "episode". Components that
            mean something only at the last step need "last" (or "sum"): the zeros before it would
            enter the others.
        weight: What the level pays is weight * value. 0 makes a level that only gates.
        cap: The most that the level's positive payments add up to in an episode, after the
            weight, paid to the first that are earned. Negative payments always count and make no
            new room. None sets no cap.
        cap_per_kind: The same for each component of the level by itself, before `cap`.

    Raises:
        ConfigError: a field has a value that does not exist or does not fit.
    """

    components: str | Sequence[str]
    name: str = ""
    priority: int = 0
    threshold: float | str = -math.inf
    operator: str = ">"
    scope: str = "episode"
    aggregation: str = "last"
    weight: float = 1.0
    cap: float | None = None
    cap_per_kind: float | None = None

    def __post_init__(self):
        self._set("components", _components(self.components))
        self._set("name", _name(self.name, self.components))
        where = f"of level {self.name!r}"
        if not is_integer(self.priority):
            raise ConfigError(f"The priority {where} must be an integer, got {self.priority!r}.")
        self._set("threshold", _threshold(self.threshold, where))
        for field, options in (
            ("operator", _OPERATORS),
            ("scope", _SCOPES),
            ("aggregation", AGGREGATIONS),
        ):
            if getattr(self, field) not in options:
                raise ConfigError(unknown_name(field, getattr(self, field), options, where=where))
        if self.scope == "step" and self.aggregation != "last":
            raise ConfigError(
                f"The aggregation {self.aggregation!r} {where} has no meaning in scope 'step'; "
                "leave it out or use scope 'episode'."
            )
        if not is_number(self.weight) or not math.isfinite(self.weight):
            raise ConfigError(f"The weight {where} must be a finite number, got {self.weight!r}.")
        for field in ("cap", "cap_per_kind"):
            cap = getattr(self, field)
            if cap is not None and not (is_number(cap) and 0 <= cap < math.inf):
                raise ConfigError(
                    f"The {field} {where} must be a finite number >= 0 or None, got {cap!r}."
                )

    @classmethod
    def from_config(cls, config: Mapping[str, Any], *, where: str = "in a level") -> Level:
        """Build a level from a mapping.

        Raises:
            ConfigError: `components` is missing, a field is unknown (names the nearest), or a value
                does not fit.
        """
        names = [field.name for field in fields(cls)]
        refuse_unknown(config, names, kind="level field", where=where)
        if "components" not in config:
            raise ConfigError(
                f"'components' is missing {where}; name one component or list several, "
                "for example {'components': 'outcome', 'priority': 1, 'threshold': 0.0}."
            )
        return cls(**config)

    def to_config(self) -> dict[str, Any]:
        """Return the fields that differ from the defaults, as JSON can hold them."""
        config: dict[str, Any] = {"components": list(self.components), "name": self.name}
        for field in fields(self):
            value = getattr(self, field.name)
            if field.default is not MISSING and value != field.default:
                config[field.name] = "inf" if value == math.inf else value
        return config

    def _set(self, field: str, value: Any) -> None:
        object.__setattr__(self, field, value)


def as_levels(levels: Sequence[Level | Mapping[str, Any]]) -> tuple[Level, ...]:
    """Return levels given as `Level` objects or as mappings, checked as a whole.

    Raises:
        ConfigError: there is none, one is malformed, two share a name, or one has a threshold but
            no level of lower priority that it could gate.
    """
    if isinstance(levels, str | Mapping | Level) or not isinstance(levels, Sequence) or not levels:
        raise ConfigError(
            f"levels must be a list of at least one Level or mapping of its fields, got {levels!r}."
        )
    built: list[Level] = []
    for i, level in enumerate(levels):
        if isinstance(level, Mapping):
            level = Level.from_config(level, where=f"in level {i}")
        if not isinstance(level, Level):
            raise ConfigError(f"Level {i} is neither a Level nor a mapping: {level!r}.")
        if level.name in [other.name for other in built]:
            raise ConfigError(
                f"Two levels are called {level.name!r} and would share their columns in info. "
                "Give one of them another name."
            )
        built.append(level)
    lowest = min(level.priority for level in built)
    for level in built:
        if level.priority == lowest and level.threshold != -math.inf:
            raise ConfigError(
                f"Level {level.name!r} has the threshold {level.threshold}, but no level has a "
                f"lower priority than its {level.priority}, so it can never gate anything. Raise "
                "its priority, or leave the threshold out."
            )
    return tuple(built)


def _components(given: Any) -> tuple[str, ...]:
    names = (given,) if isinstance(given, str) else given
    if not isinstance(names, Sequence) or not names or not all(isinstance(n, str) for n in names):
        raise ConfigError(
            f"components of a level must be a name or a list of at least one name, got {given!r}."
        )
    for name in names:
        if list(names).count(name) > 1:
            raise ConfigError(f"Component {name!r} is listed twice in one level.")
    return tuple(names)


def _name(given: Any, components: Sequence[str]) -> str:
    name = given or "_".join(components)
    if not isinstance(name, str) or not COMPONENT_NAME.fullmatch(name):
        raise ConfigError(f"A level's name matches [a-z][a-z0-9_]*, got {name!r}.")
    return name


def _threshold(given: Any, where: str) -> float:
    if given is None:
        return -math.inf
    if given in _INFINITIES:
        return float(given)
    if not is_number(given) or math.isnan(given):
        raise ConfigError(
            f"The threshold {where} must be a number, '-inf' or 'inf', got {given!r}."
        )
    return float(given)
