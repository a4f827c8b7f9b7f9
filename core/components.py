"""The contract's names: which reward components a world declares, whatever its API.

- `COMPONENT_NAME`: the form of a component's name.
- `inner_layer`: the environment inside a wrapper of any API.
- `reward_component_names`: finds the names on an Env, VectorEnv, SB3 VecEnv or PettingZoo world.
- `terminal_component_names`: the subset that means something only at the last step.
- `sub_env_attributes`: an attribute of every sub-environment, asked for safely.
"""

from __future__ import annotations

import re
import sys
from typing import Any

import gymnasium as gym

from rewardloom.errors import ComponentError

__all__ = [
    "COMPONENT_NAME",
    "inner_layer",
    "reward_component_names",
    "sub_env_attributes",
    "terminal_component_names",
]

COMPONENT_NAME = re.compile(r"[a-z][a-z0-9_]*")


def reward_component_names(env: Any) -> tuple[str, ...]:
    """Return the names of the reward components that `env` declares; empty if it declares none.

    Args:
        env: A `gymnasium.Env`, a `gymnasium.vector.VectorEnv`, an SB3 `VecEnv` or a PettingZoo
            `ParallelEnv`, wrapped or not.

    Raises:
        ComponentError: sub-environments disagree, or a name does not match `[a-z][a-z0-9_]*`.
    """
    return _declared(env, "reward_components")


def terminal_component_names(env: Any) -> tuple[str, ...]:
    """Return the components that mean something only at an episode's last step."""
    return _declared(env, "terminal_components")


def sub_env_attributes(env: Any, attribute: str) -> list[Any] | None:
    """Return `attribute` of every sub-environment of a vector, or None where one lacks it.

    Asking a worker process for an attribute that is not there would end it, so it is first asked
    whether it has it.
    """
    if isinstance(env, gym.vector.SyncVectorEnv | gym.vector.AsyncVectorEnv):
        held = env.call("has_wrapper_attr", attribute)
        return list(env.get_attr(attribute)) if all(held) else None
    vec_env = sys.modules.get("stable_baselines3.common.vec_env.base_vec_env")
    if vec_env is not None and isinstance(env, vec_env.VecEnv):
        return env.get_attr(attribute) if env.has_attr(attribute) else None
    return None


def _declared(env: Any, attribute: str) -> tuple[str, ...]:
    found = _search(env, attribute)
    if isinstance(found, str):
        raise ComponentError(f"{attribute} of {_label(env)} is the string {found!r}, not a tuple.")
    for name in found:
        if not isinstance(name, str) or not COMPONENT_NAME.fullmatch(name):
            raise ComponentError(
                f"{attribute} of {_label(env)} holds {name!r}; names match [a-z][a-z0-9_]*."
            )
    return tuple(found)


def inner_layer(layer: Any) -> Any:
    """Return what a wrapper of any of the four APIs wraps, or None for a world itself."""
    if isinstance(layer, gym.Wrapper | gym.vector.VectorWrapper):
        return layer.env
    if isinstance(layer, gym.Env | gym.vector.VectorEnv):
        return None
    return getattr(layer, "venv", None) or getattr(layer, "env", None)


def _search(env: Any, attribute: str) -> Any:
    """Walk the wrappers inwards, then ask the sub-environments.

    Attributes are read with getattr, never through `__dict__`: on CPython 3.11 that would turn the
    object's inline values into a dict and slow every later step of the vector by a tenth.
    """
    layer = env
    while True:
        value = getattr(layer, attribute, None)
        if value is not None:
            return value
        inner = inner_layer(layer)
        if inner is None:
            return _agreed(layer, attribute)
        layer = inner


def _agreed(env: Any, attribute: str) -> tuple[str, ...]:
    """Return what the sub-environments of a vector declare, which must be one thing."""
    declared = {tuple(value) for value in sub_env_attributes(env, attribute) or ()}
    if not declared:
        _refuse_some(env, attribute)
    if len(declared) > 1:
        raise ComponentError(
            f"Sub-environments of {_label(env)} declare different {attribute}: "
            f"{sorted(declared)}. Give all of them the same ones."
        )
    return declared.pop() if declared else ()


def _refuse_some(env: Any, attribute: str) -> None:
    """Raise if only some sub-environments of a Gymnasium vector declare anything."""
    if isinstance(env, gym.vector.SyncVectorEnv | gym.vector.AsyncVectorEnv):
        held = env.call("has_wrapper_attr", attribute)
        if any(held):
            raise ComponentError(
                f"Sub-environments {[i for i, has in enumerate(held) if not has]} of {_label(env)} "
                f"declare no {attribute}, the others do. Give all of them the same ones."
            )


def _label(env: Any) -> str:
    return f"<{type(env).__name__}>"
