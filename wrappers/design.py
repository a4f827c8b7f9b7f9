"""`DesignReward`: the plug that drives one reward design on one environment."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Mapping
from operator import itemgetter
from typing import Any, Generic, SupportsFloat, TypeVar

import gymnasium as gym
import numpy as np

from rewardloom.errors import ConfigError
from rewardloom.rewards.design import (
    INFO_PREFIX,
    RewardDesign,
    StepBatch,
    close_design,
    extra_columns,
    may_lack,
    needs_endings,
    reductions,
)
from rewardloom.wrappers.plug import (
    column_error,
    design_reductions,
    read_components,
    refuse_equal_names,
    require_names,
    row_readers,
    warn_if_only_relabels,
)

__all__ = ["DesignReward"]

ObsType = TypeVar("ObsType")
ActType = TypeVar("ActType")

_ONE = np.ones(1, bool)


class DesignReward(
    gym.Wrapper[ObsType, ActType, ObsType, ActType],
    gym.utils.RecordConstructorArgs,
    Generic[ObsType, ActType],
):
    """Replaces the reward by what a `RewardDesign` pays; changes nothing else.

    Observations, actions and components pass untouched. `info` is copied, never changed in place,
    and gains `raw_reward` (the world's own reward, written by the innermost plug), `info[name]`
    (what the design did, as floats), and at an episode's last step `episode_raw_return`.

    A design with memory learns from this environment alone: in a vector of environments use the
    twin in `rewardloom.wrappers.vector`, which shares one design among all.

    Args:
        env: The environment. Put TimeLimit inside, so that the design sees the truncation.
        design: The design; one object serves one plug.
        name: Key of the design's entry in `info`.
        columns: info column -> function (obs, info) -> value, for designs that need a column
            (such as "caption") which the world does not give.
        recorded: Constructor arguments of a subclass, kept for the environment's spec. A plug
            made from a design object directly rebuilds from its spec but has no JSON form.

    Attributes:
        unfinished_episodes: How often `reset` came before an episode had ended, as it does under a
            TimeLimit outside the plug. Where the design pays or learns at the end, the first one
            warns.

    Raises:
        ConfigError: `env` is a vector, two designs share a name, the design reads components of a
            world that declares none, or names one that does not exist.
        ComponentError: at `step`, a component is missing, unexpected or not finite.
    """

    def __init__(
        self,
        env: gym.Env[ObsType, ActType],
        design: RewardDesign,
        *,
        name: str,
        columns: Mapping[str, Callable[[Any, dict[str, Any]], Any]] | None = None,
    ):
        gym.utils.RecordConstructorArgs.__init__(self, design=design, name=name, columns=columns)
        if not isinstance(env, gym.Env):
            raise ConfigError(
                f"{type(self).__name__} takes one gymnasium.Env, got {type(env).__name__}. Vectors "
                "have a twin of the same name in rewardloom.wrappers.vector, PettingZoo worlds in "
                "rewardloom.wrappers.parallel, SB3 VecEnvs rewardloom.baselines.plugs."
            )
        gym.Wrapper.__init__(self, env)
        refuse_equal_names(name, env)
        self.design = design
        self.design_name = name
        self.design_reductions = {name: reductions(design), **design_reductions(env)}
        self._names = require_names(design, env)
        warn_if_only_relabels(design)
        design.bind(self._names, 1)
        self._columns = dict(columns or {})
        self._extra_names = extra_columns(design.needs)
        self._obs_rows, self._action_rows = row_readers(
            design, env.observation_space, env.action_space
        )
        self._getter = itemgetter(*self._names) if self._names else None
        self._batch = StepBatch(
            reward=np.zeros(1),
            components=np.zeros((1, len(self._names))),
            terminated=np.zeros(1, bool),
            truncated=np.zeros(1, bool),
            active=_ONE,
            failed=np.zeros(1, bool),
        )
        self._transition = bool(design.needs - {"components"})
        # a world may write its next observation into the same array
        self._keeps_obs = "obs" in design.needs
        self._obs: Any = None
        self._steps = 0
        self._raw_return = 0.0
        self.unfinished_episodes = 0
        self._ended = False

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[ObsType, dict[str, Any]]:
        """Start an episode; what the design had open is dropped."""
        if self._steps and not self._ended:
            self._note_unfinished()
        obs, info = self.env.reset(seed=seed, options=options)
        self._obs = copy.deepcopy(obs) if self._keeps_obs else None
        self._steps = 0
        self._raw_return = 0.0
        self.design.begin(_ONE, self._extra(obs, info) if self._extra_names else None)
        return obs, info

    def step(self, action: ActType) -> tuple[ObsType, SupportsFloat, bool, bool, dict[str, Any]]:
        """Step the environment and pay what the design says."""
        obs, raw, terminated, truncated, info = self.env.step(action)
        self._steps += 1
        raw = float(raw)
        failed = info.get("infra_failure", False)
        batch = self._batch
        batch.reward[0] = raw
        batch.terminated[0] = terminated
        batch.truncated[0] = truncated
        batch.failed[0] = failed
        if self._getter is not None:
            batch.components[0] = read_components(info, self._names, self._getter, self._where)
        if self._transition:
            batch = self._with_transition(batch, action, obs, info)
        paid = float(self.design.step(batch)[0])

        info = {**info}
        self._raw_return += info.setdefault("raw_reward", raw)
        self._ended = terminated or truncated
        info[self.design_name] = {k: float(v[0]) for k, v in self.design.summary().items()}
        if self._ended:
            info.setdefault("episode_raw_return", self._raw_return)
            if truncated and self.design.settles_truncation and not failed:
                terminated = True
        return obs, paid, terminated, truncated, info

    def close(self) -> None:
        """Close the environment, and what the design holds open."""
        close_design(self.design)
        super().close()

    def _note_unfinished(self) -> None:
        self.unfinished_episodes += 1
        if self.unfinished_episodes == 1 and needs_endings(self.design):
            warnings.warn(
                f"reset() came after {self._steps} steps of an unfinished episode, and "
                f"{type(self.design).__name__} pays or learns at the end: what was open is "
                "dropped. If a TimeLimit stands outside this wrapper, put it inside. Later ones "
                "are counted in unfinished_episodes.",
                stacklevel=3,
            )

    def _with_transition(
        self, batch: StepBatch, action: Any, obs: Any, info: dict[str, Any]
    ) -> StepBatch:
        needs = self.design.needs
        filled = StepBatch(
            *batch[:6],
            obs=self._obs_rows.one(self._obs) if "obs" in needs else None,
            action=self._action_rows.one(action) if "action" in needs else None,
            next_obs=self._obs_rows.one(obs) if "next_obs" in needs else None,
            extra=self._extra(obs, info) if self._extra_names else None,
        )
        self._obs = copy.deepcopy(obs) if self._keeps_obs else None
        return filled

    def _extra(self, obs: Any, info: dict[str, Any]) -> dict[str, Any]:
        """Return the info columns that the design needs, each as an array of one."""
        extra = {}
        for column in self._extra_names:
            if column in self._columns:
                value = self._columns[column](obs, info)
            elif (key := column.removeprefix(INFO_PREFIX)) in info:
                value = info[key]
            elif may_lack(column, at_reset=not self._steps):
                value = None if column == "checks" else 0.0
            else:
                raise column_error(column, self.design, self._where())
            array = np.empty(1, object if value is None or isinstance(value, str | dict) else float)
            array[0] = value
            extra[column] = array
        return extra

    def _where(self) -> str:
        return f"step {self._steps} of {self.env}"
