"""`attach_relabel`: rewrites the rewards an SB3 model learns from, at learning time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm
from stable_baselines3.common.vec_env import VecEnv, VecEnvWrapper, VecNormalize

from rewardloom.baselines.plugs.infos import Columns
from rewardloom.baselines.plugs.record import TickRecorder
from rewardloom.baselines.plugs.relabel_off_policy import (
    OffPolicyRelabeller,
    relabelling_replay_buffer,
)
from rewardloom.baselines.plugs.relabel_on_policy import (
    OnPolicyRelabeller,
    relabelling_rollout_buffer,
)
from rewardloom.errors import ConfigError
from rewardloom.rewards.design import RewardDesign

__all__ = ["attach_relabel"]


def attach_relabel(
    model: BaseAlgorithm, design: RewardDesign, *, columns: Columns | None = None
) -> None:
    """Let `model` learn from the rewards that `design` pays instead of those it collects.

    Call it after the model is made and again after every `load`, `set_env` and
    `load_replay_buffer`. The environments keep paying the raw reward; the buffer is rewritten: for
    PPO, A2C, MaskablePPO and RecurrentPPO before advantages are computed, for SAC, TD3 and DQN when
    an episode ends (only rows of finished episodes are sampled, and failed episodes are none of
    them). A label or statistic that arrived meanwhile counts. The design sees observations as the
    model does, so normalized ones under VecNormalize; there SB3's EvalCallback compares its stack
    of wrappers with the model's, so give its environments one more (VecMonitor) on top.

    Rows of a replay buffer are paid anew, whole episodes at a time, whenever the model of a design
    that trains one has changed; for that the buffer keeps beside its own rows what such a design
    reads of each (flat observations are float32). What other designs have paid stays. Rows that
    another design has paid are paid anew too where they can be, and are else no longer sampled; of
    a loaded buffer the same design is taken to go on if its class and the attributes of
    `RewardDesign` are the same, and if one without memory also pays for one of the last episodes
    what was paid for it. Arguments of a design with statistics are not compared.

    Args:
        model: With its environments set.
        design: One object serves one model.
        columns: info column -> function (obs, info) -> value, as in `DesignVecReward`.

    Raises:
        ConfigError: the model has no environments, is of another kind, normalizes rewards, or
            uses a buffer that cannot be rewritten; or the design does not fit the world.
        RunError: while it learns: something above the recording wrapper changes rewards, no
            episode has ended when off-policy learning starts, an episode is longer than the
            replay buffer, or one that a learned design waits for never ends.

    >>> from stable_baselines3 import PPO
    >>> from stable_baselines3.common.vec_env import DummyVecEnv
    >>> from rewardloom.baselines.plugs import attach_relabel
    >>> from rewardloom.rewards import WeightDesign
    >>> from rewardloom.testing import ComponentWorld
    >>> venv = DummyVecEnv([ComponentWorld] * 2)
    >>> model = PPO("MlpPolicy", venv, n_steps=8, batch_size=16, device="cpu")
    >>> attach_relabel(model, WeightDesign({"a": 1.0, "outcome": 5.0}))
    >>> model.learn(16).num_timesteps
    16
    """
    if not isinstance(model, BaseAlgorithm):
        raise ConfigError(f"attach_relabel takes an SB3 model, got {type(model).__name__}.")
    if isinstance(design, type) or not isinstance(design, RewardDesign):
        raise ConfigError(
            "attach_relabel takes a reward design such as rewardloom.rewards.RedistributeDesign"
            f"(...), got {design!r}. A wrapper has its design in .design."
        )
    env = model.env
    if env is None:
        raise ConfigError("attach_relabel needs a model with environments; call set_env first.")
    if isinstance(env, TickRecorder):  # attached before; a model records once
        env = env.venv
    _check_stack(env)
    drive = (
        isinstance(model, OnPolicyAlgorithm)
        and design.depends == "step"
        and design.memory != "statistics"
    )
    recorder = TickRecorder(env, design, columns, drive=drive)
    design.bind(recorder.names, env.num_envs)
    if isinstance(model, OnPolicyAlgorithm):
        buffer = _with_class(model.rollout_buffer, relabelling_rollout_buffer)
        buffer.relabeller = OnPolicyRelabeller(recorder, design)
        buffer.relabel_model = model
        model.rollout_buffer = buffer
    elif isinstance(model, OffPolicyAlgorithm):
        buffer = _with_class(model.replay_buffer, relabelling_replay_buffer)
        buffer.attach(OffPolicyRelabeller(recorder, design), model.learning_starts)
        model.replay_buffer = buffer
    else:
        raise ConfigError(f"attach_relabel does not know {type(model).__name__}.")
    model.env = recorder
    model._last_obs = None  # a model that goes on resets, so that the recorder sees a start


def _check_stack(env: VecEnv) -> None:
    layer: Any = env
    while isinstance(layer, VecEnvWrapper):
        if isinstance(layer, VecNormalize) and layer.norm_reward:
            raise ConfigError(
                "VecNormalize normalizes the rewards below the relabelling, which would rewrite "
                "normalized ones. Use VecNormalize(norm_reward=False)."
            )
        if isinstance(layer, TickRecorder):
            raise ConfigError(
                "A wrapper stands above the recording wrapper of an earlier attach_relabel. Wrap "
                "the environments first, give them to the model with set_env, then attach."
            )
        layer = layer.venv


def _with_class(buffer: Any, relabelling: Callable[[type], type]) -> Any:
    """Return a buffer of the relabelling class with the state and arrays of `buffer`.

    `buffer.__class__` cannot be assigned: a class with a mixin has another layout.
    """
    plain = next(c for c in type(buffer).__mro__ if not c.__module__.startswith("rewardloom."))
    changed = object.__new__(relabelling(plain))
    changed.__dict__.update(buffer.__dict__)
    return changed
