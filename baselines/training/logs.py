"""TensorBoard output that a resumed run continues without showing any step twice.

- `run_logger`: the SB3 logger of a run.
- `LogCallback`: writes one line of values per update, after learning.
"""

from __future__ import annotations

from pathlib import Path

from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import Logger, TensorBoardOutputFormat
from torch.utils.tensorboard.writer import SummaryWriter

from rewardloom.baselines.training.timing import Clock

__all__ = ["LogCallback", "run_logger"]


class _ContinuedTensorBoard(TensorBoardOutputFormat):
    """SB3's format with `purge_step`: TensorBoard hides earlier values from that step on."""

    def __init__(self, folder: Path, step: int):
        # not the parent's, which would open a second file
        self.writer = SummaryWriter(str(folder), purge_step=step or None)
        self._is_closed = False


def run_logger(folder: Path, *, step: int) -> Logger:
    """Return a logger that writes event files into `folder` from `step` on."""
    folder.mkdir(parents=True, exist_ok=True)
    return Logger(str(folder), [_ContinuedTensorBoard(folder, step)])


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
