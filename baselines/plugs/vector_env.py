"""`VectorEnvToVecEnv`: trains a Gymnasium VectorEnv, native ones included, with SB3."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode
from stable_baselines3.common.vec_env import VecEnv

from rewardloom.components import sub_env_attributes
from rewardloom.errors import ConfigError
from rewardloom.wrappers.vector.design import slot_info

__all__ = ["VectorEnvToVecEnv"]


class VectorEnvToVecEnv(VecEnv):
    """Presents a Gymnasium VectorEnv as an SB3 VecEnv.

    The vector must be in SAME_STEP autoreset mode, as SB3 expects: at an episode's end the
    observation is already the next episode's first, and `info["terminal_observation"]` the true
    last one. Components, masks and time limits of every step arrive in its environment's info.

    Args:
        env: The vector environment.

    Raises:
        ConfigError: `env` is no VectorEnv, or in another autoreset mode.

    >>> import gymnasium as gym
    >>> from gymnasium.vector import AutoresetMode
    >>> from rewardloom.baselines.plugs import VectorEnvToVecEnv
    >>> vector = gym.make_vec(
    ...     "CartPole-v1",
    ...     num_envs=3,
    ...     vectorization_mode="sync",
    ...     vector_kwargs={"autoreset_mode": AutoresetMode.SAME_STEP},
    ... )
    >>> venv = VectorEnvToVecEnv(vector)
    >>> venv.reset().shape
    (3, 4)
    """

    def __init__(self, env: gym.vector.VectorEnv):
        if not isinstance(env, gym.vector.VectorEnv):
            raise ConfigError(
                f"VectorEnvToVecEnv takes a gymnasium.vector.VectorEnv, got {type(env).__name__}."
            )
        mode = env.metadata.get("autoreset_mode")
        if mode is not AutoresetMode.SAME_STEP:
            raise ConfigError(
                f"SB3 needs SAME_STEP autoreset, but {env} has {mode}. Make it with gym.make_vec("
                "..., vector_kwargs={'autoreset_mode': gym.vector.AutoresetMode.SAME_STEP})."
            )
        self.env = env
        self._actions: Any = None
        super().__init__(env.num_envs, env.single_observation_space, env.single_action_space)

    @property
    def unwrapped(self) -> Any:
        """The Gymnasium vector itself."""
        return self.env.unwrapped

    def reset(self) -> Any:
        """Start an episode in every environment, with the seeds given to `seed`."""
        seeds = self._seeds if any(seed is not None for seed in self._seeds) else None
        obs, infos = self.env.reset(seed=seeds)  # pyright: ignore[reportArgumentType] (a list)
        self._reset_seeds()
        self._reset_options()
        self.reset_infos = [slot_info(infos, i) for i in range(self.num_envs)]
        return obs

    def step_async(self, actions: np.ndarray) -> None:
        """Keep the actions for `step_wait`."""
        self._actions = actions

    def step_wait(self) -> Any:
        """Step the vector; return (obs, rewards (N,) float32, dones (N,) bool, infos)."""
        obs, rewards, terminated, truncated, table = self.env.step(self._actions)
        dones = terminated | truncated
        infos = [slot_info(table, i) for i in range(self.num_envs)]
        for i in np.flatnonzero(dones).tolist():
            infos[i]["terminal_observation"] = _own(table["final_obs"][i])
            infos[i]["TimeLimit.truncated"] = bool(truncated[i] and not terminated[i])
            self.reset_infos[i] = slot_info({**table, "_final_info": None}, i)
        return obs, np.asarray(rewards, np.float32).copy(), dones, infos

    def close(self) -> None:
        """Close the vector."""
        self.env.close()

    def render(self, mode: str | None = None) -> Any:
        """Return the vector's own rendering."""
        return self.env.render()

    def has_attr(self, attr_name: str) -> bool:
        """Return whether the vector, or every environment in it, has an attribute."""
        if hasattr(self.env, attr_name):
            return True
        return sub_env_attributes(self.env.unwrapped, attr_name) is not None

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        """Return an attribute per environment; one of the vector itself is repeated."""
        chosen = list(self._get_indices(indices))
        values = sub_env_attributes(self.env.unwrapped, attr_name)
        if values is not None:
            return [values[i] for i in chosen]
        value = getattr(self.env, attr_name)
        return [value for _ in chosen]

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
        """Refused: a vector's environments are not set one by one."""
        raise ConfigError(
            f"Cannot set {attr_name!r} through VectorEnvToVecEnv; set it on the vector before "
            "wrapping it."
        )

    def env_method(
        self, method_name: str, *args: Any, indices: Any = None, **kwargs: Any
    ) -> list[Any]:
        """Call a method; a native vector's own answers for all environments at once."""
        unwrapped = self.env.unwrapped
        if isinstance(unwrapped, gym.vector.SyncVectorEnv | gym.vector.AsyncVectorEnv):
            values: Sequence[Any] = unwrapped.call(method_name, *args, **kwargs)
        else:
            values = getattr(self.env, method_name)(*args, **kwargs)
        return [values[i] for i in self._get_indices(indices)]

    def env_is_wrapped(self, wrapper_class: type, indices: Any = None) -> list[bool]:
        """Return False for every environment: Gymnasium does not tell."""
        return [False for _ in self._get_indices(indices)]


def _own(obs: Any) -> Any:
    """Return a final observation that no later step overwrites."""
    if isinstance(obs, Mapping):
        return {key: _own(value) for key, value in obs.items()}
    return np.array(obs)
