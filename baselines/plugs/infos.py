"""Reads SB3's infos, a list of one dict per environment, into arrays.

- `InfoReader`: what a design needs of one step or of the resets.
- `split_dones`: how the episodes of one step ended.
- `reset_infos`: the infos of the episodes that have just begun.
- `begun_slots`: where an episode begins after a step.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from typing import Any, NamedTuple

import numpy as np
from stable_baselines3.common.vec_env import VecEnv, VecEnvWrapper

from rewardloom.rewards.design import (
    INFO_PREFIX,
    RewardDesign,
    StepBatch,
    extra_columns,
    may_lack,
)
from rewardloom.typing import F64NK, BoolN
from rewardloom.wrappers.batching import batch_rows, row_of, with_rows
from rewardloom.wrappers.plug import (
    column_error,
    read_components,
    require_names,
    row_readers,
)

__all__ = ["Columns", "Endings", "InfoReader", "begun_slots", "reset_infos", "split_dones"]

Columns = Mapping[str, Callable[[Any, dict[str, Any]], Any]]
"""info column -> function (obs, info) -> value, for what the world does not write."""

Infos = Sequence[dict[str, Any]]


class Endings(NamedTuple):
    """How the episodes of one step ended, each (N,) bool."""

    terminated: BoolN
    truncated: BoolN
    failed: BoolN


def split_dones(dones: Any, infos: Infos) -> Endings:
    """Tell SB3's `dones` apart; a time limit is `info["TimeLimit.truncated"]`."""
    dones = np.asarray(dones, bool)
    if not dones.any():
        none = np.zeros(len(dones), bool)
        return Endings(none, none, none)
    truncated = dones & np.array([bool(info.get("TimeLimit.truncated")) for info in infos])
    failed = dones & np.array([bool(info.get("infra_failure")) for info in infos])
    return Endings(dones & ~truncated, truncated, failed)


def reset_infos(venv: VecEnv) -> Infos:
    """Return the infos of each environment's last reset.

    Only the innermost VecEnv has them: every wrapper holds empty ones of its own.
    """
    while isinstance(venv, VecEnvWrapper):
        venv = venv.venv
    return venv.reset_infos


def begun_slots(dones: Any, infos: Infos) -> BoolN:
    """Return the (N,) slots whose next step is the first of an episode.

    They are those that ended, except that the slot of an agent that left a running game
    (`ParallelToVecEnv`) begins only after its last idle step.
    """
    begun = np.array(dones, bool)
    if _any_has(infos, "inactive") or _any_has(infos, "awaits_reset"):
        begun |= [info.get("inactive", False) for info in infos]
        begun &= [not info.get("awaits_reset", False) for info in infos]
    return begun


class InfoReader:
    """Reads the components and columns that one design needs of one VecEnv.

    Args:
        design: Says what it needs.
        venv: Declares the components.
        columns: Functions for columns that the world does not write.

    Attributes:
        names: The components, empty if the design reads none.
        obs_rows: Presents observations as the design wants them.

    Raises:
        ConfigError: the design reads components and the world declares none.
    """

    def __init__(self, design: RewardDesign, venv: VecEnv, columns: Columns | None = None):
        self.names = require_names(design, venv)
        self._design = design
        self._space = venv.observation_space
        self.obs_rows, self._action_rows = row_readers(
            design, venv.observation_space, venv.action_space
        )
        self._everyone = np.ones(venv.num_envs, bool)
        self._getter = itemgetter(*self.names) if self.names else None
        self._columns = dict(columns or {})
        self._wanted = extra_columns(design.needs)

    def components(self, infos: Infos, tick: int) -> F64NK:
        """Return the components of one step, (N, K) float64; 0 where a slot was inactive.

        Raises:
            ComponentError: one is missing, unexpected or not finite.
        """
        if self._getter is None:
            return np.zeros((len(infos), 0))
        values = np.empty((len(infos), len(self.names)))
        for i, info in enumerate(infos):
            if "inactive" in info:
                values[i] = 0.0
                continue
            values[i] = read_components(
                info, self.names, self._getter, lambda i=i: f"step {tick} of environment {i}"
            )
        return values

    def batch(
        self, previous: Any, actions: Any, step: tuple[Any, Any, Any, Infos], tick: int
    ) -> StepBatch:
        """Return one step as a design takes it, in arrays that no later step overwrites.

        Args:
            previous: Batch of observations acted upon, if the design needs them.
            actions: As given to `step_async`.
            step: What `step_wait` returned: obs, rewards, dones, infos.
            tick: For error messages.
        """
        obs, rewards, dones, infos = step
        needs = self._design.needs
        ends = split_dones(dones, infos)
        idle = _any_has(infos, "inactive")
        active = np.array(["inactive" not in i for i in infos]) if idle else self._everyone
        action = next_obs = extra = None
        if needs - {"components"}:
            reached = self.final_obs(obs, dones, infos)
            if "next_obs" in needs:
                next_obs = self.obs_rows.batch(reached, copy=True)
            if "action" in needs:
                action = self._action_rows.batch(actions, copy=True)
            extra = self.extra(reached, infos, tick)
        return StepBatch(
            np.array(rewards, np.float64),
            self.components(infos, tick),
            *ends[:2],
            active,
            ends.failed,
            previous,
            action,
            next_obs,
            extra,
        )

    def final_obs(self, obs: Any, dones: Any, infos: Infos) -> Any:
        """Return the observations a step reached, the true final ones where episodes ended."""
        batch = batch_rows(self._space, obs)
        finals = {i: infos[i]["terminal_observation"] for i in np.flatnonzero(dones).tolist()}
        return with_rows(self._space, batch, finals) if finals else batch

    def extra(self, obs: Any, infos: Infos, tick: int, slots: BoolN | None = None) -> Any:
        """Return the info columns the design needs, each (N,), or None if it needs none.

        Args:
            obs: Batch of observations, for column functions.
            infos: One dict per environment.
            tick: For error messages.
            slots: At resets, the environments whose episode begins; None for a step.

        Raises:
            ConfigError: a column is missing where it is needed.
        """
        if not self._wanted:
            return None
        if slots is None:
            rows = [i for i, info in enumerate(infos) if "inactive" not in info]
        else:
            rows = np.flatnonzero(slots).tolist()
        extra = {}
        for column in self._wanted:
            extra[column] = _column(
                {i: self._value(column, obs, infos[i], i, tick, slots is not None) for i in rows},
                len(infos),
            )
        return extra

    def _value(
        self,
        column: str,
        obs: Any,
        info: dict[str, Any],
        index: int,
        tick: int,
        at_reset: bool,
    ) -> Any:
        if column in self._columns:
            return self._columns[column](row_of(self._space, obs, index), info)
        key = column.removeprefix(INFO_PREFIX)
        if key in info or may_lack(column, at_reset=at_reset):
            return info.get(key, None if column == "checks" else 0.0)
        raise column_error(column, self._design, f"step {tick} of environment {index}")


def _any_has(infos: Infos, key: str) -> bool:
    """Return whether any info has a key; a plain loop takes half the time of any(...)."""
    for info in infos:  # noqa: SIM110
        if key in info:
            return True
    return False


def _column(values: dict[int, Any], count: int) -> np.ndarray:
    """Return values by slot as (count,) float64, or as objects if any is no number."""
    if any(value is None or isinstance(value, str | dict) for value in values.values()):
        column = np.full(count, None, dtype=object)
    else:
        column = np.zeros(count)
    for slot, value in values.items():
        column[slot] = value
    return column
