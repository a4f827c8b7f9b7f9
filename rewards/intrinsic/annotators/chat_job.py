"""The requests of one call, done by several threads and left behind when nobody waits.

- `Job`: who does which request, and when the caller goes on.
- `Outcome`: what became of a request.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

__all__ = ["Job", "Outcome"]


class Outcome(NamedTuple):
    """What became of one request.

    Attributes:
        choice: The first choice of the completion, or None.
        cause: Why there is none: an HTTP status, "timeout", "connection", "garbage" (an answer
            that is no completion), "waiting" (not asked, since the server did not answer others)
            or "closed"; "" if there is one.
    """

    choice: dict[str, Any] | None
    cause: str


class Job:
    """The requests of one call, taken by several threads.

    Args:
        bodies: What to post.

    Attributes:
        outcomes: What became of each; "closed" until it is done.
        abandoned: Set when the caller waits no longer.
    """

    def __init__(self, bodies: Sequence[bytes]):
        self.bodies = bodies
        self.outcomes = [Outcome(None, "closed")] * len(bodies)
        self._changed = threading.Condition()
        self.abandoned = threading.Event()
        self._error: BaseException | None = None
        self._next = 0
        self._running = 0

    def run(self, work: Callable[[], None], threads: int) -> list[Outcome]:
        """Have `work` done by several threads, and return what came of it.

        Returns when all are done or the job is abandoned. What `work` raises is raised here.
        """
        for _ in range(min(threads, len(self.bodies))):
            with self._changed:
                self._running += 1
            threading.Thread(
                target=self._guarded, args=(work,), name="rewardloom-chat", daemon=True
            ).start()
        try:
            with self._changed:
                self._changed.wait_for(lambda: not self._running or self.abandoned.is_set())
        finally:
            self.abandoned.set()
        if self._error is not None:
            raise self._error
        return list(self.outcomes)

    def take(self) -> int | None:
        """Return the index of the next request, or None if there is none to do."""
        with self._changed:
            if self._next == len(self.bodies) or self.abandoned.is_set():
                return None
            self._next += 1
            return self._next - 1

    def abandon(self) -> None:
        """Let the caller of `run` go, and no more requests be taken."""
        with self._changed:
            self.abandoned.set()
            self._changed.notify_all()

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as error:  # a defect of ours: the caller must see it, not hang
            self._error = error
        finally:
            with self._changed:
                self._running -= 1
                self._changed.notify_all()
