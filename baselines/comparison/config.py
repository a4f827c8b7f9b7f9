"""`CompareConfig`: arms, seeds and the training settings that all arms share.

- `parse_arm`: an arm of the command line, `NAME` or `NAME=DESIGN+DESIGN`.

Importing this module needs neither torch nor Stable-Baselines3.
"""

from __future__ import annotations

import copy
import dataclasses
import math
import os
import re
from collections.abc import Mapping
from typing import Any

from rewardloom.baselines.commands.arguments import parse_design
from rewardloom.baselines.training.config import TrainConfig, merged_arguments
from rewardloom.errors import ConfigError, refuse_unknown

__all__ = ["CompareConfig", "available_cores", "parse_arm"]

_WHERE = "in CompareConfig"
_OWN = ("arms", "seeds", "jobs", "success_level")
_PER_RUN = ("seed", "designs")
_EQUAL = (
    "world",
    "steps",
    "eval_episodes",
    "eval_deterministic",
)  # unequal ones would make the arms incomparable
_ARM_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_NEXT_DESIGN = re.compile(r"\+(?=[a-z][a-z0-9_]*(?:[:+]|$))")  # not the plus of 1e+5


@dataclasses.dataclass(frozen=True, kw_only=True)
class CompareConfig:
    """Settings of a comparison: every arm is trained once per seed.

    As plain values (`from_dict`, JSON) the fields of `common` stand beside `arms`, `seeds`,
    `jobs` and `success_level`. An arm is a list of designs, or a mapping with `designs` and fields
    of `TrainConfig` that this arm has otherwise: `algo_kwargs` and the `policy_kwargs` in it are
    merged with those of `common`, entry by entry; every other field replaces the common one.

    Attributes:
        common: What all runs share; its seed and designs mean nothing here.
        arms: arm name -> {"designs": [...], **overrides of `common`}, in the order of the report.
        seeds: One training seed per run of an arm.
        jobs: Runs trained at the same time.
        success_level: {"metric": name, "level": number} whose first reaching is timed, or None. The
            metric is "raw_return", "length", "is_success" or one of the world's episode metrics;
            higher is better. See `rewardloom.baselines.comparison.levels`.

    Raises:
        ConfigError: no arm, a name that is no folder name, an unknown field or design, seeds that
            are not distinct integers >= 0, a level that is none.
    """

    common: TrainConfig
    arms: dict[str, dict[str, Any]]
    seeds: tuple[int, ...] = (0, 1)
    jobs: int = dataclasses.field(default_factory=lambda: available_cores())
    success_level: dict[str, Any] | None = None

    def __post_init__(self) -> None:
        """Check everything, each arm as the `TrainConfig` that it becomes."""
        object.__setattr__(self, "arms", _checked_arms(self.arms))
        object.__setattr__(self, "seeds", _checked_seeds(self.seeds))
        if isinstance(self.jobs, bool) or not isinstance(self.jobs, int) or self.jobs < 1:
            raise ConfigError(
                f"The config field 'jobs' must be an integer >= 1, got {self.jobs!r}."
            )
        object.__setattr__(self, "success_level", _checked_level(self.success_level))
        if self.common.eval_episodes < 1:
            raise ConfigError(
                "A comparison scores every agent: 'eval_episodes' must be >= 1, got 0."
            )
        for arm in self.arms:
            self.train_config(arm, self.seeds[0])

    @classmethod
    def from_dict(cls, settings: Mapping[str, Any]) -> CompareConfig:
        """Build a configuration from plain values.

        Raises:
            ConfigError: an unknown field (with the nearest name), a missing one, or a bad value.
        """
        shared = [f.name for f in dataclasses.fields(TrainConfig) if f.name not in _PER_RUN]
        refuse_unknown(settings, [*_OWN, *shared], kind="config field", where=_WHERE)
        for field in ("world", "steps", "arms"):
            if field not in settings:
                raise ConfigError(f"The config field {field!r} is missing {_WHERE}.")
        common = TrainConfig.from_dict({k: v for k, v in settings.items() if k not in _OWN})
        return cls(common=common, **{k: settings[k] for k in _OWN if k in settings})

    def to_dict(self) -> dict[str, Any]:
        """Return plain values that `from_dict` and JSON take."""
        common = {k: v for k, v in self.common.to_dict().items() if k not in _PER_RUN}
        arms = copy.deepcopy(self.arms)
        level = copy.deepcopy(self.success_level)
        own = {"arms": arms, "seeds": list(self.seeds), "jobs": self.jobs, "success_level": level}
        return {**common, **own}

    def train_config(self, arm: str, seed: int) -> TrainConfig:
        """Return the settings of one run."""
        changes: dict[str, Any] = {**self.arms[arm], "seed": seed}
        if isinstance(changes.get("algo_kwargs"), Mapping):
            changes["algo_kwargs"] = merged_arguments(
                self.common.algo_kwargs, changes["algo_kwargs"]
            )
        try:
            return self.common.replace(**changes)
        except ConfigError as error:
            raise ConfigError(f"Arm {arm!r}: {error}") from None


def parse_arm(text: str) -> tuple[str, list[dict[str, Any]]]:
    """Return the name and the designs of "NAME" or "NAME=DESIGN+DESIGN".

    Each design is written `design:key=value,key=value`, the innermost first.

    Raises:
        ConfigError: no name, nothing after "=", or a design that cannot be read.
    """
    name, equals, rest = text.partition("=")
    if not name or (equals and not rest):
        raise ConfigError(f"An arm is written NAME or NAME=DESIGN+DESIGN; got {text!r}.")
    return name, [parse_design(part) for part in _NEXT_DESIGN.split(rest)] if rest else []


def available_cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _checked_arms(arms: object) -> dict[str, dict[str, Any]]:
    if not isinstance(arms, Mapping) or not arms:
        raise ConfigError(
            "The config field 'arms' maps at least one name to a list of designs, for example "
            f"{{'extrinsic': [], 'count': [{{'design': 'count'}}]}}; got {arms!r}."
        )
    overridable = [
        f.name for f in dataclasses.fields(TrainConfig) if f.name not in (*_EQUAL, "seed")
    ]
    checked: dict[str, dict[str, Any]] = {}
    for name, value in arms.items():
        if not isinstance(name, str) or not _ARM_NAME.fullmatch(name):
            raise ConfigError(
                f"Arm {name!r}: a name has letters, digits, '_', '-' and '.' and starts with a "
                "letter or digit, because it names a folder."
            )
        arm = {"designs": value} if isinstance(value, list | tuple) else value
        if not isinstance(arm, Mapping):
            raise ConfigError(
                f"Arm {name!r} is neither a list of designs nor a mapping: {value!r}."
            )
        for field in (*_EQUAL, "seed"):
            if field in arm:
                raise ConfigError(f"Arm {name!r}: {field!r} must be the same in all arms.")
        refuse_unknown(arm, overridable, kind="config field", where=f"in arm {name!r}")
        designs = [parse_design(d) if isinstance(d, str) else d for d in arm.get("designs", ())]
        checked[name] = copy.deepcopy({**arm, "designs": designs})
    return checked


def _checked_level(value: object) -> dict[str, Any] | None:
    if value is None:
        return None
    usage = 'for example {"metric": "raw_return", "level": 475}'
    if not isinstance(value, Mapping):
        raise ConfigError(f"The config field 'success_level' is a mapping, {usage}; got {value!r}.")
    refuse_unknown(value, ("metric", "level"), kind="field", where="in success_level")
    metric, level = value.get("metric"), value.get("level")
    if not isinstance(metric, str) or not metric:
        raise ConfigError(f"success_level lacks the name of a metric, {usage}; got {metric!r}.")
    if isinstance(level, int | float) and not isinstance(level, bool) and math.isfinite(level):
        return {"metric": metric, "level": level}
    raise ConfigError(f"success_level lacks a finite number as level, {usage}; got {level!r}.")


def _checked_seeds(seeds: object) -> tuple[int, ...]:
    if isinstance(seeds, int) and not isinstance(seeds, bool) and seeds >= 1:
        return tuple(range(seeds))
    if isinstance(seeds, list | tuple) and seeds:
        whole = all(isinstance(s, int) and not isinstance(s, bool) and s >= 0 for s in seeds)
        if whole and len(set(seeds)) == len(seeds):
            return tuple(seeds)
    raise ConfigError(
        "The config field 'seeds' is how many (an integer >= 1), or a list of distinct integers "
        f">= 0; got {seeds!r}."
    )
