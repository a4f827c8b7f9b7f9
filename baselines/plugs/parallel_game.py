"""One copy of a PettingZoo world behind a `ParallelToVecEnv`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from gymnasium.vector.utils import create_empty_array

from rewardloom.baselines.plugs.vector_infos import own_copy
from rewardloom.errors import RunError
from rewardloom.wrappers.batching import row_of

if TYPE_CHECKING:
    from pettingzoo import ParallelEnv

__all__ = ["Game"]


class Game:
    """A world with a fixed row of seats, one per possible agent, that resets itself.

    Args:
        world: The world.
        observation_space: That all its agents share.

    Attributes:
        world: The world.
        agents: Its possible agents, in the order of the seats.
        obs: Each seat's observation: the last one of an agent that has left, zeros before one came.
        reset_infos: Each seat's info at the beginning of the game.
    """

    def __init__(self, world: ParallelEnv, observation_space: Any):
        self.world = world
        self.agents = list(world.possible_agents)
        zeros = create_empty_array(observation_space, n=1, fn=np.zeros)
        self._nothing = row_of(observation_space, zeros, 0)
        self.obs: list[Any] = [self._nothing] * len(self.agents)
        self.reset_infos: list[dict[str, Any]] = [{} for _ in self.agents]
        self._infos = list(self.reset_infos)  # each seat's newest, which may hold its mask
        self._playing = [False] * len(self.agents)
        self._left = [False] * len(self.agents)

    def reset(self, seed: int | None = None, options: dict[str, Any] | None = None) -> None:
        """Start a game.

        Raises:
            RunError: no agent plays.
        """
        obs, infos = self.world.reset(seed=seed, options=options)
        present = set(self.world.agents)
        self._playing = [agent in present for agent in self.agents]
        if not any(self._playing):
            raise RunError(f"A reset of {self.world} brought none of its agents {self.agents}.")
        self._left = [False] * len(self.agents)
        self.obs = [obs.get(agent, self._nothing) for agent in self.agents]
        self.reset_infos = [{**infos.get(agent, {})} for agent in self.agents]
        self._infos = list(self.reset_infos)

    def step(self, actions: Any) -> tuple[list[float], list[bool], list[dict[str, Any]]]:
        """Step the world, and start the next game if this one is over.

        Args:
            actions: One per seat; those of empty seats are ignored.

        Returns:
            rewards, dones and infos, one per seat.

        Raises:
            RunError: an agent vanished without an ending.
        """
        chosen = {a: actions[i] for i, a in enumerate(self.agents) if self._playing[i]}
        results = self.world.step(chosen)
        present = set(self.world.agents)
        rewards, dones, infos = [], [], []
        for seat, agent in enumerate(self.agents):
            if self._playing[seat]:
                reward, done, info = self._take(seat, results, agent in present)
            else:
                reward, done, info = 0.0, False, {"inactive": True}
                if agent in present and not self._left[seat]:
                    self._join(seat, results)
            rewards.append(reward)
            dones.append(done)
            infos.append(info)
        if not any(self._playing):
            self.reset()
        for info, plays in zip(infos, self._playing, strict=True):
            if not plays:
                info["awaits_reset"] = True
        return rewards, dones, infos

    def masks(self) -> np.ndarray | None:
        """Return the (seats, n) bool masks of the next actions, or None if agents give none."""
        found = [self._mask(seat) if plays else None for seat, plays in enumerate(self._playing)]
        given = next((mask for mask in found if mask is not None), None)
        if given is None:
            return None
        everything = np.ones(len(given), bool)
        return np.array([everything if mask is None else mask for mask in found], bool)

    def _take(self, seat: int, results: Any, present: bool) -> tuple[float, bool, dict[str, Any]]:
        """Return reward, done and info of a seat that played, and keep its observation."""
        obs, rewards, terminated, truncated, infos = results
        agent = self.agents[seat]
        if agent not in rewards or not (present or terminated[agent] or truncated[agent]):
            raise RunError(
                f"Agent {agent!r} left {self.world} without an ending. A step gives the reward of "
                "every agent that acted, and one that leaves is terminated or truncated."
            )
        done = bool(terminated[agent] or truncated[agent])
        self.obs[seat] = obs.get(agent, self.obs[seat])
        info = {**infos.get(agent, {})}
        self._infos[seat] = info
        info["TimeLimit.truncated"] = bool(truncated[agent] and not terminated[agent])
        if done:
            self._playing[seat], self._left[seat] = False, True
            self.obs[seat] = info["terminal_observation"] = own_copy(self.obs[seat])
        return float(rewards[agent]), done, info

    def _join(self, seat: int, results: Any) -> None:
        """Let an agent in that was not there at the reset; it acts from the next step on."""
        agent = self.agents[seat]
        self._playing[seat] = True
        self.obs[seat] = results[0].get(agent, self._nothing)
        self.reset_infos[seat] = {**results[4].get(agent, {})}
        self._infos[seat] = self.reset_infos[seat]

    def _mask(self, seat: int) -> Any:
        obs = self.obs[seat]
        if isinstance(obs, dict) and "action_mask" in obs:
            return obs["action_mask"]
        return self._infos[seat].get("action_mask")
