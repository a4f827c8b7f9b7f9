"""`ParallelToVecEnv`: trains one shared policy on a PettingZoo world with SB3."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from stable_baselines3.common.vec_env import VecEnv

from rewardloom.baselines.plugs.parallel_game import Game
from rewardloom.errors import ConfigError, MissingDependency
from rewardloom.wrappers.batching import stack_rows

if TYPE_CHECKING:
    from pettingzoo import ParallelEnv

__all__ = ["ParallelToVecEnv"]

_MASKS = "action_masks"


class ParallelToVecEnv(VecEnv):
    """Presents copies of a PettingZoo `ParallelEnv` as an SB3 VecEnv with one slot per agent.

    Slots are copy after copy, each with its `possible_agents` in order, so one policy is trained by
    all agents. A copy is reset as soon as none of its agents is left, within the same step.

    An agent that leaves before its game is over ends its episode then: `done`,
    `terminal_observation` and, after a limit, `TimeLimit.truncated`. SB3 knows no empty slots, so
    until the game is over its slot idles: it repeats the last observation, ignores actions (all of
    them are allowed), is paid 0 and is never done; `info["inactive"]` is True at idle steps, and
    `info["awaits_reset"]` is True at each step after which the slot (still) idles. Designs and
    `attach_relabel` leave idle steps out. SB3 itself counts them as time steps and trains on them:
    no value of a played step depends on one, and their advantage is the same for every action. A
    VecMonitor adds them to the length, not to the return, of the slot's next episode.

    Masks that agents give as `info["action_mask"]` or as the entry `action_mask` of a Dict
    observation serve MaskablePPO. `get_attr` and `env_method` ask the world of a slot; a method is
    called once per copy and its result repeated for the slots of that copy.

    Args:
        env: One world, or functions that make one each: `[make_world] * 4` for four copies.

    Attributes:
        slots: The copy and the agent of each slot.

    Raises:
        ConfigError: `env` is something else, or agents have different spaces.
        RunError: an agent vanished without an ending, or a reset brought no agent.

    >>> from rewardloom.baselines.plugs import ParallelToVecEnv
    >>> from rewardloom.testing.parallel import ParallelComponentWorld
    >>> venv = ParallelToVecEnv([lambda: ParallelComponentWorld(3)] * 2)
    >>> venv.num_envs, venv.slots[4]
    (6, (1, 'agent_1'))
    >>> venv.reset().shape
    (6, 3)
    """

    def __init__(self, env: ParallelEnv | Sequence[Callable[[], ParallelEnv]]):
        worlds = _worlds(env)
        observation_space, action_space = _shared_spaces(worlds)
        self._games = [Game(world, observation_space) for world in worlds]
        self.slots = [(k, agent) for k, game in enumerate(self._games) for agent in game.agents]
        ends = np.cumsum([len(game.agents) for game in self._games]).tolist()
        self._parts = [
            slice(end - len(g.agents), end) for end, g in zip(ends, self._games, strict=True)
        ]
        self._actions: Any = None
        self._closed = False
        super().__init__(len(self.slots), observation_space, action_space)

    def reset(self) -> Any:
        """Start a game in every copy, with the seed and options of its first slot."""
        for game, part in zip(self._games, self._parts, strict=True):
            options = self._options[part]
            if any(option != options[0] for option in options):
                raise ConfigError(
                    f"The agents of one game share its options, got {options}. Give every slot of "
                    "a copy the same ones."
                )
            game.reset(self._seeds[part.start], options[0] or None)
        self._reset_seeds()
        self._reset_options()
        self._gather_reset_infos()
        return self._observations()

    def step_async(self, actions: np.ndarray) -> None:
        """Keep the actions for `step_wait`."""
        self._actions = actions

    def step_wait(self) -> Any:
        """Step every copy; return (obs, rewards (N,) float32, dones (N,) bool, infos)."""
        rewards = np.zeros(self.num_envs, np.float32)
        dones = np.zeros(self.num_envs, bool)
        infos: list[dict[str, Any]] = []
        for game, part in zip(self._games, self._parts, strict=True):
            rewards[part], dones[part], own = game.step(self._actions[part])
            infos += own
        self._gather_reset_infos()
        return self._observations(), rewards, dones, infos

    def close(self) -> None:
        """Close every copy, once."""
        if not self._closed:
            self._closed = True
            for game in self._games:
                game.world.close()

    def get_images(self) -> Sequence[Any]:
        """Return one frame per copy."""
        return [game.world.render() for game in self._games]

    def action_masks(self) -> np.ndarray:
        """Return the (N, n) bool masks of the next actions.

        Raises:
            AttributeError: the agents give no masks (known after `reset` only).
        """
        masks = [mask for game in self._games if (mask := game.masks()) is not None]
        if len(masks) < len(self._games):
            raise AttributeError("The agents give no action masks.")
        return np.concatenate(masks)

    def has_attr(self, attr_name: str) -> bool:
        """Return whether every copy has an attribute; for `action_masks`, whether agents give any.

        Masks in infos are known after `reset` only.
        """
        if attr_name == _MASKS:
            return all(game.masks() is not None for game in self._games)
        return super().has_attr(attr_name)

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        """Return an attribute of the world of each slot."""
        worlds = self._worlds(indices)
        if attr_name == "render_mode":  # SB3 asks for it; not every world has one
            return [getattr(world, attr_name, None) for world in worlds]
        return [getattr(world, attr_name) for world in worlds]

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
        """Set an attribute of the worlds of some slots, on their outermost wrapper."""
        for world in self._worlds(indices):
            setattr(world, attr_name, value)

    def env_method(
        self, method_name: str, *args: Any, indices: Any = None, **kwargs: Any
    ) -> list[Any]:
        """Call a method of each copy once; return its result for each slot."""
        chosen = list(self._get_indices(indices))
        if method_name == _MASKS:
            masks = self.action_masks()
            return [masks[slot] for slot in chosen]
        copies = [self.slots[slot][0] for slot in chosen]
        results = {
            k: getattr(self._games[k].world, method_name)(*args, **kwargs)
            for k in dict.fromkeys(copies)
        }
        return [results[k] for k in copies]

    def env_is_wrapped(self, wrapper_class: type, indices: Any = None) -> list[bool]:
        """Return whether the world of each slot is wrapped in a class."""
        return [_is_wrapped(world, wrapper_class) for world in self._worlds(indices)]

    def _worlds(self, indices: Any) -> list[Any]:
        return [self._games[self.slots[i][0]].world for i in self._get_indices(indices)]

    def _observations(self) -> Any:
        rows = [row for game in self._games for row in game.obs]
        return stack_rows(self.observation_space, rows)

    def _gather_reset_infos(self) -> None:
        self.reset_infos = [info for game in self._games for info in game.reset_infos]


def _worlds(env: Any) -> list[ParallelEnv]:
    """Return the copies, or raise `ConfigError`."""
    try:
        from pettingzoo import ParallelEnv
    except ImportError as error:
        raise MissingDependency(
            'PettingZoo is not installed. Run: pip install "rewardloom[parallel]"'
        ) from error
    if isinstance(env, ParallelEnv):
        return [env]
    if not isinstance(env, Sequence) or not env or not all(map(callable, env)):
        raise ConfigError(
            "ParallelToVecEnv takes a PettingZoo ParallelEnv or a list of functions that make one "
            f"each, got {env!r}. Convert an AECEnv with "
            "pettingzoo.utils.conversions.aec_to_parallel."
        )
    worlds = [make() for make in env]
    for world in worlds:
        if not isinstance(world, ParallelEnv):
            raise ConfigError(
                f"A function given to ParallelToVecEnv made a {type(world).__name__}, not a "
                "ParallelEnv. Convert an AECEnv with pettingzoo.utils.conversions.aec_to_parallel."
            )
    if len({id(world) for world in worlds}) < len(worlds):
        raise ConfigError(
            "Functions given to ParallelToVecEnv made one world twice; make new ones."
        )
    return worlds


def _shared_spaces(worlds: list[ParallelEnv]) -> tuple[Any, Any]:
    """Return the observation and action space of all agents of all copies."""
    seats = [(world, agent) for world in worlds for agent in world.possible_agents]
    if not seats:
        raise ConfigError("The world has no possible_agents.")
    shared = []
    for kind in ("observation_space", "action_space"):
        found = [getattr(world, kind)(agent) for world, agent in seats]
        for space, (_, agent) in zip(found, seats, strict=True):
            if space != found[0]:
                raise ConfigError(
                    f"One shared policy needs one {kind}, but {seats[0][1]!r} has {found[0]} and "
                    f"{agent!r} has {space}. Pad them (supersuit's pad_observations_v0 and "
                    "pad_action_space_v0), or train every group of like agents on its own."
                )
        shared.append(found[0])
    return shared[0], shared[1]


def _is_wrapped(world: Any, wrapper_class: type) -> bool:
    layer = world
    while layer is not None:
        if isinstance(layer, wrapper_class):
            return True
        layer = vars(layer).get("env")
    return False
