"""`VectorEnvToVecEnv`: trains a Gymnasium VectorEnv, native ones included, with SB3."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv
from stable_baselines3.common.env_util import is_wrapped
from stable_baselines3.common.vec_env import VecEnv

from rewardloom.baselines.plugs.vector_infos import own_copy, split_infos
from rewardloom.components import sub_env_attributes
from rewardloom.errors import ConfigError

__all__ = ["VectorEnvToVecEnv"]


class VectorEnvToVecEnv(VecEnv):
    """Presents a Gymnasium VectorEnv as an SB3 VecEnv.

    The vector must be in SAME_STEP autoreset mode, as SB3 expects: at an episode's end the
    observation is already the next episode's first, and `info["terminal_observation"]` the true
    last one. Components, masks and time limits of every step arrive in its environment's info, and
    so does what wrappers of the vector wrote there. Observations and rewards are copies.

    A native vector answers `get_attr` and `env_method` for all environments at once: a method must
    return one entry per environment, as `action_masks() -> (N, n)` does.

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
            raise ConfigError(_wrong_mode(env, mode))
        self.env = env
        self._actions: Any = None
        self._closed = False
        super().__init__(env.num_envs, env.single_observation_space, env.single_action_space)

    def reset(self) -> Any:
        """Start an episode in every environment, with the seed and options that were set.

        Environment i gets seed + i, as a Gymnasium vector does with one number.
        """
        obs, infos = self.env.reset(seed=self._seeds[0], options=self._shared_options())
        self._reset_seeds()
        self._reset_options()
        self.reset_infos = split_infos(infos, self.num_envs)[1]
        return own_copy(obs)

    def step_async(self, actions: np.ndarray) -> None:
        """Keep the actions for `step_wait`."""
        self._actions = actions

    def step_wait(self) -> Any:
        """Step the vector; return (obs, rewards (N,) float32, dones (N,) bool, infos)."""
        obs, rewards, terminated, truncated, table = self.env.step(self._actions)
        dones = terminated | truncated
        infos, resets = split_infos(table, self.num_envs)
        for slot, info in enumerate(infos):
            info["TimeLimit.truncated"] = bool(truncated[slot] and not terminated[slot])
            if dones[slot]:
                info["terminal_observation"] = own_copy(table["final_obs"][slot])
                self.reset_infos[slot] = resets[slot]
        return own_copy(obs), np.array(rewards, np.float32), dones, infos

    def close(self) -> None:
        """Close the vector, once."""
        if not self._closed:
            self._closed = True
            self.env.close()

    def get_images(self) -> Sequence[Any]:
        """Return the vector's frames, one per environment."""
        frames: Any = self.env.render()
        return [None] * self.num_envs if frames is None else list(frames)

    def has_attr(self, attr_name: str) -> bool:
        """Return whether the vector, or every environment in it, has an attribute."""
        vector = self.env.unwrapped
        if hasattr(self.env, attr_name) or hasattr(vector, attr_name):
            return True
        return sub_env_attributes(vector, attr_name) is not None

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        """Return an attribute per environment; one of the vector itself is repeated."""
        chosen = list(self._get_indices(indices))
        values = sub_env_attributes(self.env.unwrapped, attr_name)
        if values is not None:
            return [values[slot] for slot in chosen]
        owner = self.env if hasattr(self.env, attr_name) else self.env.unwrapped
        value = getattr(owner, attr_name)
        return [value for _ in chosen]

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
        """Set an attribute of the environments, or of a native vector as a whole.

        Raises:
            ConfigError: only some environments are meant, and the vector cannot tell them apart.
        """
        vector: Any = self.env.unwrapped
        if isinstance(vector, SyncVectorEnv):
            for slot in self._get_indices(indices):
                setattr(vector.envs[slot], attr_name, value)
            return
        self._refuse_some(indices, f"set {attr_name!r}")
        if isinstance(vector, AsyncVectorEnv):
            vector.set_attr(attr_name, value)
        else:
            setattr(vector, attr_name, value)

    def env_method(
        self, method_name: str, *args: Any, indices: Any = None, **kwargs: Any
    ) -> list[Any]:
        """Call a method of the environments; a native vector's own answers for all at once.

        Raises:
            ConfigError: only some environments are meant, and the vector cannot tell them apart;
                or a native vector's method does not return one entry per environment.
        """
        vector: Any = self.env.unwrapped
        if isinstance(vector, SyncVectorEnv):
            chosen = [vector.envs[slot] for slot in self._get_indices(indices)]
            return [env.get_wrapper_attr(method_name)(*args, **kwargs) for env in chosen]
        self._refuse_some(indices, f"call {method_name!r}")
        if isinstance(vector, AsyncVectorEnv):
            return list(vector.call(method_name, *args, **kwargs))
        owner: Any = self.env if hasattr(self.env, method_name) else vector
        values = getattr(owner, method_name)(*args, **kwargs)
        if not hasattr(values, "__len__") or len(values) != self.num_envs:
            raise ConfigError(
                f"{method_name} of {self.env} must return one entry for each of its "
                f"{self.num_envs} environments, got {values!r}."
            )
        return list(values)

    def env_is_wrapped(self, wrapper_class: type, indices: Any = None) -> list[bool]:
        """Return whether each environment is wrapped; False where the vector cannot tell."""
        vector: Any = self.env.unwrapped
        chosen = list(self._get_indices(indices))
        if isinstance(vector, SyncVectorEnv):
            return [is_wrapped(vector.envs[slot], wrapper_class) for slot in chosen]
        return [False for _ in chosen]

    def _shared_options(self) -> dict[str, Any] | None:
        """Return the options of all environments, which a vector takes as one dict."""
        first = self._options[0]
        if any(options != first for options in self._options):
            raise ConfigError(
                f"A Gymnasium vector takes one dict of options for all environments, got "
                f"{self._options}."
            )
        return first or None

    def _refuse_some(self, indices: Any, action: str) -> None:
        if list(self._get_indices(indices)) != list(range(self.num_envs)):
            raise ConfigError(
                f"Cannot {action} for environments {indices} alone: {self.env} answers for all "
                "at once. Leave indices out, or use a SyncVectorEnv."
            )


def _wrong_mode(env: gym.vector.VectorEnv, mode: Any) -> str:
    """Return the message for a vector that SB3 cannot train, with the call that mends it."""
    name = f'"{env.spec.id}"' if env.spec is not None else "..."
    return (
        f"SB3 needs SAME_STEP autoreset, but {env} has {mode}. Make it with\n"
        f'gym.make_vec({name}, num_envs={env.num_envs}, vectorization_mode="sync", '
        'vector_kwargs={"autoreset_mode": gym.vector.AutoresetMode.SAME_STEP}),\n'
        "or let a native vector offer that mode."
    )
