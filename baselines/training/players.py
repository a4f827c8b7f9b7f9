"""Plays single episodes of a configured world, with one face for one agent and for many.

- `Player`: an episode being played; `EnvPlayer` on a Gymnasium world, `ParallelPlayer` on a
  PettingZoo one, where all agents of a game take their actions from one policy.
- `make_player`: the one that a configuration needs.
- `choose_actions`: asks an agent once for all that act next in several episodes.
- `Outcome`: what an episode came to.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any

import gymnasium as gym
import numpy as np
from sb3_contrib import MaskablePPO

from rewardloom.baselines.training.algorithms import Agent
from rewardloom.baselines.training.config import TrainConfig
from rewardloom.baselines.training.parallel_worlds import is_parallel, make_parallel_world
from rewardloom.baselines.training.worlds import has_action_masks, make_world
from rewardloom.errors import RunError

if TYPE_CHECKING:
    from pettingzoo import ParallelEnv

__all__ = [
    "EnvPlayer",
    "Outcome",
    "ParallelPlayer",
    "Player",
    "choose_actions",
    "make_player",
]

_MASK = "action_mask"


@dataclass(frozen=True)
class Outcome:
    """What an episode came to.

    Attributes:
        raw_return: Sum of the world's own reward; of a game, the mean over its agents of each
            agent's sum.
        length: Steps of the world.
        metrics: The world's `info["episode_metrics"]`; of a game, the mean over the agents that
            have them.
        is_success: Whether it succeeded, of a game the share of agents; None where no info says so.
        failed: Whether the infrastructure failed, for any agent of a game.
        agent_returns: agent -> its sum of rewards, of a game; empty on a Gymnasium world.
    """

    raw_return: float
    length: int
    metrics: dict[str, float]
    is_success: float | None
    failed: bool
    agent_returns: dict[str, float] = field(default_factory=dict)


class Player(ABC):
    """An episode being played.

    Attributes:
        world: The world, without designs.
        masked: Whether it has action masks.
        observations: Of those that act next; empty after the end of a game.
    """

    world: Any
    masked: bool
    observations: list[Any]

    @abstractmethod
    def reset(self, seed: int) -> None:
        """Start an episode."""

    @abstractmethod
    def step(self, actions: Sequence[Any]) -> bool:
        """Take one action per observation; return whether the episode is over."""

    @abstractmethod
    def masks(self) -> list[Any]:
        """Return one mask of allowed actions per observation."""

    @abstractmethod
    def outcome(self) -> Outcome:
        """Return what the episode has come to so far."""

    def close(self) -> None:
        """Close the world."""
        self.world.close()


class EnvPlayer(Player):
    """Plays a Gymnasium world.

    Args:
        world: As `make_world` makes it.
    """

    def __init__(self, world: gym.Env[Any, Any]):
        self.world = world
        self.masked = has_action_masks(world)
        self.observations = []
        self._rewards = 0.0
        self._length = 0
        self._info: dict[str, Any] = {}

    def reset(self, seed: int) -> None:
        """Start an episode."""
        self.observations = [self.world.reset(seed=seed)[0]]
        self._rewards, self._length, self._info = 0.0, 0, {}

    def step(self, actions: Sequence[Any]) -> bool:
        """Take the agent's action."""
        obs, reward, terminated, truncated, self._info = self.world.step(actions[0])
        self.observations = [obs]
        self._rewards += float(reward)
        self._length += 1
        return bool(terminated or truncated)

    def masks(self) -> list[Any]:
        """Return the mask of the agent's next action."""
        return [self.world.get_wrapper_attr("action_masks")()]

    def outcome(self) -> Outcome:
        """Return what the episode has come to so far."""
        return Outcome(self._rewards, self._length, *_ending([self._info]))


class ParallelPlayer(Player):
    """Plays a PettingZoo world; a game is over when no agent is left.

    Args:
        world: As `make_parallel_world` makes it. It is reset once: before that nobody knows whether
            the agents have masks.
    """

    def __init__(self, world: ParallelEnv):
        self.world = world
        self.reset(0)
        self.masked = self._mask(self._acting[0]) is not None

    def reset(self, seed: int) -> None:
        """Start a game.

        Raises:
            RunError: no agent plays.
        """
        obs, infos = self.world.reset(seed=seed)
        self._returns: dict[Any, float] = {}
        self._length = 0
        self._left: set[Any] = set()
        self._infos: dict[Any, dict[str, Any]] = {}  # each agent's newest
        self._seat(obs, infos)
        if not self._acting:
            raise RunError(f"A reset of {self.world} brought no agent.")

    def step(self, actions: Sequence[Any]) -> bool:
        """Take the actions of all agents that play."""
        chosen = dict(zip(self._acting, actions, strict=True))
        obs, rewards, terminated, truncated, infos = self.world.step(chosen)
        self._length += 1
        for agent in self._acting:
            self._returns[agent] = self._returns.get(agent, 0.0) + float(rewards[agent])
            if terminated[agent] or truncated[agent]:
                self._left.add(agent)
        self._seat(obs, infos)
        return not self._acting

    def masks(self) -> list[Any]:
        """Return the mask of every agent that plays."""
        return [self._mask(agent) for agent in self._acting]

    def outcome(self) -> Outcome:
        """Return what the game has come to so far."""
        returns = {str(agent): value for agent, value in self._returns.items()}
        mean = float(np.mean(list(returns.values()))) if returns else 0.0
        return Outcome(mean, self._length, *_ending(list(self._infos.values())), returns)

    def _seat(self, obs: Any, infos: Any) -> None:
        self._acting = [agent for agent in self.world.agents if agent not in self._left]
        self._obs = obs
        self._infos |= infos
        self.observations = [obs[agent] for agent in self._acting]

    def _mask(self, agent: Any) -> Any:
        obs = self._obs[agent]
        if isinstance(obs, dict) and _MASK in obs:
            return obs[_MASK]
        return self._infos.get(agent, {}).get(_MASK)


def make_player(config: TrainConfig, *, render_mode: str | None = None) -> Player:
    """Make the configured world without designs, to be played.

    Args:
        config: Names the world, its arguments, wrappers and components.
        render_mode: Passed to the world; None leaves what the configuration says.

    Raises:
        ConfigError: as `make_world` and `make_parallel_world`.
    """
    if is_parallel(config.world):
        return ParallelPlayer(make_parallel_world(config, render_mode=render_mode))
    return EnvPlayer(make_world(config, render_mode=render_mode))


def choose_actions(
    model: Agent, players: Sequence[Player], *, deterministic: bool
) -> list[list[Any]]:
    """Return each player's next actions, for which the model is called once."""
    rows = [obs for player in players for obs in player.observations]
    if isinstance(rows[0], dict):
        batch: Any = {key: np.stack([row[key] for row in rows]) for key in rows[0]}
    else:
        batch = np.stack(rows)
    if isinstance(model, MaskablePPO):
        masks = np.stack([mask for player in players for mask in player.masks()])
        actions = model.predict(batch, deterministic=deterministic, action_masks=masks)[0]
    else:
        actions = model.predict(batch, deterministic=deterministic)[0]
    remaining = iter(actions)
    return [list(islice(remaining, len(player.observations))) for player in players]


def _ending(infos: list[dict[str, Any]]) -> tuple[dict[str, float], float | None, bool]:
    """Return metrics, success and failure as the agents' last infos say."""
    given = [info.get("episode_metrics", {}) for info in infos]
    names = dict.fromkeys(name for metrics in given for name in metrics)
    metrics = {
        name: float(np.mean([values[name] for values in given if name in values])) for name in names
    }
    successes = [float(info["is_success"]) for info in infos if "is_success" in info]
    failed = any(info.get("infra_failure") for info in infos)
    return metrics, float(np.mean(successes)) if successes else None, failed
