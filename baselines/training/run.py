"""`train`: one training run from a configuration, in a folder of its own.

- `RunResult`: how it ended.
"""

from __future__ import annotations

import errno
import json
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from stable_baselines3.common.callbacks import BaseCallback, CallbackList

from rewardloom.baselines.plugs import attach_relabel
from rewardloom.baselines.plugs.relabel_on_policy import OnPolicyRelabeller
from rewardloom.baselines.training.algorithms import Agent, build_model, restore_model
from rewardloom.baselines.training.checkpoints import Checkpoint, latest_checkpoint, save_agent
from rewardloom.baselines.training.config import TrainConfig
from rewardloom.baselines.training.diagnostics import DiagnosticsCallback, speaking_designs
from rewardloom.baselines.training.episodes import EpisodeCallback
from rewardloom.baselines.training.evaluation import evaluate_model
from rewardloom.baselines.training.folder import RunFolder, RunState, write_json
from rewardloom.baselines.training.logs import LogCallback, run_logger
from rewardloom.baselines.training.progress import ProgressCallback
from rewardloom.baselines.training.segments import SegmentCallback, Segments, StopRequest
from rewardloom.baselines.training.tables import RunTables
from rewardloom.baselines.training.threads import torch_threads
from rewardloom.baselines.training.timing import Clock, TimingCallback, time_method
from rewardloom.baselines.training.versions import software_versions
from rewardloom.baselines.training.worlds import TrainingWorlds, make_training_worlds
from rewardloom.errors import RunError
from rewardloom.rewards.design import close_design

__all__ = ["RunResult", "train"]

_DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@dataclass(frozen=True)
class RunResult:
    """How a call of `train` ended.

    Attributes:
        folder: The run.
        state: "finished" or "interrupted".
        step: Environment steps taken.
        resume_step: The step from which --resume goes on, after an interruption.
        timing: Content of `timing.json`.
        evaluation: Content of `evaluation.json`, or None where there is none.
        signal_number: What interrupted it, or None.
    """

    folder: RunFolder
    state: RunState
    step: int
    resume_step: int
    timing: dict[str, Any]
    evaluation: dict[str, Any] | None
    signal_number: int | None = None


def train(
    config: TrainConfig,
    out: str | Path,
    *,
    resume: bool = False,
    overwrite: bool = False,
    progress: bool = True,
) -> RunResult:
    """Train one agent.

    Ctrl-C and SIGTERM stop at the next step and leave a usable `model.zip`.

    Args:
        config: The settings; with `resume` the same as those the run was started with.
        out: The run's folder.
        resume: Go on from the latest checkpoint, or from the start if there is none. The result is
            what an uninterrupted run gives. A finished run is returned as it is.
        overwrite: Replace a run that is already in `out`.
        progress: Show progress on standard error.

    Raises:
        ConfigError: a setting that the world, the designs or PPO refuse; `out` is untouched.
        Exception: what a world raises. A new run that fails before its first step leaves no files.
        RunError: `out` is taken or another process trains in it, there is nothing to resume or it
            has other settings, or the disk is full.
    """
    folder = RunFolder(out)
    checkpoint = None
    if resume:
        _check_same(folder, config)
        if folder.read_status()["state"] == "finished":
            return _finished(folder)
        checkpoint = latest_checkpoint(folder)
    else:
        folder.check_free(overwrite=overwrite)
    clock = Clock()
    with torch_threads(config.torch_threads):
        worlds = make_training_worlds(config, clock)
        try:
            model = _agent(config, worlds, checkpoint, clock)
            with folder.lock():
                if not resume:
                    folder.start(config, overwrite=overwrite)
                try:
                    return _Training(config, folder, worlds, model, clock, checkpoint).run(progress)
                except RunError:  # says how to go on
                    raise
                except Exception:
                    if not resume and model.num_timesteps == 0:
                        folder.remove()
                    raise
        finally:
            worlds.venv.close()
            if worlds.relabelling is not None:
                close_design(worlds.relabelling)


class _Training:
    """The parts of one run while it lasts."""

    def __init__(
        self,
        config: TrainConfig,
        folder: RunFolder,
        worlds: TrainingWorlds,
        model: Agent,
        clock: Clock,
        checkpoint: Checkpoint | None,
    ):
        self._config = config
        self._folder = folder
        self._worlds = worlds
        self._model = model
        self._clock = clock
        self._checkpoint = checkpoint

    def run(self, progress: bool) -> RunResult:
        """Train to the end or to an interruption and leave the folder in order."""
        try:
            return self._run(progress)
        except KeyboardInterrupt:
            self._mark("interrupted")
            raise
        except OSError as error:
            self._mark("failed")
            if error.errno not in _DISK_FULL:
                raise
            raise RunError(self._disk_full(error)) from error
        except BaseException:
            self._mark("failed")
            raise

    def _run(self, progress: bool) -> RunResult:
        folder, model = self._folder, self._model
        write_json(folder.versions, software_versions())
        folder.write_status("running", model.num_timesteps)
        with StopRequest() as stop:
            self._learn(stop, progress)
        save_agent(model, folder.model)
        timing = self._clock.report()
        write_json(folder.timing, timing)
        if stop.signal_number is not None:
            folder.write_status("interrupted", model.num_timesteps)
            return self._result("interrupted", timing, None, stop.signal_number)
        evaluation = None
        if self._config.eval_episodes:
            evaluation = evaluate_model(
                model,
                self._config,
                episodes=self._config.eval_episodes,
                seed=self._config.seed,
                deterministic=self._config.eval_deterministic,
            )
            write_json(folder.evaluation, evaluation)
        folder.write_status("finished", model.num_timesteps)
        return self._result("finished", timing, evaluation, None)

    def _learn(self, stop: StopRequest, progress: bool) -> None:
        model, checkpoint = self._model, self._checkpoint
        plan = Segments.of(self._config, model)
        speaking = speaking_designs(self._worlds.designs)
        relabeller = self._relabeller
        partial = {}
        if relabeller is not None and relabeller.design.depends == "episode":
            partial = {list(self._worlds.designs)[-1]: relabeller}
        tables = RunTables.open(
            self._folder, checkpoint.rows if checkpoint else {}, speaking=bool(speaking or partial)
        )
        logger = run_logger(self._folder.tensorboard, step=model.num_timesteps)
        model.set_logger(logger)
        episodes = EpisodeCallback(
            tables.episodes,
            self._worlds.designs,
            relabeller=relabeller,
        )
        diagnostics = DiagnosticsCallback(tables.designs, speaking, partial)
        segments = SegmentCallback(
            self._config,
            self._folder,
            plan,
            self._worlds.designs,
            tables=tables,
            episodes=episodes,
            diagnostics=diagnostics,
            resume=checkpoint,
            stop=stop,
        )
        bar = ProgressCallback(plan.total, episodes) if progress else None
        callbacks: list[BaseCallback] = [
            TimingCallback(self._clock),
            LogCallback(self._clock),
            segments,
            episodes,
            diagnostics,
        ]
        try:
            model.learn(
                plan.total - model.num_timesteps,
                callback=CallbackList(callbacks + ([bar] if bar else [])),
                log_interval=None,  # pyright: ignore[reportArgumentType] (SB3 takes None)
                reset_num_timesteps=False,
            )
        finally:
            if bar is not None:
                bar.close()
            try:
                tables.close()
            finally:
                logger.close()

    @property
    def _relabeller(self) -> OnPolicyRelabeller | None:
        """What pays the agent in its training buffer, if anything does."""
        if self._worlds.relabelling is None:
            return None
        return cast(Any, self._model.rollout_buffer).relabeller

    def _mark(self, state: RunState) -> None:
        with suppress(OSError):  # the error that led here matters more
            self._folder.write_status(state, self._model.num_timesteps)

    def _disk_full(self, error: OSError) -> str:
        saved = latest_checkpoint(self._folder)
        where = f"The checkpoint at step {saved.step:,} is intact" if saved else "Nothing was saved"
        return (
            f"The disk is full ({error.strerror}) while writing {self._folder.path}. {where}; free "
            f"some space and continue with: rewardloom train --resume {self._folder.path}"
        )

    def _result(
        self,
        state: RunState,
        timing: dict[str, Any],
        evaluation: dict[str, Any] | None,
        signal_number: int | None,
    ) -> RunResult:
        saved = latest_checkpoint(self._folder)
        return RunResult(
            self._folder,
            state,
            self._model.num_timesteps,
            saved.step if saved else 0,
            timing,
            evaluation,
            signal_number,
        )


def _agent(
    config: TrainConfig, worlds: TrainingWorlds, checkpoint: Checkpoint | None, clock: Clock
) -> Agent:
    """Return a fresh agent, or the one of a checkpoint with its counters.

    A design that relabels is put on its training buffer.
    """
    if checkpoint is None:
        model = build_model(config, worlds.venv)
    else:
        model = restore_model(config, worlds.venv, checkpoint.path / "model.zip")
        model.num_timesteps = checkpoint.step
        model._n_updates = checkpoint.updates
    if worlds.relabelling is not None:
        attach_relabel(model, worlds.relabelling)
        relabeller = cast(Any, model.rollout_buffer).relabeller
        time_method(relabeller, "rewrite", clock, "design")
    return model


def _check_same(folder: RunFolder, config: TrainConfig) -> None:
    changed = folder.read_config().differences(config)
    if changed:
        raise RunError(
            f"{folder.path} was started with other settings ({', '.join(changed)}). Resume it with "
            "its own, or start a new run with another --out."
        )


def _finished(folder: RunFolder) -> RunResult:
    """Return the result of a run that ended earlier."""
    step = folder.read_status()["step"]
    timing = json.loads(folder.timing.read_text(encoding="utf-8"))
    evaluation = None
    if folder.evaluation.is_file():
        evaluation = json.loads(folder.evaluation.read_text(encoding="utf-8"))
    return RunResult(folder, "finished", step, step, timing, evaluation)
