"""Builds and restores the PPO of a configuration.

- `build_model`: a fresh agent for a VecEnv.
- `restore_model`: the same with the parameters of a saved zip.
- `algorithm_class`: what the agent is.
- `defaults_for`: the starting values for a world, from `defaults.json`.

The values in `defaults.json` are keyed by the beginning of a world's id; the longest match is used.
Where "tuned" is false nobody searched for them.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from types import NoneType
from typing import Any, TypeAlias, get_args, get_origin

from gymnasium import spaces
from sb3_contrib import MaskablePPO
from stable_baselines3 import PPO
from stable_baselines3.common.preprocessing import is_image_space
from stable_baselines3.common.utils import LinearSchedule
from stable_baselines3.common.vec_env import VecEnv

from rewardloom.baselines.training.config import TrainConfig, merged_arguments
from rewardloom.baselines.training.construction import import_named
from rewardloom.baselines.training.devices import checked_device
from rewardloom.baselines.training.worlds import has_action_masks
from rewardloom.errors import ConfigError, refuse_unknown

__all__ = [
    "Agent",
    "algorithm_class",
    "build_model",
    "defaults_for",
    "restore_model",
]

Agent: TypeAlias = PPO | MaskablePPO

_OWN = ("policy", "env", "seed", "device", "verbose", "tensorboard_log", "_init_setup_model")
_SCHEDULED = ("learning_rate", "clip_range", "clip_range_vf")
_KINDS: dict[Any, str] = {
    float: "a number",
    int: "an integer",
    bool: "true or false",
    NoneType: "null",
    Callable: "a schedule",
}
_CNN_SMALLEST = 36  # pixels; SB3's NatureCNN has nothing left below that


def build_model(config: TrainConfig, venv: VecEnv) -> Agent:
    """Build an untrained agent; all random generators are seeded with `config.seed`.

    Raises:
        ConfigError: an unknown argument (with the nearest name) or a value that PPO refuses.
    """
    cls = algorithm_class(config, masked=has_action_masks(venv))
    defaults = defaults_for(config.world)
    kwargs = merged_arguments(defaults["algo_kwargs"], config.algo_kwargs)
    parameters = [name for name in inspect.signature(cls).parameters if name not in _OWN]
    refuse_unknown(kwargs, parameters, kind="argument", where=f"of {cls.__name__}")
    kwargs = {name: _parsed(name, value) for name, value in kwargs.items()}
    for name, value in kwargs.items():
        _check_kind(cls, name, value)
    if "batch_size" not in config.algo_kwargs:
        kwargs["batch_size"] = _divisor(kwargs["n_steps"], venv.num_envs, kwargs["batch_size"])
    policy = _policy(defaults["policy"], venv.observation_space)
    if defaults["features_extractor"] is not None:
        kwargs.setdefault("policy_kwargs", {}).setdefault(
            "features_extractor_class", import_named(defaults["features_extractor"])
        )
    device = _device(config.device, policy, kwargs)
    try:
        return cls(policy, venv, seed=config.seed, device=device, **kwargs)
    except (AssertionError, RuntimeError, TypeError, ValueError) as error:
        raise ConfigError(f"{cls.__name__} cannot be built for {config.world}: {error}") from error


def restore_model(config: TrainConfig, venv: VecEnv, path: Path) -> Agent:
    """Build an agent and give it the parameters and the optimizer state saved in `path`."""
    model = build_model(config, venv)
    model.set_parameters(str(path), device=model.device)
    return model


def algorithm_class(config: TrainConfig, *, masked: bool) -> type[PPO] | type[MaskablePPO]:
    """Return the algorithm for a world that has action masks or none.

    Raises:
        ConfigError: MaskablePPO is wanted on a world without action masks.
    """
    if config.algo == "maskable_ppo" and not masked:
        raise ConfigError(
            f"algo='maskable_ppo' needs a world with action_masks(); {config.world} has none. "
            "Use algo='ppo'."
        )
    return MaskablePPO if masked and config.algo != "ppo" else PPO


def defaults_for(world: str) -> dict[str, Any]:
    """Return the entry of `defaults.json` whose key is the longest beginning of a world's id."""
    text = resources.files("rewardloom.baselines.training").joinpath("defaults.json").read_text()
    table: dict[str, dict[str, Any]] = json.loads(text)
    name = world.rpartition(":")[2]
    return table[max((key for key in table if name.startswith(key)), key=len)]


def _check_kind(cls: type, name: str, value: Any) -> None:
    """Refuse a value that is none of the plain kinds an argument takes.

    SB3 checks few of them and fails later, in the middle of its own arithmetic.
    """
    annotation = inspect.signature(cls).parameters[name].annotation
    options = get_args(annotation) or (annotation,)
    kinds = [Callable if get_origin(option) is Callable else option for option in options]
    if not all(kind in _KINDS for kind in kinds):
        return
    for kind in kinds:
        takes: Any = (int, float) if kind is float else kind
        if isinstance(value, takes) and (kind is bool or not isinstance(value, bool)):
            return
    words = " or ".join(_KINDS[kind] for kind in kinds)
    raise ConfigError(f"{name} must be {words}, got {value!r} (an argument of {cls.__name__}).")


def _divisor(n_steps: int, num_envs: int, batch_size: int) -> int:
    """Return the largest batch, at most `batch_size`, that divides a rollout."""
    if n_steps < 1:
        raise ConfigError(f"n_steps must be an integer >= 1, got {n_steps!r}.")
    rollout = n_steps * num_envs
    return next(size for size in range(min(batch_size, rollout), 0, -1) if rollout % size == 0)


def _parsed(name: str, value: Any) -> Any:
    """Turn the JSON forms of schedules and classes into what SB3 takes."""
    if name in _SCHEDULED and isinstance(value, str):
        kind, _, start = value.partition("_")
        try:
            if kind == "lin":
                return LinearSchedule(float(start), 0.0, 1.0)
        except ValueError:
            pass
        raise ConfigError(f"{name} must be a number or 'lin_<start>', got {value!r}.")
    if name == "policy_kwargs" and isinstance(value, dict):
        return {
            key: import_named(entry) if isinstance(entry, str) and ":" in entry else entry
            for key, entry in value.items()
        }
    return value


def _policy(wanted: str, space: spaces.Space[Any]) -> str | type[Any]:
    """Return SB3's name of a policy, or the class that an import path names."""
    if ":" in wanted:
        return import_named(wanted, "the policy ")
    if wanted != "auto":
        return wanted
    if isinstance(space, spaces.Dict):
        return "MultiInputPolicy"
    if is_image_space(space) and sorted(space.shape or ())[1] >= _CNN_SMALLEST:
        return "CnnPolicy"
    return "MlpPolicy"


def _device(wanted: str, policy: str | type[Any], kwargs: dict[str, Any]) -> str:
    """Resolve "auto": a network of a few dense layers is faster on the CPU."""
    small = policy == "MlpPolicy" and "features_extractor_class" not in kwargs.get(
        "policy_kwargs", {}
    )
    if wanted == "auto":
        return "cpu" if small else "auto"
    return checked_device(wanted)
