"""Records what a VecEnv did, so that rewards can be rewritten when an agent learns.

- `Tick`: one step of all environments, and which of them began an episode after it.
- `TickRecorder`: the VecEnvWrapper that keeps them.
- `gather_episodes`: lays episodes out of ticks end to end.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from stable_baselines3.common.vec_env import VecEnv, VecEnvWrapper

from rewardloom.baselines.plugs.infos import Columns, InfoReader, reset_infos
from rewardloom.rewards.design import EpisodeBatch, RewardDesign, StepBatch
from rewardloom.typing import BoolN

__all__ = ["Span", "Tick", "TickRecorder", "gather_episodes"]


class Tick(NamedTuple):
    """One step of N environments.

    Attributes:
        batch: What a plug hands to a design, in arrays of its own; None for a reset of all.
        begun: (N,) bool, environments whose next episode began after this step.
        start: The needed info columns at those beginnings, or None.
    """

    batch: StepBatch | None
    begun: BoolN
    start: dict[str, Any] | None


class Span(NamedTuple):
    """A whole episode within a list of ticks.

    Attributes:
        slot: The environment.
        first, last: Indices of its first and last step.
        start: The needed info columns at its reset, each (N,), or None.
    """

    slot: int
    first: int
    last: int
    start: dict[str, Any] | None


class TickRecorder(VecEnvWrapper):
    """Keeps every step since the last `take`; changes nothing. Must be the outermost wrapper.

    Args:
        venv: What the agent trained on before.
        design: Says what to keep.
        columns: As in `DesignVecReward`.

    Attributes:
        ticks: The border (a reset, or the last step taken), then the steps since.
        names: The components the design reads.
    """

    def __init__(self, venv: VecEnv, design: RewardDesign, columns: Columns | None = None):
        super().__init__(venv)
        self._needs = design.needs
        self._reader = InfoReader(design, venv, columns)
        self.names = self._reader.names
        self.ticks: list[Tick] = []
        self._active = np.ones(self.num_envs, bool)
        self._actions: Any = None
        self._obs: Any = None
        self._count = 0

    def reset(self) -> Any:
        """Reset all environments; open episodes are dropped."""
        obs = self.venv.reset()
        self._keep_obs(obs)
        start = self._reader.extra(obs, reset_infos(self.venv), self._count, self._active)
        self.ticks = [Tick(None, self._active.copy(), start)]
        return obs

    def step_async(self, actions: np.ndarray) -> None:
        """Keep the actions and pass them on."""
        self._actions = actions
        self.venv.step_async(actions)

    def step_wait(self) -> Any:
        """Finish the step, keep what the design needs, and return it all unchanged."""
        obs, rewards, dones, infos = self.venv.step_wait()
        self._count += 1
        reader = self._reader
        batch = reader.batch(self._obs, self._actions, (obs, rewards, dones, infos), self._count)
        begun = np.array(dones, bool)
        start = None
        if begun.any():
            start = reader.extra(obs, reset_infos(self.venv), self._count, begun)
        self._keep_obs(obs)
        self.ticks.append(Tick(batch, begun, start))
        return obs, rewards, dones, infos

    def take(self) -> list[Tick]:
        """Return all ticks, the border first, and keep the last one as the next border."""
        ticks, self.ticks = self.ticks, self.ticks[-1:]
        return ticks

    def _keep_obs(self, obs: Any) -> None:
        if "obs" in self._needs:
            self._obs = self._reader.obs_rows.batch(obs, copy=True)


def gather_episodes(ticks: Sequence[Tick], spans: Sequence[Span]) -> EpisodeBatch:
    """Return the episodes of `spans`, in their order, as one batch.

    Args:
        ticks: Ticks that hold a step, without the border.
        spans: At least one, with indices into `ticks`.
    """
    batches = [tick.batch for tick in ticks if tick.batch is not None]
    lengths = np.array([span.last - span.first + 1 for span in spans])
    rows = np.concatenate([np.arange(span.first, span.last + 1) for span in spans])
    slots = np.repeat([span.slot for span in spans], lengths)
    last, own = [span.last for span in spans], [span.slot for span in spans]

    def column(field: str) -> Any:
        return _stack([getattr(batch, field) for batch in batches])

    def pick(value: Any) -> Any:
        if value is None:
            return None
        if isinstance(value, dict):
            return {key: pick(part) for key, part in value.items()}
        if isinstance(value, tuple):
            return tuple(map(pick, value))
        return value[rows, slots]

    return EpisodeBatch(
        pick(column("reward")),
        pick(column("components")),
        np.concatenate([[0], np.cumsum(lengths)]),
        column("terminated")[last, own],
        column("truncated")[last, own],
        column("failed")[last, own],
        obs=pick(column("obs")),
        action=pick(column("action")),
        next_obs=pick(column("next_obs")),
        extra=pick(column("extra")),
        start=_starts(spans),
    )


def _stack(values: list[Any]) -> Any:
    """Stack arrays over time, entry by entry."""
    if values[0] is None:
        return None
    if isinstance(values[0], dict):
        return {key: _stack([value[key] for value in values]) for key in values[0]}
    if isinstance(values[0], tuple):
        return tuple(_stack([value[k] for value in values]) for k in range(len(values[0])))
    return np.stack(values)


def _starts(spans: Sequence[Span]) -> dict[str, Any] | None:
    first = spans[0].start
    if first is None:
        return None
    starts = {}
    for column in first:
        held = [(span.start or {})[column] for span in spans]
        starts[column] = np.empty(len(spans), np.result_type(*held))
        starts[column][:] = [values[span.slot] for values, span in zip(held, spans, strict=True)]
    return starts
