"""Cuts training into segments between checkpoints, each of which can be run again exactly.

- `Segments`: where the boundaries lie.
- `SegmentCallback`: at each boundary saves a checkpoint and resets every environment.
- `StopRequest`: remembers Ctrl-C and SIGTERM until training can stop.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Mapping
from types import FrameType
from typing import Any, NamedTuple, cast

import numpy as np
from stable_baselines3.common.callbacks import BaseCallback

from rewardloom.baselines.training.algorithms import Agent
from rewardloom.baselines.training.checkpoints import Checkpoint, restore, save_checkpoint
from rewardloom.baselines.training.config import TrainConfig
from rewardloom.baselines.training.diagnostics import DiagnosticsCallback
from rewardloom.baselines.training.episodes import EpisodeCallback
from rewardloom.baselines.training.folder import RunFolder
from rewardloom.baselines.training.tables import RunTables
from rewardloom.rewards.design import RewardDesign

__all__ = ["SHORTEST_SEGMENT", "SegmentCallback", "Segments", "StopRequest"]

SHORTEST_SEGMENT = 5_000
"""Steps per environment between checkpoints, at least, unless `checkpoint_every` says otherwise."""


class Segments(NamedTuple):
    """The plan of a run, in environment steps.

    Attributes:
        rollout: Steps between two updates.
        total: Steps of the whole run, a multiple of `rollout`.
        every: Steps from one checkpoint to the next, a multiple of `rollout`.
    """

    rollout: int
    total: int
    every: int

    @classmethod
    def of(cls, config: TrainConfig, model: Agent) -> Segments:
        """Round the steps of a configuration up to whole rollouts.

        By default a run has at most ten segments, and none so short that boundaries would cut most
        episodes of a slow world.
        """
        rollout = model.n_steps * model.n_envs
        default = max(-(-config.steps // 10), SHORTEST_SEGMENT * model.n_envs)
        every = config.checkpoint_every or default
        return cls(rollout, -(-config.steps // rollout) * rollout, -(-every // rollout) * rollout)


class SegmentCallback(BaseCallback):
    """Starts a segment at step 0, at every boundary and where a run is resumed.

    A segment starts with all environments reset from a seed that follows from the run's seed and
    the segment's number, and with designs that went through `state_dict` and `load_state_dict`:
    exactly what a resumed run starts from. SB3 calls this before it reads its last observation.

    Args:
        config: Gives the seed and how many checkpoints to keep.
        folder: Where checkpoints go.
        plan: Where the boundaries lie.
        designs: info key -> design.
        tables: Told to put their rows on the disk before a checkpoint counts them.
        episodes: Told that open episodes end here.
        diagnostics: Told that a segment starts.
        resume: The checkpoint to go on from, or None.
        stop: Ends training at the next step once it was asked to.
    """

    def __init__(
        self,
        config: TrainConfig,
        folder: RunFolder,
        plan: Segments,
        designs: Mapping[str, RewardDesign],
        *,
        tables: RunTables,
        episodes: EpisodeCallback,
        diagnostics: DiagnosticsCallback,
        resume: Checkpoint | None,
        stop: StopRequest,
    ):
        super().__init__()
        self._config = config
        self._folder = folder
        self._plan = plan
        self._designs = designs
        self._tables = tables
        self._episodes = episodes
        self._diagnostics = diagnostics
        self._resume = resume
        self._stop = stop

    def _on_rollout_start(self) -> None:
        step = self.num_timesteps
        if step % self._plan.every:
            return
        if self._resume is not None:
            restore(self._resume, self._designs)
            self._resume = None
        elif step > 0:
            self._save()
            for design in self._designs.values():
                design.load_state_dict(design.state_dict())
        self._start(step // self._plan.every)

    def _on_step(self) -> bool:
        return self._stop.signal_number is None

    def _save(self) -> None:
        self._tables.sync()
        save_checkpoint(
            self._folder,
            cast(Agent, self.model),
            self._designs,
            rows=self._tables.rows,
            keep=self._config.keep_checkpoints,
        )
        self._folder.write_status("running", self.num_timesteps)

    def _start(self, number: int) -> None:
        """Reset all environments for segment `number`."""
        venv, model = self.training_env, cast(Any, self.model)
        source = np.random.SeedSequence(self._config.seed, spawn_key=(number,))
        venv.seed(int(source.generate_state(1)[0]) >> 1)  # SB3 adds the slot; stays below 2**32
        model._last_obs = venv.reset()
        model._last_episode_starts = np.ones(venv.num_envs, bool)
        if model.use_sde:  # SB3 drew the noise before this boundary
            model.policy.reset_noise(venv.num_envs)
        self._episodes.begin(venv.num_envs)
        self._diagnostics.begin()


class StopRequest:
    """Turns the first Ctrl-C or SIGTERM into a request; the second one acts at once.

    Use as a context manager; outside the main thread it only offers `signal_number`.
    """

    def __init__(self) -> None:
        self.signal_number: int | None = None
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> StopRequest:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._previous[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *_: object) -> None:
        self._restore()

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self.signal_number = number
        self._restore()

    def _restore(self) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        self._previous = {}
