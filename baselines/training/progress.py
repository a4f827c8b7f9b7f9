"""Shows how training goes: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
from time import monotonic

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from stable_baselines3.common.callbacks import BaseCallback

from rewardloom.baselines.training.episodes import EpisodeCallback

__all__ = ["ProgressCallback"]

_LINE_SECONDS = 10.0
_BAR_SECONDS = 0.2


class ProgressCallback(BaseCallback):
    """Writes steps, steps per second, mean raw training return and the time left to standard error.

    Args:
        total: Steps of the whole run.
        episodes: Knows the mean raw return of the last training episodes.
    """

    def __init__(self, total: int, episodes: EpisodeCallback):
        super().__init__()
        self._total = total
        self._episodes = episodes
        self._bar: Progress | None = None
        self._first = 0
        self._began = self._shown = 0.0

    def _on_training_start(self) -> None:
        self._first = self.model.num_timesteps
        self._began = self._shown = monotonic()
        console = Console(file=sys.stderr)
        if console.is_terminal:
            bar = Progress(
                TextColumn("{task.completed:,}/{task.total:,} steps"),
                BarColumn(),
                TextColumn("{task.fields[facts]}"),
                TimeRemainingColumn(),
                console=console,
                auto_refresh=False,
            )
            bar.add_task("", total=self._total, completed=self._first, facts="")
            bar.start()
            self._bar = bar

    def _on_step(self) -> bool:
        now = monotonic()
        if now - self._shown >= (_LINE_SECONDS if self._bar is None else _BAR_SECONDS):
            self._shown = now
            self._show()
        return True

    def _on_training_end(self) -> None:
        self._show()
        self.close()

    def close(self) -> None:
        """Leave the terminal as it was; called twice it does nothing more."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def _show(self) -> None:
        step = self.num_timesteps
        rate = (step - self._first) / max(monotonic() - self._began, 1e-9)
        mean = self._episodes.mean_raw_return
        earned = "-" if mean is None else f"{mean:.4g}"
        facts = f"{rate:,.0f} steps/s  training return {earned} (raw)"
        if self._bar is not None:
            self._bar.update(self._bar.task_ids[0], completed=step, facts=facts)
            self._bar.refresh()
            return
        left = (self._total - step) / rate if rate else 0.0
        print(
            f"{step:,}/{self._total:,} steps  {facts}  {max(left, 0.0):.0f} s left",
            file=sys.stderr,
            flush=True,
        )
