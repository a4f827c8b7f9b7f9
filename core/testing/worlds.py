"""Small worlds that keep the component contract, for tests and timings.

- `ComponentWorld`: seeded episodes of varying length that end in every way there is.
- `NullEnv`, `NullVectorEnv`: do nothing, as fast as possible, with four components.
"""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from gymnasium.vector import AutoresetMode
from gymnasium.vector.utils import batch_space

__all__ = ["COMPONENTS", "ComponentWorld", "NullEnv", "NullVectorEnv"]

COMPONENTS = ("a", "b", "c", "outcome")
"""What the worlds of this module declare; `outcome` is terminal."""

_CAPTIONS = ("You see nothing.", "You kill the newt!", "$ - 5 gold pieces.", "")


class ComponentWorld(gym.Env[Any, Any]):
    """A seeded random walk whose episodes vary in length and in how they end.

    The reward is a + 2 b - c + outcome. `info` carries a caption and a cost at every step.

    Args:
        max_length: Longest episode, in steps.
        dict_obs: Give the observation as a Dict with the entries `position` and `clock`.
        truncation: Share of episodes that a limit ends.
        failure: Share of episodes that an infrastructure failure ends.
    """

    metadata: dict[str, Any] = {"render_modes": []}  # noqa: RUF012 (Gymnasium's own annotation)
    reward_components = COMPONENTS
    terminal_components = ("outcome",)

    def __init__(
        self,
        max_length: int = 7,
        *,
        dict_obs: bool = False,
        truncation: float = 0.4,
        failure: float = 0.0,
    ):
        self.max_length = max_length
        self.dict_obs = dict_obs
        self.truncation = truncation
        self.failure = failure
        box = spaces.Box(-100.0, 100.0, (3,), np.float32)
        clock = spaces.Discrete(max_length + 1)
        self.observation_space = spaces.Dict({"position": box, "clock": clock}) if dict_obs else box
        self.action_space = spaces.Discrete(3)
        self._position = np.zeros(3, np.float32)
        self._clock = 0
        self._length = 1
        self._ending = "terminated"

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None):
        """Start an episode whose length and ending are drawn now."""
        super().reset(seed=seed)
        self._length = int(self.np_random.integers(1, self.max_length + 1))
        luck = self.np_random.random()
        if luck < self.failure:
            self._ending = "failed"
        else:
            self._ending = "truncated" if luck < self.failure + self.truncation else "terminated"
        self._clock = 0
        self._position = self.np_random.integers(-2, 3, 3).astype(np.float32)
        return self._observe(), {"caption": self._caption(), "cost": 0.0}

    def step(self, action: Any):
        """Move at random; the action shifts the first coordinate."""
        self._clock += 1
        move = self.np_random.normal(size=3)
        self._position = np.clip(self._position + move.astype(np.float32), -100, 100)
        self._position[0] += int(action) - 1
        over = self._clock >= self._length
        failed = over and self._ending == "failed"
        outcome = (1.0 if move[0] > 0 else -1.0) if over and not failed else 0.0
        values = {"a": float(move[0]), "b": float(move[1]), "c": float(move[2])}
        values["outcome"] = outcome
        reward = values["a"] + 2 * values["b"] - values["c"] + outcome
        info: dict[str, Any] = {
            "reward_components": values,
            "caption": self._caption(),
            "cost": abs(float(move[2])),
        }
        if over:
            info["is_success"] = outcome > 0
        if failed:
            info["infra_failure"] = True
        terminated = over and self._ending == "terminated"
        return self._observe(), reward, terminated, over and not terminated, info

    def _observe(self) -> Any:
        if self.dict_obs:
            return {"position": self._position.copy(), "clock": np.int64(self._clock)}
        return self._position.copy()

    def _caption(self) -> str:
        return _CAPTIONS[int(self.np_random.integers(len(_CAPTIONS)))]


class NullEnv(gym.Env[Any, Any]):
    """Returns the same observation and four components at every step; never ends.

    Its step costs next to nothing, so the time of a wrapper on it is the wrapper's own.
    """

    metadata: dict[str, Any] = {"render_modes": []}  # noqa: RUF012
    reward_components = COMPONENTS
    terminal_components = ("outcome",)

    def __init__(self):
        self.observation_space = spaces.Box(-1.0, 1.0, (4,), np.float32)
        self.action_space = spaces.Discrete(2)
        self._obs = np.zeros(4, np.float32)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None):
        """Return the one observation."""
        super().reset(seed=seed)
        return self._obs, {}

    def step(self, action: Any):
        """Return the one observation, reward 1 and the components."""
        values = {"a": 1.0, "b": 0.5, "c": -0.25, "outcome": 0.0}
        return self._obs, 1.0, False, False, {"reward_components": values}


class NullVectorEnv(gym.vector.VectorEnv[Any, Any, Any]):
    """`NullEnv` as a native VectorEnv: one set of arrays for all sub-environments.

    Args:
        num_envs: Number of sub-environments.
        autoreset_mode: What the metadata says; nothing ever ends.
    """

    reward_components = COMPONENTS
    terminal_components = ("outcome",)

    def __init__(self, num_envs: int, autoreset_mode: AutoresetMode = AutoresetMode.SAME_STEP):
        self.num_envs = num_envs
        self.metadata = {"render_modes": [], "autoreset_mode": autoreset_mode}
        self.single_observation_space = spaces.Box(-1.0, 1.0, (4,), np.float32)
        self.single_action_space = spaces.Discrete(2)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self._obs = np.zeros((num_envs, 4), np.float32)
        self._rewards = np.ones(num_envs)
        self._never = np.zeros(num_envs, bool)
        self._always = np.ones(num_envs, bool)
        self._values = {name: np.full(num_envs, 0.5) for name in COMPONENTS}
        self._values |= {f"_{name}": self._always for name in COMPONENTS}

    def reset(self, *, seed: Any = None, options: dict[str, Any] | None = None):
        """Return the one observation."""
        return self._obs, {}

    def step(self, actions: Any):
        """Return the one observation, rewards of 1 and the components."""
        infos = {"reward_components": self._values, "_reward_components": self._always}
        return self._obs, self._rewards, self._never, self._never, infos
