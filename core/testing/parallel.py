"""A PettingZoo world that keeps the component contract, for tests; needs `rewardloom[parallel]`."""

from __future__ import annotations

from typing import Any

from pettingzoo import ParallelEnv

from rewardloom.testing.worlds import COMPONENTS, ComponentWorld

__all__ = ["ParallelComponentWorld"]


class ParallelComponentWorld(ParallelEnv):
    """One `ComponentWorld` per agent; an agent leaves when its episode ends.

    Args:
        num_agents: Number of agents, called agent_0, agent_1, ...
        world_kwargs: Arguments of every agent's `ComponentWorld`.
    """

    metadata: dict[str, Any] = {"name": "parallel_component_world_v0"}  # noqa: RUF012
    reward_components = COMPONENTS
    terminal_components = ("outcome",)

    def __init__(self, num_agents: int = 3, **world_kwargs: Any):
        self.possible_agents = [f"agent_{i}" for i in range(num_agents)]
        self.agents: list[str] = []
        self._worlds = {agent: ComponentWorld(**world_kwargs) for agent in self.possible_agents}

    def observation_space(self, agent: Any) -> Any:
        """Return the agent's observation space."""
        return self._worlds[agent].observation_space

    def action_space(self, agent: Any) -> Any:
        """Return the agent's action space."""
        return self._worlds[agent].action_space

    def reset(self, seed: int | None = None, options: dict[str, Any] | None = None):
        """Bring every agent back; agent i is seeded with seed + i."""
        self.agents = list(self.possible_agents)
        obs, infos = {}, {}
        for i, agent in enumerate(self.agents):
            agent_seed = None if seed is None else seed + i
            obs[agent], infos[agent] = self._worlds[agent].reset(seed=agent_seed)
        return obs, infos

    def step(self, actions: dict[Any, Any]):
        """Step every living agent's world."""
        steps = {agent: self._worlds[agent].step(actions[agent]) for agent in self.agents}

        def column(k: int) -> dict[str, Any]:
            return {agent: step[k] for agent, step in steps.items()}

        obs, rewards, terminated, truncated, infos = map(column, range(5))
        self.agents = [a for a in self.agents if not (terminated[a] or truncated[a])]
        return obs, rewards, terminated, truncated, infos
