"""`RewardComponents` for a `gymnasium.vector.VectorEnv`, native ones included."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode

from rewardloom.components import reward_component_names, terminal_component_names
from rewardloom.errors import ConfigError
from rewardloom.typing import F64N, BoolN
from rewardloom.wrappers.batching import batch_rows
from rewardloom.wrappers.sources import Source, Transition, parse_sources, terminal_subset
from rewardloom.wrappers.vector.design import resets_twice
from rewardloom.wrappers.vector.infos import carried_column, final_obs, step_components

__all__ = ["RewardComponents"]


class RewardComponents(gym.vector.VectorWrapper):
    """Writes `infos["reward_components"]` at every step, aligned with the rewards.

    For native VectorEnvs, which take no per-environment wrappers; Sync and Async vectors may wrap
    each sub-environment in `rewardloom.wrappers.RewardComponents` instead. In SAME_STEP mode the
    components of a step that ended an episode go to `final_info`, as in every other vector.

    Args:
        env: The vector environment.
        terminal_components: As in the single-environment form.
        components: name -> source, as in the single-environment form; functions receive a batched
            `Transition` and return an array of shape (N,).

    Raises:
        ConfigError: a bad or taken name, or an unknown source.
        ComponentError: at `step`, a source is missing or not finite.
    """

    def __init__(
        self,
        env: gym.vector.VectorEnv,
        *,
        terminal_components: Sequence[str] = (),
        **components: Any,
    ):
        if not isinstance(env, gym.vector.VectorEnv):
            raise ConfigError(
                f"The vector RewardComponents takes a VectorEnv, got {type(env).__name__}."
            )
        super().__init__(env)
        self._inner = reward_component_names(env)
        self._sources = parse_sources(components, self._inner)
        names = tuple(source.name for source in self._sources)
        self._terminal = terminal_subset(terminal_components, names)
        self.reward_components = self._inner + names
        self.terminal_components = terminal_component_names(env) + self._terminal
        self._mode = env.metadata.get("autoreset_mode", AutoresetMode.NEXT_STEP)
        self._resuming = np.zeros(self.num_envs, bool)
        self._obs: Any = None
        self._ticks = 0
        self._resets_twice = resets_twice(env)
        self._keeps_obs = any(source.function for source in self._sources)

    def reset(
        self, *, seed: Any = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Start episodes; no components are written at reset."""
        mask = (options or {}).get("reset_mask")
        mask = np.ones(self.num_envs, bool) if mask is None else mask.copy()
        obs, infos = self.env.reset(seed=seed, options=options)
        self._keep(obs)
        if not self._resets_twice:
            self._resuming = self._resuming & ~mask
        return obs, infos

    def step(self, actions: Any) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        """Step all sub-environments and add the components."""
        obs, rewards, terminated, truncated, infos = self.env.step(actions)
        self._ticks += 1
        active = ~self._resuming
        ended = (terminated | truncated) & active
        same_step = self._mode is AutoresetMode.SAME_STEP
        late = ended if same_step else np.zeros(self.num_envs, bool)
        reached = final_obs(self.single_observation_space, obs, infos)
        transition = Transition(self._obs, actions, reached, rewards, terminated, truncated, infos)
        table = {}
        if self._inner:
            values, _ = step_components(infos, self._inner, self.num_envs)
            table = {name: values[:, k].copy() for k, name in enumerate(self._inner)}
        for source in self._sources:
            column = self._read(source, transition, active, late)
            if source.name in self._terminal:
                column = np.where(ended, column, 0.0)
            table[source.name] = column
        self._keep(obs)
        self._resuming = ended if self._mode is AutoresetMode.NEXT_STEP else self._resuming
        raw = carried_column(infos, "raw_reward", rewards)
        infos = {**infos, "raw_reward": raw, "_raw_reward": active}
        infos |= _masked(table, active & ~late)
        if late.any():
            infos["final_info"] = {**infos.get("final_info", {}), **_masked(table, late)}
            infos["_final_info"] = late
        return obs, rewards, terminated, truncated, infos

    def _keep(self, obs: Any) -> None:
        """Keep a copy: a vector may write the next observations into the same arrays."""
        if self._keeps_obs:
            self._obs = batch_rows(self.single_observation_space, obs, copy=True)

    def _read(self, source: Source, transition: Transition, active: BoolN, late: BoolN) -> F64N:
        """Return one component of all slots, 0 where inactive."""
        if source.function is not None:
            column = self._called(source, source.function, transition)
        elif source.is_reward:
            column = np.asarray(transition.reward, np.float64)
        else:
            column = self._from_infos(source, transition.info, active, late)
        if column.shape != (self.num_envs,):
            raise ConfigError(
                f"Component {source.name!r} has shape {column.shape}; expected ({self.num_envs},)."
            )
        column = np.where(active, column, 0.0)
        if not np.isfinite(column).all():
            index = int(np.flatnonzero(~np.isfinite(column))[0])
            source.checked(column[index], lambda: self._where(index))
        return column

    def _called(
        self, source: Source, function: Callable[[Transition], Any], transition: Transition
    ) -> F64N:
        """Return what a component's function says of all slots."""
        try:
            column = np.asarray(function(transition), np.float64)
        except (TypeError, ValueError) as error:
            raise ConfigError(
                f"The function of component {source.name!r} failed on a batch "
                f"({type(error).__name__}: {error}). {self._what_functions_do()}"
            ) from error
        if column.shape != (self.num_envs,):
            got = "one number" if column.shape == () else f"an array of shape {column.shape}"
            raise ConfigError(
                f"The function of component {source.name!r} returned {got}. "
                f"{self._what_functions_do()}"
            )
        return column

    def _what_functions_do(self) -> str:
        return (
            f"In a vector it gets all {self.num_envs} sub-environments at once, every field with "
            f"one row each, and returns an array of shape ({self.num_envs},), for example "
            "lambda t: (t.action == 0).astype(float)."
        )

    def _from_infos(
        self, source: Source, infos: dict[str, Any], active: BoolN, late: BoolN
    ) -> F64N:
        column, present = self._follow(source, infos)
        if late.any() and "final_info" in infos:
            final_column, final_present = self._follow(source, infos["final_info"])
            column = np.where(late, final_column, column)
            present = np.where(late, final_present, present)
        missing = active & ~present
        if missing.any():
            if source.default is None:
                index = int(np.flatnonzero(missing)[0])
                raise source.missing(lambda: self._where(index))
            column = np.where(missing, source.default, column)
        return column

    def _follow(self, source: Source, infos: Any) -> tuple[F64N, BoolN]:
        """Follow a dotted key; return its values and where every part of the path is present."""
        present = np.ones(self.num_envs, bool)
        for key in source.path:
            if not isinstance(infos, dict) or key not in infos:
                return np.zeros(self.num_envs), np.zeros(self.num_envs, bool)
            present = present & np.asarray(infos.get(f"_{key}", True))
            infos = infos[key]
        return np.where(present, infos, 0.0).astype(np.float64), present

    def _where(self, index: int) -> str:
        return f"tick {self._ticks} of sub-environment {index}"


def _masked(table: dict[str, F64N], mask: BoolN) -> dict[str, Any]:
    columns: dict[str, Any] = {}
    for name, column in table.items():
        columns[name], columns[f"_{name}"] = column, mask
    return {"reward_components": columns, "_reward_components": mask}
