"""TensorBoard output that a resumed run continues without showing any step twice.

- `EventFile`: writes scalars at once.
- `run_logger`: the SB3 logger of a run.
- `LogCallback`: writes one set of values per update, after learning.
"""

from __future__ import annotations

import platform
import time
from numbers import Real
from pathlib import Path
from typing import Any

from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import KVWriter, Logger
from tensorboard.compat.proto import event_pb2, summary_pb2
from tensorboard.summary.writer.record_writer import RecordWriter

from rewardloom.baselines.training.timing import Clock

# protobuf makes these classes when the modules are imported
Event = event_pb2.Event  # pyright: ignore[reportAttributeAccessIssue]
SessionLog = event_pb2.SessionLog  # pyright: ignore[reportAttributeAccessIssue]
Summary = summary_pb2.Summary  # pyright: ignore[reportAttributeAccessIssue]

__all__ = ["EventFile", "LogCallback", "run_logger"]


class EventFile(KVWriter):
    """Writes scalars into a TensorBoard event file.

    torch's SummaryWriter writes from a thread, where a full disk becomes a stray traceback; this
    one raises the OSError where it happens.

    Args:
        folder: Where the file goes.
        step: Steps already taken; TensorBoard hides what earlier files hold after them.
    """

    def __init__(self, folder: Path, step: int):
        folder.mkdir(parents=True, exist_ok=True)
        name = f"events.out.tfevents.{time.time_ns()}.{platform.node()}"
        self._file = open(folder / name, "wb")  # noqa: SIM115
        self._records = RecordWriter(self._file)
        self._put(Event(wall_time=time.time(), file_version="brain.Event:2"))
        if step:
            start = SessionLog(status=SessionLog.START)
            self._put(Event(wall_time=time.time(), step=step + 1, session_log=start))

    def write(
        self,
        key_values: dict[str, Any],
        key_excluded: dict[str, tuple[str, ...]],
        step: int = 0,
    ) -> None:
        """Write the numbers among `key_values`."""
        values = [
            Summary.Value(tag=key, simple_value=float(value))
            for key, value in key_values.items()
            if isinstance(value, Real) and "tensorboard" not in (key_excluded[key] or ())
        ]
        self._put(Event(wall_time=time.time(), step=step, summary=Summary(value=values)))
        self._file.flush()

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _put(self, event: Any) -> None:
        self._records.write(event.SerializeToString())


def run_logger(folder: Path, *, step: int) -> Logger:
    """Return a logger that writes event files into `folder` from `step` on."""
    return Logger(str(folder), [EventFile(folder, step)])


class LogCallback(BaseCallback):
    """Writes what was recorded, once per update.

    SB3 would write before it learns and so show the losses one update late.

    Args:
        clock: Gives the steps per second.
    """

    def __init__(self, clock: Clock):
        super().__init__()
        self._clock = clock
        self._pending = False

    def _on_rollout_start(self) -> None:
        self._write()

    def _on_step(self) -> bool:
        return True

    def _on_rollout_end(self) -> None:
        self._pending = True

    def _on_training_end(self) -> None:
        self._write()

    def _write(self) -> None:
        if self._pending:
            report = self._clock.report()
            self.logger.record("time/steps_per_second", report["steps_per_second"])
            self.logger.dump(self.num_timesteps)
            self._pending = False
