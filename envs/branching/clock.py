"""A clock that runs while SCIP works.

- `SolverClock`: seconds of work, without those in which the agent thinks.
"""

from __future__ import annotations

import time

__all__ = ["SolverClock"]


class SolverClock:
    """Seconds that SCIP works: runs between the agent's answer and the next question."""

    def __init__(self) -> None:
        self._total = 0.0
        self._since: float | None = None

    def resume(self) -> None:
        """SCIP works from now on."""
        self._since = time.perf_counter()

    def pause(self) -> None:
        """SCIP waits from now on."""
        self._total += self.stretch()
        self._since = None

    def stretch(self) -> float:
        """Return the seconds since SCIP was last set to work; 0 while it waits."""
        since = self._since
        return 0.0 if since is None else time.perf_counter() - since

    def total(self) -> float:
        """Return all seconds of work so far."""
        return self._total + self.stretch()
