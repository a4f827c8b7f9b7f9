"""`Breaker`: stops asking a server that does not answer, and tries it again now and then."""

from __future__ import annotations

import threading
import time
from typing import NamedTuple

__all__ = ["Breaker", "Health"]

_LONGEST = 60.0


class Health(NamedTuple):
    """How it stands with a server.

    Attributes:
        state: "unknown" before the first answer, "ok", "down" (does not answer, or only with
            errors of its own) or "refused" (wrong key, model or address).
        reason: What the last failure was; "" if "ok" or "unknown".
    """

    state: str
    reason: str


class Breaker:
    """Opens when a server fails and lets one trial through after a wait that doubles.

    Args:
        wait: Seconds until the first trial; the wait doubles up to a minute.

    Attributes:
        health: How it stands.
    """

    def __init__(self, wait: float):
        self._first = wait
        self._wait = wait
        self._until = 0.0
        self._last_success = 0.0
        self._lock = threading.Lock()
        self.health = Health("unknown", "")

    @property
    def is_open(self) -> bool:
        """Whether the last word was a failure."""
        return self.health.state in ("down", "refused")

    @property
    def cooling(self) -> bool:
        """Whether it is too early for another trial."""
        return self.is_open and time.monotonic() < self._until

    def succeeded(self) -> None:
        """Note an answer."""
        with self._lock:
            self._last_success = time.monotonic()
            self._wait = self._first
            self.health = Health("ok", "")

    def failed(self, state: str, reason: str, since: float) -> None:
        """Note that a request was given up.

        Args:
            state: "down" or "refused".
            reason: What happened.
            since: When the request was first tried (`time.monotonic`). Another one that was
                answered since then shows that the server works, and nothing is noted.
        """
        with self._lock:
            now = time.monotonic()
            if self._last_success > since or self.cooling:
                return
            self._until = now + self._wait
            self._wait = min(2 * self._wait, _LONGEST)
            self.health = Health(state, reason)
