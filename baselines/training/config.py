"""`TrainConfig`: everything that decides a training run, checked and JSON-able.

Importing this module needs neither torch nor Stable-Baselines3.
"""

from __future__ import annotations

import copy
import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from rewardloom.errors import ConfigError, refuse_unknown, unknown_name
from rewardloom.rewards.catalog import make_design
from rewardloom.rewards.design import RewardDesign

__all__ = [
    "ALGORITHMS",
    "TrainConfig",
    "design_name",
    "load_config",
    "make_configured_design",
    "merged_arguments",
    "read_settings",
]

Algorithm = Literal["auto", "ppo", "maskable_ppo"]

ALGORITHMS: tuple[Algorithm, ...] = ("auto", "ppo", "maskable_ppo")

_WHERE = "in TrainConfig"


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """Settings of one training run; equal settings on a deterministic world give equal bits.

    Attributes:
        world: Gymnasium id, optionally with a module to import first ("module:Name-v0"), or
            "pettingzoo:" and a module that has `parallel_env`.
        steps: Environment steps to train for, summed over all environments; rounded up to whole
            rollouts. Of a PettingZoo world every agent is an environment.
        world_kwargs: Keyword arguments of the world.
        designs: Reward designs from the innermost to the outermost, each
            {"design": name, "name": optional info key, **arguments}. The last one may rewrite the
            training buffer instead of paying step by step (`attach_relabel`): one that only
            relabels (emit="relabel") does, and any other with "relabel": true.
        wrappers: Wrappers of the world from the innermost to the outermost, each "module:Class" or
            {"wrapper": "module:Class", **arguments}; they count as part of the world, in the
            evaluation too, and stand below its components and designs. Those of a PettingZoo world
            take and return a `ParallelEnv`.
        components: component name -> info key or "module:function", for
            `rewardloom.wrappers.RewardComponents` on the world; "terminal_components" may list
            those that count at the last step only. Empty leaves the world as it is.
        algo: "auto" takes MaskablePPO where the world has action masks, else PPO.
        algo_kwargs: Arguments of the algorithm over the defaults. `learning_rate` and `clip_range`
            may be "lin_<start>": falling linearly to 0 at the end of training.
        num_envs: Environments stepped together, at least 1; of a PettingZoo world its copies.
        seed: At least 0.
        device: "auto", "cpu", "cuda", "cuda:1", ... "auto" takes a GPU only for networks that
            gain from one.
        torch_threads: CPU threads of torch, at least 1. Small networks are fastest with 1.
        checkpoint_every: Steps between checkpoints, each of which ends all open episodes; 0 means
            a tenth of `steps` but at least 5,000 per environment. Rounded up to whole rollouts.
        keep_checkpoints: How many of the latest checkpoints stay on disk, at least 1.
        eval_episodes: Episodes of the final evaluation, of a PettingZoo world games; 0 leaves it
            out.
        eval_deterministic: Whether the final evaluation takes the most probable actions instead of
            drawing them as in training. With gSDE one drawn noise stays for the whole evaluation.

    Raises:
        ConfigError: a value of the wrong type or out of range, an unknown design, two designs
            that write under one name, or one on the training buffer below another.
    """

    world: str
    steps: int
    world_kwargs: dict[str, Any] = dataclasses.field(default_factory=dict)
    designs: tuple[dict[str, Any], ...] = ()
    wrappers: tuple[dict[str, Any], ...] = ()
    components: dict[str, Any] = dataclasses.field(default_factory=dict)
    algo: Algorithm = "auto"
    algo_kwargs: dict[str, Any] = dataclasses.field(default_factory=dict)
    num_envs: int = 8
    seed: int = 0
    device: str = "auto"
    torch_threads: int = 1
    checkpoint_every: int = 0
    keep_checkpoints: int = 2
    eval_episodes: int = 20
    eval_deterministic: bool = False

    def __post_init__(self) -> None:
        """Check every field; the mappings are copied."""
        for field, minimum in _MINIMUM.items():
            _check_int(field, getattr(self, field), minimum)
        for field in ("world", "algo", "device"):
            value = getattr(self, field)
            if not isinstance(value, str) or not value:
                raise _mismatch(field, "a name (string)", value)
        if not isinstance(self.eval_deterministic, bool):
            raise _mismatch("eval_deterministic", "true or false", self.eval_deterministic)
        if self.algo not in ALGORITHMS:
            raise ConfigError(unknown_name("algo", self.algo, ALGORITHMS, where=_WHERE))
        for field in ("world_kwargs", "components", "algo_kwargs"):
            object.__setattr__(self, field, _checked_mapping(field, getattr(self, field)))
        object.__setattr__(self, "wrappers", _checked_wrappers(self.wrappers))
        object.__setattr__(self, "designs", _checked_designs(self.designs))

    @classmethod
    def from_dict(cls, settings: Mapping[str, Any]) -> TrainConfig:
        """Build a configuration from plain values.

        Raises:
            ConfigError: an unknown field (with the nearest name), a missing one, or a bad value.
        """
        if not isinstance(settings, Mapping):
            raise ConfigError(
                f"A training configuration is a mapping of fields to values, got {settings!r}."
            )
        fields = dataclasses.fields(cls)
        refuse_unknown(settings, [f.name for f in fields], kind="config field", where=_WHERE)
        for field in ("world", "steps"):
            if field not in settings:
                raise ConfigError(f"The config field {field!r} is missing {_WHERE}.")
        return cls(**settings)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values that `from_dict` and JSON take."""
        settings = copy.deepcopy(dataclasses.asdict(self))
        for field in ("designs", "wrappers"):
            settings[field] = list(settings[field])
        return settings

    def replace(self, **changes: Any) -> TrainConfig:
        """Return a configuration with some fields changed, checked like a new one."""
        return self.from_dict({**self.to_dict(), **changes})

    def differences(self, other: TrainConfig) -> list[str]:
        """Return the names of the fields in which two configurations differ."""
        mine, theirs = self.to_dict(), other.to_dict()
        return [field for field in mine if mine[field] != theirs[field]]


def read_settings(path: str | Path) -> dict[str, Any]:
    """Return the fields in a JSON file, which need not be all of a configuration.

    Raises:
        ConfigError: no such file, no JSON, or no JSON object; the message names the file.
    """
    try:
        settings = json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"There is no configuration file {str(path)!r}.") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not JSON: {error}.") from None
    if not isinstance(settings, dict):
        raise ConfigError(f"{path} must hold a JSON object of config fields, got {settings!r}.")
    return settings


def load_config(path: str | Path, *, designs: bool = True) -> TrainConfig:
    """Read a configuration from a JSON file.

    Args:
        path: The file.
        designs: False leaves the designs out, whose files and devices may be elsewhere.

    Raises:
        ConfigError: no such file, no JSON, or a bad field; the message names the file.
    """
    settings = read_settings(path)
    if not designs:
        settings.pop("designs", None)
    try:
        return TrainConfig.from_dict(settings)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from None


def design_name(design: Mapping[str, Any]) -> str:
    """Return the info key under which a design of `TrainConfig.designs` writes."""
    return design.get("name", design["design"])


def make_configured_design(settings: Mapping[str, Any]) -> tuple[RewardDesign, bool]:
    """Return the design of one entry of `TrainConfig.designs`, and whether it is on the buffer.

    Raises:
        ConfigError: an unknown design or argument, or "relabel" is no bool or does not fit.
    """
    kept = {k: v for k, v in settings.items() if k not in ("design", "name", "relabel")}
    design = make_design(settings["design"], **kept)
    relabel = settings.get("relabel", design.relabels)
    if not isinstance(relabel, bool):
        raise _mismatch("relabel", "true or false", relabel)
    if design.relabels and not relabel:
        raise ConfigError(
            f"{settings['design']!r} as configured only relabels; leave out 'relabel', or choose "
            "another 'emit'."
        )
    return design, relabel


def merged_arguments(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Return `above` over `below`; `policy_kwargs` is merged entry by entry."""
    merged = {**below, **above}
    inner, outer = below.get("policy_kwargs"), above.get("policy_kwargs")
    if isinstance(inner, Mapping) and isinstance(outer, Mapping):
        merged["policy_kwargs"] = {**inner, **outer}
    return merged


_MINIMUM = {
    "steps": 1,
    "num_envs": 1,
    "seed": 0,
    "torch_threads": 1,
    "checkpoint_every": 0,
    "keep_checkpoints": 1,
    "eval_episodes": 0,
}


def _mismatch(field: str, expected: str, value: object) -> ConfigError:
    return ConfigError(
        f"The config field {field!r} must be {expected}, got {value!r} ({type(value).__name__})."
    )


def _check_int(field: str, value: object, minimum: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < minimum:
        raise _mismatch(field, f"an integer >= {minimum}", value)


def _checked_mapping(field: str, value: object) -> dict[str, Any]:
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise _mismatch(field, "a mapping of names to values", value)
    try:
        return json.loads(json.dumps(dict(value)))
    except (TypeError, ValueError) as error:
        raise ConfigError(
            f"The config field {field!r} holds a value that JSON cannot keep ({error}); give "
            "functions as 'module:function'."
        ) from None


def _checked_designs(value: object) -> tuple[dict[str, Any], ...]:
    if isinstance(value, str | Mapping) or not isinstance(value, list | tuple):
        raise _mismatch("designs", "a list of mappings", value)
    designs = tuple(_checked_mapping(f"designs[{i}]", item) for i, item in enumerate(value))
    names: set[str] = set()
    for index, design in enumerate(designs):
        _check_design(design, index, len(designs))
        name = design_name(design)
        if not isinstance(name, str):
            raise _mismatch(f"designs[{index}].name", "a name (string)", name)
        if name in names:
            raise ConfigError(
                f"Two designs would write under the name {name!r}; give one of them another: "
                f"{{'design': {design['design']!r}, 'name': ...}}."
            )
        names.add(name)
    return designs


def _check_design(design: Mapping[str, Any], index: int, count: int) -> None:
    if not isinstance(design.get("design"), str):
        raise ConfigError(
            f"designs[{index}] lacks the name of its design, for example "
            f"{{'design': 'count', 'coef': 0.1}}; got {design!r}."
        )
    _, on_buffer = make_configured_design(design)
    if on_buffer and index < count - 1:
        raise ConfigError(
            f"designs[{index}] ({design['design']!r}) rewrites the rewards in the training buffer, "
            "after all other designs have paid. Make it the last of 'designs'."
        )


def _checked_wrappers(value: object) -> tuple[dict[str, Any], ...]:
    if isinstance(value, str | Mapping) or not isinstance(value, list | tuple):
        raise _mismatch("wrappers", "a list of 'module:Class' or mappings", value)
    wrappers = []
    for index, item in enumerate(value):
        wrapper = {"wrapper": item} if isinstance(item, str) else item
        wrapper = _checked_mapping(f"wrappers[{index}]", wrapper)
        path = wrapper.get("wrapper")
        module, _, attribute = path.partition(":") if isinstance(path, str) else ("", "", "")
        if not module or not attribute:
            raise ConfigError(
                f"wrappers[{index}] lacks the import path of its class, for example "
                f"{{'wrapper': 'gymnasium.wrappers:FlattenObservation'}}; got {item!r}."
            )
        wrappers.append(wrapper)
    return tuple(wrappers)
