"""Runs commands as child processes, some at a time, and leaves none behind.

- `Task`: one command and what became of it.
- `run_tasks`: runs them all; Ctrl-C, SIGTERM and SIGHUP end the children first.
"""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic, sleep
from types import FrameType
from typing import Any, Literal

__all__ = ["Task", "run_tasks"]

_POLL = 0.1  # seconds
_GRACE = 30.0  # seconds for a child to save its agent after SIGTERM
_LAST_WORDS = 16_384  # bytes of a log that are searched for its last line

TaskState = Literal["waiting", "running", "finished", "failed", "interrupted"]


@dataclass
class Task:
    """A command to run.

    Attributes:
        name: For messages.
        command: Program and arguments.
        log: Receives standard output and error; replaced when the task starts.
        threads: OMP_NUM_THREADS of the child.
        timeout: Seconds after which it is ended and counts as failed; None for no limit.
        state: What became of it.
        started: `time.monotonic()` of its start.
        error: The last line of the log of a failed task.
    """

    name: str
    command: list[str]
    log: Path
    threads: int = 1
    timeout: float | None = None
    state: TaskState = "waiting"
    started: float = 0.0
    error: str = ""
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    def start(self) -> None:
        """Start the child in a process group of its own."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        environment = {**os.environ, "OMP_NUM_THREADS": str(self.threads)}
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=environment,
                start_new_session=True,
            )
        self.state = "running"
        self.started = monotonic()

    def poll(self) -> None:
        """Notice the end of the child, or that its time is over."""
        assert self.process is not None
        status = self.process.poll()
        if status is None:
            if self.timeout is not None and monotonic() - self.started > self.timeout:
                self.kill()
                self.state = "failed"
                self.error = f"ended after {self.timeout:.0f} s"
            return
        self.kill()  # what the child itself may have started
        self.state = "finished" if status == 0 else "failed"
        if status:
            self.error = _last_line(self.log) or _status_words(status)

    def signal(self, number: int) -> None:
        """Send a signal to the child and to what it started."""
        if self.process is None:
            return
        try:
            os.killpg(self.process.pid, number)
        except (ProcessLookupError, PermissionError):  # gone; macOS says permission of zombies
            return

    def kill(self) -> None:
        """End the child's process group at once and wait for the child."""
        self.signal(signal.SIGKILL)
        if self.process is not None:
            self.process.wait()


class _StopSignal:
    """Remembers the first Ctrl-C, SIGTERM or SIGHUP; counts the later ones."""

    def __init__(self) -> None:
        self.number: int | None = None
        self.count = 0
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> _StopSignal:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                self._previous[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self.number = self.number or number
        self.count += 1


def run_tasks(
    tasks: Sequence[Task], jobs: int, *, on_tick: Callable[[], None] = lambda: None
) -> int | None:
    """Run tasks, at most `jobs` at a time, in their order; a failing one stops no other.

    Args:
        tasks: Those that are not "waiting" are left alone.
        jobs: At least 1.
        on_tick: Called about ten times a second.

    Returns:
        The signal that stopped everything (children get SIGTERM, then time to save their agent; a
        second signal ends them at once), or None.
    """
    with _StopSignal() as stop:
        try:
            while stop.number is None and _advance(tasks, jobs):
                on_tick()
                sleep(_POLL)
            if stop.number is not None:
                _stop_children(tasks, stop, on_tick)
        finally:
            for task in tasks:
                if task.state == "running":
                    task.kill()
                    task.state = "interrupted"
        on_tick()
        return stop.number


def _advance(tasks: Sequence[Task], jobs: int) -> bool:
    """Collect what ended and start what fits; return whether anything is still to be done."""
    for task in tasks:
        if task.state == "running":
            task.poll()
    running = sum(task.state == "running" for task in tasks)
    for task in tasks:
        if running < jobs and task.state == "waiting":
            task.start()
            running += 1
    return running > 0


def _stop_children(tasks: Sequence[Task], stop: _StopSignal, on_tick: Callable[[], None]) -> None:
    """Ask the children to end; those that do in time are "interrupted" like the others."""
    running = [task for task in tasks if task.state == "running"]
    for task in running:
        task.signal(signal.SIGTERM)
    deadline = monotonic() + _GRACE
    while stop.count < 2 and monotonic() < deadline:
        if all(task.process is None or task.process.poll() is not None for task in running):
            return
        on_tick()
        sleep(_POLL)


def _last_line(log: Path) -> str:
    with open(log, "rb") as file:
        file.seek(0, os.SEEK_END)
        file.seek(max(file.tell() - _LAST_WORDS, 0))
        lines = file.read().decode(errors="replace").splitlines()
    return next((line.strip() for line in reversed(lines) if line.strip()), "")


def _status_words(status: int) -> str:
    if status < 0:
        return f"ended by {signal.Signals(-status).name}"
    return f"exit status {status} without a word"
