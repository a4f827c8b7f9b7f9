"""The contract's names: which reward components a world declares, whatever its API.

- `COMPONENT_NAME`: the form of a component's name.
- `reward_component_names`: finds the names on an Env, VectorEnv, SB3 VecEnv or PettingZoo world.
- `terminal_component_names`: the subset that means something only at the last step.
"""

from __future__ import annotations

import re
import sys
from typing import Any

import gymnasium as gym

from rewardloom.errors import ComponentError

__all__ = ["COMPONENT_NAME", "reward_component_names", "terminal_component_names"]

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


def _declared(env: Any, attribute: str) -> tuple[str, ...]:
    found = _search(env, attribute)
    for name in found:
        if not isinstance(name, str) or not COMPONENT_NAME.fullmatch(name):
            raise ComponentError(
                f"{attribute} of {_label(env)} holds {name!r}; names match [a-z][a-z0-9_]*."
            )
    return found


def _search(env: Any, attribute: str) -> tuple[str, ...]:
    """Walk `.env`, then ask the sub-environments."""
    layer = env
    while True:
        value = layer.__dict__.get(attribute, getattr(type(layer), attribute, None))
        if isinstance(value, property):
            value = getattr(layer, attribute)
        if value is not None:
            return tuple(value)
        inner = layer.__dict__.get("venv", layer.__dict__.get("env"))
        if inner is None:
            return _from_sub_envs(layer, attribute)
        layer = inner


def _from_sub_envs(env: Any, attribute: str) -> tuple[str, ...]:
    """Return what the sub-environments of a vector declare, which must be one thing."""
    vec_env = sys.modules.get("stable_baselines3.common.vec_env.base_vec_env")
    is_vec_env = vec_env is not None and isinstance(env, vec_env.VecEnv)
    sync_like = isinstance(env, gym.vector.SyncVectorEnv | gym.vector.AsyncVectorEnv)
    if not (is_vec_env or sync_like):
        return ()
    try:
        declared = {tuple(value) for value in env.get_attr(attribute)}
    except AttributeError:
        return ()
    if len(declared) > 1:
        raise ComponentError(
            f"Sub-environments of {_label(env)} declare different {attribute}: "
            f"{sorted(declared)}. Give all of them the same ones."
        )
    return declared.pop() if declared else ()


def _label(env: Any) -> str:
    return f"<{type(env).__name__}>"
