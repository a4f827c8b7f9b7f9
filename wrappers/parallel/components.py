"""`RewardComponents` for a PettingZoo `ParallelEnv`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pettingzoo import ParallelEnv
from pettingzoo.utils import BaseParallelWrapper

from rewardloom.components import reward_component_names, terminal_component_names
from rewardloom.errors import ConfigError
from rewardloom.wrappers.components import read_source
from rewardloom.wrappers.sources import Transition, parse_sources, terminal_subset

__all__ = ["RewardComponents"]


class RewardComponents(BaseParallelWrapper):
    """Writes `info["reward_components"]` for every living agent at every step.

    Arguments and errors are those of `rewardloom.wrappers.RewardComponents`; a function receives
    each agent's own `Transition`.
    """

    def __init__(
        self, env: ParallelEnv, *, terminal_components: Sequence[str] = (), **components: Any
    ):
        if not isinstance(env, ParallelEnv):
            raise ConfigError(
                "RewardComponents of rewardloom.wrappers.parallel takes a PettingZoo ParallelEnv, "
                f"got {type(env).__name__}. Convert an AECEnv with "
                "pettingzoo.utils.conversions.aec_to_parallel."
            )
        super().__init__(env)
        inner = reward_component_names(env)
        self._sources = parse_sources(components, inner)
        names = tuple(source.name for source in self._sources)
        self._terminal = terminal_subset(terminal_components, names)
        self.reward_components = inner + names
        self.terminal_components = terminal_component_names(env) + self._terminal
        self._obs: dict[Any, Any] = {}
        self._steps = 0

    def reset(
        self, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[Any, Any], dict[Any, dict[str, Any]]]:
        """Start an episode; no components are written at reset."""
        obs, infos = self.env.reset(seed=seed, options=options)
        self._obs = obs
        self._steps = 0
        return obs, infos

    def step(self, actions: dict[Any, Any]) -> tuple[Any, Any, Any, Any, Any]:
        """Step the world and add every agent's components."""
        obs, rewards, terminated, truncated, infos = self.env.step(actions)
        self._steps += 1
        written = dict(infos)
        for agent, reward in rewards.items():
            over = terminated[agent] or truncated[agent]
            transition = Transition(
                self._obs.get(agent),
                actions.get(agent),
                obs.get(agent),
                reward,
                terminated[agent],
                truncated[agent],
                infos[agent],
            )
            values = dict(infos[agent].get("reward_components", ()))
            for source in self._sources:
                if source.name in self._terminal and not over:
                    values[source.name] = 0.0
                else:
                    where = f"step {self._steps} of agent {agent!r}"
                    values[source.name] = read_source(source, transition, lambda w=where: w)
            written[agent] = {**infos[agent], "reward_components": values}
            written[agent].setdefault("raw_reward", float(reward))
        self._obs = obs
        return obs, rewards, terminated, truncated, written
