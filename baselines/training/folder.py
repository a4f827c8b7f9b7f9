"""`RunFolder`: what lies where in the folder of a training run, and its state.

    config.json         the `TrainConfig`
    versions.json       software, platform and git state
    status.json         {"state": running | finished | interrupted | failed, "step": n}
    episodes.csv        one row per finished training episode
    designs.csv         one row per refit of a learned design
    timing.json         shares of wall time
    tensorboard/        event files
    checkpoints/<step>/ model.zip, state.pt (random and design states), checkpoint.json
    model.zip           the agent when training ended or was interrupted
    evaluation.json     the final evaluation, on the world without designs

Importing this module needs neither torch nor Stable-Baselines3.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Literal

from rewardloom.baselines.training.config import TrainConfig, load_config
from rewardloom.errors import RunError

__all__ = ["RunFolder", "RunState", "write_bytes", "write_json"]

RunState = Literal["running", "finished", "interrupted", "failed"]


class RunFolder:
    """Paths and state of one training run.

    Args:
        path: The folder; need not exist yet.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        self.config = self.path / "config.json"
        self.versions = self.path / "versions.json"
        self.status = self.path / "status.json"
        self.episodes = self.path / "episodes.csv"
        self.designs = self.path / "designs.csv"
        self.timing = self.path / "timing.json"
        self.tensorboard = self.path / "tensorboard"
        self.checkpoints = self.path / "checkpoints"
        self.model = self.path / "model.zip"
        self.evaluation = self.path / "evaluation.json"

    @property
    def exists(self) -> bool:
        """Whether a run was started here."""
        return self.config.is_file()

    def check_free(self, *, overwrite: bool = False) -> None:
        """Raise `RunError` if a new run must not start here.

        Args:
            overwrite: Allow a run that is already here.
        """
        if self.path.exists() and not self.path.is_dir():
            raise RunError(f"{self.path} is not a folder; choose another --out.")
        if self.exists and not overwrite:
            raise RunError(
                f"{self.path} already holds a training run. Continue it with --resume {self.path}, "
                "replace it with --overwrite, or choose another --out."
            )
        if not self.exists and self.path.is_dir() and any(self.path.iterdir()):
            raise RunError(f"{self.path} is not empty and holds no run; choose another --out.")

    def start(self, config: TrainConfig, *, overwrite: bool = False) -> None:
        """Write `config.json` of a new run; the folder exists, see `lock`.

        Args:
            config: The run's settings.
            overwrite: Delete the files of a run that is already here, and nothing else.

        Raises:
            RunError: as `check_free`.
        """
        self.check_free(overwrite=overwrite)
        if self.exists:
            self._delete()
        write_json(self.config, config.to_dict())

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the folder for this process; it is made if need be. A killed process lets go.

        Raises:
            RunError: another process holds it.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self.path, os.O_RDONLY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            raise RunError(
                f"Another process is training in {self.path}; wait for it or stop it first."
            ) from None
        try:
            yield
        finally:
            os.close(descriptor)

    def remove(self) -> None:
        """Delete the run's files, and the folder if nothing else lies in it."""
        self._delete()
        with suppress(OSError):
            self.path.rmdir()

    def _delete(self) -> None:
        for folder in (self.tensorboard, self.checkpoints):
            shutil.rmtree(folder, ignore_errors=True)
        for file in (
            self.versions,
            self.status,
            self.episodes,
            self.designs,
            self.timing,
            self.model,
            self.evaluation,
            self.config,
        ):
            file.unlink(missing_ok=True)

    def read_config(self, *, designs: bool = True) -> TrainConfig:
        """Return the settings of the run.

        Args:
            designs: False leaves its designs out, as whoever only plays its world does.

        Raises:
            RunError: no run was started here.
        """
        if not self.exists:
            raise RunError(f"{self.path} holds no training run (it has no config.json).")
        return load_config(self.config, designs=designs)

    def read_status(self) -> dict[str, Any]:
        """Return {"state": ..., "step": ...}; a run without a status counts as running, step 0."""
        if not self.status.is_file():
            return {"state": "running", "step": 0}
        return json.loads(self.status.read_text(encoding="utf-8"))

    def write_status(self, state: RunState, step: int) -> None:
        """Replace `status.json` in one go."""
        write_json(self.status, {"state": state, "step": step})


def write_bytes(path: Path, content: bytes) -> None:
    """Write `content` so that `path` holds either its old content or all of the new one."""
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        with open(temporary, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise


def write_json(path: Path, value: Any) -> None:
    """Write `value` as JSON in the way of `write_bytes`."""
    write_bytes(path, (json.dumps(value, indent=2) + "\n").encode())
