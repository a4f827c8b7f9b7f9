"""The worlds of a training run: one environment, or several under the reward designs.

- `make_world`: the configured Gymnasium world without any design, as evaluation uses it.
- `make_training_worlds`: `num_envs` worlds as an SB3 VecEnv, with the designs on top.
- `has_action_masks`: whether a world offers `action_masks()`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import gymnasium as gym
from gymnasium import spaces
from gymnasium.vector import AutoresetMode
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnv

from rewardloom.baselines.plugs import DesignVecReward, ParallelToVecEnv, VectorEnvToVecEnv
from rewardloom.baselines.training.config import (
    TrainConfig,
    design_name,
    make_configured_design,
)
from rewardloom.baselines.training.parallel_worlds import is_parallel, make_parallel_world
from rewardloom.baselines.training.timing import Clock, TimedVecEnv
from rewardloom.baselines.training.world_parts import apply_wrapper, make_env
from rewardloom.errors import ConfigError
from rewardloom.registration import NAMESPACE
from rewardloom.rewards.design import RewardDesign
from rewardloom.wrappers import RewardComponents

__all__ = ["TrainingWorlds", "has_action_masks", "make_training_worlds", "make_world"]

_PLAIN = (spaces.Box, spaces.Discrete, spaces.MultiDiscrete, spaces.MultiBinary)
_FLATTEN = "gymnasium.wrappers:FlattenObservation"


class TrainingWorlds(NamedTuple):
    """What `make_training_worlds` returns.

    Attributes:
        venv: The outermost VecEnv, which PPO trains on.
        designs: info key -> design, from the innermost to the outermost.
        relabelling: The last of them if it belongs on the training buffer, else None.
    """

    venv: VecEnv
    designs: dict[str, RewardDesign]
    relabelling: RewardDesign | None


def make_world(config: TrainConfig, *, render_mode: str | None = None) -> gym.Env[Any, Any]:
    """Make the configured Gymnasium world with its wrappers and components, without designs.

    Args:
        config: Names the world, its arguments, wrappers and components.
        render_mode: Passed to the world; None leaves what the configuration says.

    Raises:
        ConfigError: a module to import, a wrapper or an argument does not exist, or the spaces
            are none that PPO can learn from.
        gymnasium.error.Error: no such id (with the nearest name), or a dependency is missing.
    """
    kwargs = dict(config.world_kwargs)
    if render_mode is not None:
        kwargs["render_mode"] = render_mode
    env = make_env(config.world, kwargs)
    for settings in config.wrappers:
        env = apply_wrapper(env, settings)
    if config.components:
        env = RewardComponents(env, **config.components)
    _check_spaces(config.world, env.observation_space, env.action_space)
    return env


def make_training_worlds(config: TrainConfig, clock: Clock) -> TrainingWorlds:
    """Make the environments and put the designs on them, the first one innermost.

    A design for the training buffer is made but put on nothing. Of a PettingZoo world there are
    `num_envs` copies; every agent of each is an environment of the VecEnv.

    Args:
        config: The run's settings.
        clock: Told how long the environments and the designs take.
    """
    venv: VecEnv = TimedVecEnv(_plain_worlds(config), clock, "env")
    designs: dict[str, RewardDesign] = {}
    relabelling: RewardDesign | None = None
    try:
        for settings in config.designs:
            name = design_name(settings)
            design, on_buffer = make_configured_design(settings)
            designs[name] = design
            if on_buffer:
                relabelling = design
            else:
                venv = DesignVecReward(venv, design, name=name)
    except BaseException:
        venv.close()
        raise
    if designs:
        venv = TimedVecEnv(venv, clock, "design")
    return TrainingWorlds(venv, designs, relabelling)


def has_action_masks(env: Any) -> bool:
    """Return whether an Env or VecEnv offers `action_masks()`."""
    if isinstance(env, VecEnv):
        return env.has_attr("action_masks")
    return env.has_wrapper_attr("action_masks")


def _plain_worlds(config: TrainConfig) -> VecEnv:
    if _is_native_vector(config):
        return _native_vector(config)
    if not is_parallel(config.world):
        makers: list[Callable[[], gym.Env[Any, Any]]] = [lambda: make_world(config)]
        return DummyVecEnv(makers * config.num_envs)
    venv = ParallelToVecEnv([lambda: make_parallel_world(config)] * config.num_envs)
    try:
        _check_spaces(config.world, venv.observation_space, venv.action_space)
        venv.seed(config.seed)
        venv.reset()  # before it nobody knows whether agents have action masks
    except BaseException:
        venv.close()
        raise
    return venv


def _is_native_vector(config: TrainConfig) -> bool:
    """Return whether the world is one of ours that steps its copies by itself.

    Wrappers of single worlds rule it out. Others' native vectors, such as CartPole's, are left
    alone: their random numbers differ from those of single worlds.
    """
    if is_parallel(config.world) or config.wrappers or config.components:
        return False
    spec = gym.registry.get(config.world.rpartition(":")[2])
    if spec is None or spec.namespace != NAMESPACE:
        return False
    return spec.vector_entry_point is not None


def _native_vector(config: TrainConfig) -> VecEnv:
    envs = gym.make_vec(
        config.world,
        config.num_envs,
        vectorization_mode="vector_entry_point",
        autoreset_mode=AutoresetMode.SAME_STEP,
        **config.world_kwargs,
    )
    try:
        _check_spaces(config.world, envs.single_observation_space, envs.single_action_space)
        return VectorEnvToVecEnv(envs)
    except BaseException:
        envs.close()
        raise


def _check_spaces(world: str, observation_space: Any, action_space: Any) -> None:
    space = observation_space
    parts = space.spaces if isinstance(space, spaces.Dict) else {"": space}
    for key, part in parts.items():
        if not isinstance(part, _PLAIN):
            entry = f" entry {key!r}" if key else ""
            raise ConfigError(
                f"The observation{entry} of {world} is a {type(part).__name__} space, which PPO "
                f"cannot read; {_advice(world, part)}."
            )
    if not isinstance(action_space, _PLAIN):
        raise ConfigError(
            f"The actions of {world} are a {type(action_space).__name__} space; PPO needs Box, "
            "Discrete, MultiDiscrete or MultiBinary."
        )


def _advice(world: str, space: Any) -> str:
    aim = "a Box, Discrete or a Dict of those"
    if not space.is_np_flattenable:
        return (
            f"choose another observation of the world, or wrap it in one of yours that makes {aim}"
        )
    example = "" if is_parallel(world) else f", for example {_FLATTEN}"
    return f"give 'wrappers' that make it {aim}{example}"
