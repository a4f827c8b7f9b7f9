"""`ToolChain`: a world where outcome-only rewards fail and rewards for good steps are farmed.

Importing this module registers `ToolChain-v0`; configurations name it
`rewardloom.baselines.tasks.chain:ToolChain-v0`.
"""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces

from rewardloom.errors import ConfigError

__all__ = ["ToolChain"]


class ToolChain(gym.Env[np.ndarray, np.int64]):
    """K tools must be called in order, then the work submitted; nothing is seen on the way.

    A task designed for this library, not a benchmark: random calls almost never finish the chain,
    and a tool that is done can be called again, which is valid and useless.

    ## Action Space
    `Discrete(tools + 1)`: action j < tools calls tool j, the last one submits.

    ## Observation Space
    `Box(0, 1, (tools + 2,), float32)`: how many tools are done, one-hot, and the share of the
    horizon that has passed.

    ## Rewards
    The reward is the component `outcome`: 1 at a submission with all tools done, else 0.

    | component | value |
    |---|---|
    | `outcome` (terminal) | 1.0 where the submission is right, else 0.0 |
    | `progress` | 1.0 where the call did the next tool; with `leaky`, also at calls of tool 0 |
    | `tool_<j>` | 1.0 at a valid call of tool j: the next one, or one already done |

    ## Episode End
    Terminates at a submission or at the horizon, which counts as not submitted.

    Args:
        tools: K, at least 1.
        horizon: Longest episode in steps, more than `tools`.
        leaky: Whether the progress signal has a hole: tool 0 always shows progress.

    Raises:
        ConfigError: `tools` or `horizon` is out of range.
    """

    metadata: dict[str, Any] = {"render_modes": []}  # noqa: RUF012 (Gymnasium's own annotation)
    terminal_components = ("outcome",)

    def __init__(self, tools: int = 12, horizon: int = 30, *, leaky: bool = False):
        if tools < 1 or horizon <= tools:
            raise ConfigError(
                f"A chain needs tools >= 1 and horizon > tools, got {tools} and {horizon}."
            )
        self.tools = tools
        self.horizon = horizon
        self.leaky = leaky
        self.reward_components = ("outcome", "progress", *(f"tool_{j}" for j in range(tools)))
        self.observation_space = spaces.Box(0.0, 1.0, (tools + 2,), np.float32)
        self.action_space = spaces.Discrete(tools + 1)
        self._done = 0
        self._clock = 0

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Start with no tool done."""
        super().reset(seed=seed)
        self._done = self._clock = 0
        return self._observe(), {}

    def step(self, action: np.int64) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Call a tool or submit."""
        self._clock += 1
        tool, values = int(action), dict.fromkeys(self.reward_components, 0.0)
        submits = tool == self.tools
        if not submits and tool <= self._done:
            values[f"tool_{tool}"] = 1.0
            values["progress"] = float(tool == self._done or (self.leaky and tool == 0))
            self._done += tool == self._done
        elif submits:
            values["outcome"] = float(self._done == self.tools)
        over = submits or self._clock >= self.horizon
        info: dict[str, Any] = {"reward_components": values}
        if over:
            info["is_success"] = values["outcome"] > 0
            info["episode_metrics"] = {"tools_done": float(self._done)}
        return self._observe(), values["outcome"], over, False, info

    def _observe(self) -> np.ndarray:
        obs = np.zeros(self.tools + 2, np.float32)
        obs[self._done] = 1.0
        obs[-1] = self._clock / self.horizon
        return obs


if "ToolChain-v0" not in gym.registry:
    gym.register("ToolChain-v0", entry_point=f"{__name__}:ToolChain")
