"""`DesignReward` for a `gymnasium.vector.VectorEnv`: one design for all sub-environments."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode

from rewardloom.errors import ConfigError
from rewardloom.rewards.design import (
    INFO_PREFIX,
    RewardDesign,
    StepBatch,
    close_design,
    extra_columns,
    may_lack,
)
from rewardloom.typing import BoolN
from rewardloom.wrappers.batching import row_of
from rewardloom.wrappers.plug import (
    column_error,
    raise_component_error,
    refuse_equal_names,
    require_names,
    row_readers,
    warn_if_only_relabels,
)
from rewardloom.wrappers.vector.infos import (
    carried_column,
    final_obs,
    optional_column,
    reset_column,
    step_column,
    step_components,
)

__all__ = ["DesignReward", "resets_twice", "slot_info"]

_OF_THE_STEP = ("final_info", "_final_info", "final_obs", "_final_obs")


class DesignReward(gym.vector.VectorWrapper):
    """Replaces the rewards of a VectorEnv by what one `RewardDesign` pays for all of it.

    Works in NEXT_STEP, SAME_STEP and DISABLED autoreset mode, on Sync, Async and native vectors.
    Observations and actions pass untouched. `infos` is copied and gains, aligned with the rewards
    (also at the step that ends an episode): `raw_reward` (N,), `infos[name]` (a dict of (N,)
    columns) and, where episodes ended, `episode_raw_return`; each with its mask.

    Args:
        env: The vector environment.
        design: The design; one object serves one plug.
        name: Key of the design's entry in `infos`.
        columns: info column -> function (obs, info) -> value, called once per sub-environment.

    Raises:
        ConfigError: `env` is no VectorEnv or does not state its autoreset mode; otherwise as
            `rewardloom.wrappers.DesignReward`.
        ComponentError: at `step`, a component is missing, unexpected or not finite.
    """

    def __init__(
        self,
        env: gym.vector.VectorEnv,
        design: RewardDesign,
        *,
        name: str,
        columns: Mapping[str, Callable[[Any, dict[str, Any]], Any]] | None = None,
    ):
        if not isinstance(env, gym.vector.VectorEnv):
            raise ConfigError(
                f"{type(self).__name__} of rewardloom.wrappers.vector takes a VectorEnv, got "
                f"{type(env).__name__}. For one environment use rewardloom.wrappers."
            )
        self.design = design  # first: a vector that fails to be made is closed all the same
        super().__init__(env)
        mode = env.metadata.get("autoreset_mode")
        if not isinstance(mode, AutoresetMode):
            raise ConfigError(
                f"{env} does not state its autoreset mode. Set metadata['autoreset_mode'] to an "
                "AutoresetMode."
            )
        refuse_equal_names(name, env)
        self.design_name = name
        self._mode = mode
        self._names = require_names(design, env)
        warn_if_only_relabels(design)
        design.bind(self._names, self.num_envs)
        self._columns = dict(columns or {})
        self._extra_names = extra_columns(design.needs)
        self._obs_rows, self._action_rows = row_readers(
            design, env.single_observation_space, env.single_action_space
        )
        self._keeps_transition = bool(design.needs - {"components"})
        self._resets_twice = resets_twice(env)
        self._none = np.zeros(self.num_envs, bool)
        self._all = np.ones(self.num_envs, bool)
        self._none.flags.writeable = self._all.flags.writeable = False  # they go into infos
        self._no_components = np.zeros((self.num_envs, 0))
        self._autoreset = self._none
        self._raw_returns = np.zeros(self.num_envs)
        self._obs: Any = None
        self._ticks = 0

    def reset(
        self, *, seed: Any = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Start episodes in all slots, or in those of `options["reset_mask"]`."""
        # Read first: SyncVectorEnv takes the mask out of the caller's options.
        mask = self._all if options is None else options.get("reset_mask", self._all)
        mask = np.array(mask, bool)
        obs, infos = self.env.reset(seed=seed, options=options)
        self._raw_returns[mask] = 0.0
        if not self._resets_twice:
            self._autoreset = self._autoreset & ~mask
        self._begin(mask, obs, infos)
        return obs, infos

    def step(self, actions: Any) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        """Step all sub-environments and pay what the design says."""
        obs, rewards, terminated, truncated, infos = self.env.step(actions)
        self._ticks += 1
        idle = self._autoreset
        resuming = np.count_nonzero(idle) > 0
        active = ~idle if resuming else self._all
        rewards = np.asarray(rewards, np.float64)
        failed = self._failed(infos)
        batch = StepBatch(rewards, self._read(infos, active), terminated, truncated, active, failed)
        if self._keeps_transition:
            batch = self._with_transition(batch, actions, obs, infos)
        paid = self.design.step(batch)

        infos = self._annotate(infos, rewards, active)
        ended = terminated | truncated
        if resuming:
            ended = ended & active
        if np.count_nonzero(ended):
            infos = self._close(infos, ended)
            if self.design.settles_truncation:
                terminated = terminated | (truncated & active & ~failed)
            if self._mode is AutoresetMode.SAME_STEP:
                self._begin(ended, obs, infos)
        if resuming:
            self._begin(idle, obs, infos)
        self._autoreset = ended if self._mode is AutoresetMode.NEXT_STEP else self._none
        return obs, paid, terminated, truncated, infos

    def _read(self, infos: dict[str, Any], active: BoolN) -> Any:
        if not self._names:
            return self._no_components
        values, present = step_components(infos, self._names, self.num_envs)
        if not (present | ~active).all():
            index = int(np.flatnonzero(active & ~present)[0])
            raise_component_error(
                self._names, None, f"tick {self._ticks} of sub-environment {index}"
            )
        return values

    def _failed(self, infos: dict[str, Any]) -> BoolN:
        if "infra_failure" not in infos and "final_info" not in infos:
            return self._none
        found = step_column(infos, "infra_failure", self.num_envs)
        return self._none if found is None else np.asarray(found[0], bool) & found[1]

    def _annotate(
        self, infos: dict[str, Any], rewards: np.ndarray, active: BoolN
    ) -> dict[str, Any]:
        """Return a copy of `infos` with the raw rewards and what the design did."""
        infos = {**infos}
        raw = carried_column(infos, "raw_reward", rewards)
        self._raw_returns += raw if active is self._all else raw * active
        infos["raw_reward"], infos["_raw_reward"] = raw, active
        did = {}
        for key, column in self.design.summary().items():
            did[key], did[f"_{key}"] = column, active
        infos[self.design_name], infos[f"_{self.design_name}"] = did, active
        return infos

    def close(self, **kwargs: Any) -> None:
        """Close the environments, and what the design holds open."""
        close_design(self.design)
        super().close(**kwargs)

    def _close(self, infos: dict[str, Any], ended: BoolN) -> dict[str, Any]:
        total = carried_column(infos, "episode_raw_return", self._raw_returns) * ended
        infos["episode_raw_return"], infos["_episode_raw_return"] = total, ended.copy()
        self._raw_returns[ended] = 0.0
        return infos

    def _begin(self, mask: BoolN, obs: Any, infos: dict[str, Any]) -> None:
        """Open episodes in the design; `obs` and `infos` are those of their resets."""
        if "obs" in self.design.needs:
            self._obs = self._obs_rows.batch(obs, copy=True)
        extra = None
        if self._extra_names:
            top = {key: value for key, value in infos.items() if key not in _OF_THE_STEP}
            extra = {
                column: self._column(column, obs, top, mask, reset_column(infos, column))
                if column in self._columns or not may_lack(column, at_reset=True)
                else optional_column(
                    column, reset_column(infos, column.removeprefix(INFO_PREFIX)), self.num_envs
                )
                for column in self._extra_names
            }
        self.design.begin(mask, extra)

    def _with_transition(
        self, batch: StepBatch, actions: Any, obs: Any, infos: dict[str, Any]
    ) -> StepBatch:
        needs = self.design.needs
        space = self.single_observation_space
        action = next_obs = extra = None
        reached = final_obs(space, obs, infos)
        if "action" in needs:
            action = self._action_rows.batch(actions)
        if "next_obs" in needs:
            next_obs = self._obs_rows.batch(reached)
        if self._extra_names:
            extra = {
                column: self._column(
                    column,
                    reached,
                    infos,
                    batch.active,
                    step_column(infos, column.removeprefix(INFO_PREFIX), self.num_envs),
                )
                for column in self._extra_names
            }
        previous = self._obs
        if "obs" in needs:
            self._obs = self._obs_rows.batch(obs, copy=True)
        return StepBatch(*batch[:6], previous, action, next_obs, extra)

    def _column(
        self, column: str, obs: Any, infos: dict[str, Any], mask: BoolN, found: Any
    ) -> np.ndarray:
        """Return one info column, by the user's function or from the infos."""
        if column in self._columns:
            return self._computed(column, obs, infos, mask)
        if may_lack(column, at_reset=False) or not mask.any():
            return optional_column(column, found, self.num_envs)
        if found is not None and (found[1] | ~mask).all():
            return found[0]
        raise column_error(column, self.design, f"tick {self._ticks} of {self.env}")

    def _computed(self, column: str, obs: Any, infos: dict[str, Any], mask: BoolN) -> np.ndarray:
        function, space = self._columns[column], self.single_observation_space
        values = np.full(self.num_envs, None, dtype=object)
        for index in np.flatnonzero(mask).tolist():
            values[index] = function(row_of(space, obs, index), slot_info(infos, index))
        return values


def resets_twice(env: gym.vector.VectorEnv) -> bool:
    """Return whether a manual reset is followed by an autoreset tick all the same.

    A worker of an AsyncVectorEnv without shared memory forgets that it was just reset.
    """
    unwrapped = env.unwrapped
    return isinstance(unwrapped, gym.vector.AsyncVectorEnv) and not unwrapped.shared_memory


def slot_info(infos: Mapping[str, Any], index: int) -> dict[str, Any]:
    """Return the info of one sub-environment's step: its row of the vector infos."""
    final, ended = infos.get("final_info"), infos.get("_final_info")
    if final is not None and ended is not None and ended[index]:
        return slot_info(final, index)
    info = {}
    for key, value in infos.items():
        mask = infos.get(f"_{key}")
        if mask is not None and mask[index] and key not in ("final_info", "final_obs"):
            info[key] = slot_info(value, index) if isinstance(value, Mapping) else value[index]
    return info
