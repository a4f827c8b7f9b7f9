"""`DesignReward` for a PettingZoo `ParallelEnv`: one design, one slot per agent."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from operator import itemgetter
from typing import Any

import numpy as np
from pettingzoo import ParallelEnv
from pettingzoo.utils import BaseParallelWrapper

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
from rewardloom.wrappers.batching import RowReader
from rewardloom.wrappers.plug import (
    column_error,
    read_components,
    refuse_equal_names,
    require_names,
    warn_if_only_relabels,
)

__all__ = ["DesignReward"]


class DesignReward(BaseParallelWrapper):
    """Replaces every agent's reward by what one `RewardDesign` pays; changes nothing else.

    Slots are `possible_agents`, in order; an agent that is not in the game is inactive, and one
    that joins a running game begins an episode then. Where a step gives an agent no observation, as
    some worlds do at the last one, it keeps the one it had. A design with memory is shared by all
    agents. Each agent's info is a copy (worlds may hand one dict to all) and gains `raw_reward`,
    `info[name]`, and `episode_raw_return` at that agent's last step.

    Args:
        env: The world; all agents share one observation and one action space where the design
            needs observations or actions.
        design: The design; one object serves one plug.
        name: Key of the design's entry in `info`.
        columns: info column -> function (obs, info) -> value, called once per living agent.

    Raises:
        ConfigError: `env` is no ParallelEnv, or the design needs observations and spaces differ;
            otherwise as `rewardloom.wrappers.DesignReward`.
        ComponentError: at `step`, a component is missing, unexpected or not finite.
    """

    def __init__(
        self,
        env: ParallelEnv,
        design: RewardDesign,
        *,
        name: str,
        columns: Mapping[str, Callable[[Any, dict[str, Any]], Any]] | None = None,
    ):
        if not isinstance(env, ParallelEnv):
            raise ConfigError(
                f"{type(self).__name__} of rewardloom.wrappers.parallel takes a PettingZoo "
                f"ParallelEnv, got {type(env).__name__}. Convert an AECEnv with "
                "pettingzoo.utils.conversions.aec_to_parallel."
            )
        super().__init__(env)
        refuse_equal_names(name, env)
        self.design = design
        self.design_name = name
        self._slots = {agent: i for i, agent in enumerate(env.possible_agents)}
        self._names = require_names(design, env)
        self._getter = itemgetter(*self._names) if self._names else None
        warn_if_only_relabels(design)
        design.bind(self._names, len(self._slots))
        self._columns = dict(columns or {})
        self._extra_names = extra_columns(design.needs)
        self._obs_rows = self._reader(env.observation_space, {"obs", "next_obs"})
        self._action_rows = self._reader(env.action_space, {"action"})
        self._obs: dict[Any, Any] = {}
        self._playing: set[Any] = set()
        self._raw_returns = np.zeros(len(self._slots))
        self._steps = 0

    def reset(
        self, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[Any, Any], dict[Any, dict[str, Any]]]:
        """Start an episode for every agent."""
        obs, infos = self.env.reset(seed=seed, options=options)
        self._obs = dict(obs)
        self._playing = set(self.env.agents)
        self._steps = 0
        self._begin(np.ones(len(self._slots), bool), infos)
        return obs, infos

    def step(self, actions: dict[Any, Any]) -> tuple[Any, Any, Any, Any, Any]:
        """Step the world and pay every living agent what the design says."""
        obs, rewards, terminated, truncated, infos = self.env.step(actions)
        self._steps += 1
        infos = {agent: {**infos.get(agent, {})} for agent in {**infos, **rewards}}
        batch = self._batch(actions, {**self._obs, **obs}, rewards, terminated, truncated, infos)
        paid = self.design.step(batch)
        did = self.design.summary()

        terminated = dict(terminated)
        shaped = {}
        for agent in rewards:
            slot, info = self._slots[agent], infos[agent]
            shaped[agent] = float(paid[slot])
            raw = info.setdefault("raw_reward", float(rewards[agent]))
            self._raw_returns[slot] += raw
            info[self.design_name] = {key: float(column[slot]) for key, column in did.items()}
            if terminated[agent] or truncated[agent]:
                info.setdefault("episode_raw_return", float(self._raw_returns[slot]))
                settles = self.design.settles_truncation and not batch.failed[slot]
                terminated[agent] = bool(terminated[agent] or settles)
        self._obs.update(obs)
        before, self._playing = self._playing, set(self.env.agents)
        if self._playing - before:
            self._begin(self._mask(self._playing - before), infos)
        return obs, shaped, terminated, truncated, infos

    def _begin(self, slots: BoolN, infos: dict[Any, dict[str, Any]]) -> None:
        """Begin an episode in some slots, whose agents' infos are those of a reset."""
        self._raw_returns[slots] = 0.0
        agents = [a for a, i in self._slots.items() if slots[i] and a in infos and a in self._obs]
        extra = self._extra(agents, self._obs, infos, at_reset=True) if self._extra_names else None
        self.design.begin(slots, extra)

    def close(self) -> None:
        """Close the world, and what the design holds open."""
        close_design(self.design)
        super().close()

    def _batch(
        self,
        actions: dict[Any, Any],
        obs: dict[Any, Any],
        rewards: dict[Any, float],
        terminated: dict[Any, bool],
        truncated: dict[Any, bool],
        infos: dict[Any, dict[str, Any]],
    ) -> StepBatch:
        count = len(self._slots)
        components = np.zeros((count, len(self._names)))
        if self._getter is not None:
            for agent in rewards:
                row = read_components(
                    infos[agent], self._names, self._getter, lambda a=agent: self._where(a)
                )
                components[self._slots[agent]] = row
        needs = self.design.needs
        failed = {agent: info.get("infra_failure", False) for agent, info in infos.items()}
        return StepBatch(
            self._column(rewards, np.float64),
            components,
            self._column(terminated, bool),
            self._column(truncated, bool),
            self._mask(rewards),
            self._column(failed, bool),
            obs=self._rows(self._obs_rows, self._obs) if "obs" in needs else None,
            action=self._rows(self._action_rows, actions) if "action" in needs else None,
            next_obs=self._rows(self._obs_rows, obs) if "next_obs" in needs else None,
            extra=self._extra(rewards, obs, infos) if self._extra_names else None,
        )

    def _mask(self, agents: Any) -> BoolN:
        return np.array([agent in agents for agent in self._slots])

    def _column(self, values: Mapping[Any, Any], dtype: Any) -> np.ndarray:
        return np.array([values.get(agent, 0) for agent in self._slots], dtype)

    def _rows(self, reader: RowReader | None, values: Mapping[Any, Any]) -> Any:
        """Return a batch over all slots; absent agents repeat a present one's value."""
        assert reader is not None
        if not values:
            return reader.zeros(len(self._slots))
        filler = next(iter(values.values()))
        return reader.stacked([values.get(agent, filler) for agent in self._slots])

    def _extra(
        self,
        agents: Iterable[Any],
        obs: dict[Any, Any],
        infos: dict[Any, dict[str, Any]],
        *,
        at_reset: bool = False,
    ) -> dict[str, Any]:
        """Return the info columns that the design needs of some agents; None for the others."""
        extra = {}
        for column in self._extra_names:
            values = np.full(len(self._slots), None, dtype=object)
            for agent in agents:
                info = infos[agent]
                if column in self._columns:
                    value = self._columns[column](obs[agent], info)
                elif (key := column.removeprefix(INFO_PREFIX)) in info or may_lack(
                    column, at_reset=at_reset
                ):
                    value = info.get(key, None if column == "checks" else 0.0)
                else:
                    raise column_error(column, self.design, self._where(agent))
                values[self._slots[agent]] = value
            extra[column] = values
        return extra

    def _reader(self, space_of: Callable[[Any], Any], wanted: set[str]) -> RowReader | None:
        """Return the reader of the space all agents share, if the design needs what lies in it."""
        if not self.design.needs & wanted:
            return None
        found = [space_of(agent) for agent in self._slots]
        if any(space != found[0] for space in found):
            raise ConfigError(
                f"{type(self.design).__name__} needs {sorted(self.design.needs & wanted)}, but the "
                "agents' spaces differ. Give every group of like agents a plug of its own, or pad "
                "the spaces (supersuit's pad_observations_v0 and pad_action_space_v0)."
            )
        return RowReader(found[0], flat="flat" in self.design.needs)

    def _where(self, agent: Any) -> str:
        return f"step {self._steps} of agent {agent!r}"
