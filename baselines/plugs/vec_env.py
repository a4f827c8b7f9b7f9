"""`DesignVecReward`: one reward design for all environments of an SB3 VecEnv."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np
from stable_baselines3.common.vec_env import VecEnv, VecEnvWrapper

from rewardloom.baselines.plugs.infos import (
    Columns,
    InfoReader,
    begun_slots,
    reset_infos,
)
from rewardloom.errors import ConfigError
from rewardloom.rewards.design import RewardDesign, StepBatch, close_design
from rewardloom.typing import F64N, BoolN
from rewardloom.wrappers.plug import refuse_equal_names, warn_if_only_relabels

__all__ = ["DesignVecReward"]


class DesignVecReward(VecEnvWrapper):
    """Replaces the rewards of a VecEnv by what one `RewardDesign` pays for all of it.

    Observations and actions pass untouched. Infos are copied and gain `raw_reward`, `info[name]`
    (what the design did, as floats) and, at an episode's end, `episode_raw_return`. A design that
    settles truncated episodes also clears `TimeLimit.truncated`, so that SB3 does not bootstrap.

    Args:
        venv: The environments; a world without components is wrapped in
            `rewardloom.wrappers.RewardComponents` inside.
        design: The design; one object serves one plug.
        name: Key of the design's entry in `info`.
        columns: info column -> function (obs, info) -> value, called once per environment.

    Raises:
        ConfigError: `venv` is no VecEnv, two designs share a name, or the design reads components
            of a world that declares none.
        ComponentError: at `step`, a component is missing, unexpected or not finite.

    >>> from stable_baselines3.common.vec_env import DummyVecEnv
    >>> from rewardloom.baselines.plugs import DesignVecReward
    >>> from rewardloom.rewards import WeightDesign
    >>> from rewardloom.testing import NullEnv
    >>> venv = DesignVecReward(
    ...     DummyVecEnv([NullEnv] * 2), WeightDesign({"a": 3.0, "b": 1.0}), name="weight"
    ... )
    >>> _ = venv.reset()
    >>> _, rewards, _, infos = venv.step([0, 0])
    >>> rewards.tolist()
    [3.5, 3.5]
    >>> infos[0]["raw_reward"], infos[0]["weight"]
    (1.0, {'reward': 3.5})
    """

    def __init__(
        self, venv: VecEnv, design: RewardDesign, *, name: str, columns: Columns | None = None
    ):
        if not isinstance(venv, VecEnv):
            raise ConfigError(
                f"DesignVecReward takes an SB3 VecEnv, got {type(venv).__name__}; for one "
                "environment or a Gymnasium vector use rewardloom.wrappers."
            )
        super().__init__(venv)
        refuse_equal_names(name, venv)
        self.design = design
        self.design_name = name
        self._reader = InfoReader(design, venv, columns)
        warn_if_only_relabels(design)
        design.bind(self._reader.names, self.num_envs)
        self._raw_returns = np.zeros(self.num_envs)
        self._actions: Any = None
        self._obs: Any = None
        self._tick = 0
        self._shown: list[F64N] = []
        self._did: list[dict[str, float]] = [{} for _ in range(self.num_envs)]

    def reset(self) -> Any:
        """Start an episode in every environment; what the design had open is dropped."""
        obs = self.venv.reset()
        self._raw_returns[:] = 0.0
        self._begin(np.ones(self.num_envs, bool), obs)
        return obs

    def step_async(self, actions: np.ndarray) -> None:
        """Keep the actions, for designs that need them, and pass them on."""
        self._actions = actions
        self.venv.step_async(actions)

    def step_wait(self) -> Any:
        """Finish the step and pay what the design says, (N,) float32."""
        obs, rewards, dones, infos = self.venv.step_wait()
        self._tick += 1
        step = (obs, rewards, dones, infos)
        batch = self._reader.batch(self._obs, self._actions, step, self._tick)
        paid = self.design.step(batch).astype(np.float32)
        infos = self._annotated(batch, infos)
        if dones.any():
            self._close(dones, batch, infos)
        begun = begun_slots(dones, infos)
        if begun.any():
            self._begin(begun, obs)
        elif "obs" in self.design.needs:
            self._obs = self._reader.obs_rows.batch(obs, copy=True)
        return obs, paid, dones, infos

    def close(self) -> None:
        """Close the environments, and what the design holds open."""
        close_design(self.design)
        super().close()

    def _annotated(self, batch: StepBatch, infos: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Return copies of the infos with the raw rewards and what the design did."""
        annotated, carried = [], []
        for info, did, raw in zip(infos, self._rows(), batch.reward.tolist(), strict=True):
            copy = {**info, self.design_name: did.copy()}
            carried.append(copy.setdefault("raw_reward", raw))
            annotated.append(copy)
        self._raw_returns += carried
        return annotated

    def _rows(self) -> list[dict[str, float]]:
        """Return what the design did in each environment.

        A design makes new arrays for new numbers, so those it shows again were read before.
        """
        columns = self.design.summary()
        shown = list(columns.values())
        if len(shown) != len(self._shown) or not all(map(operator.is_, shown, self._shown)):
            self._shown = shown
            keys = list(columns)
            rows = zip(*(values.tolist() for values in shown), strict=True)
            # keys and rows have one length, and asking for that takes as long as all the rest
            self._did = [dict(zip(keys, row)) for row in rows]  # noqa: B905
        return self._did

    def _close(self, dones: Any, ends: StepBatch, infos: list[dict[str, Any]]) -> None:
        for i in np.flatnonzero(dones).tolist():
            infos[i].setdefault("episode_raw_return", float(self._raw_returns[i]))
            self._raw_returns[i] = 0.0
            if ends.truncated[i] and self.design.settles_truncation and not ends.failed[i]:
                infos[i]["TimeLimit.truncated"] = False

    def _begin(self, slots: BoolN, obs: Any) -> None:
        """Open episodes in the design; `obs` and the VecEnv's `reset_infos` are of their resets."""
        if "obs" in self.design.needs:
            self._obs = self._reader.obs_rows.batch(obs, copy=True)
        infos = reset_infos(self.venv)
        self.design.begin(slots, self._reader.extra(obs, infos, self._tick, slots))
