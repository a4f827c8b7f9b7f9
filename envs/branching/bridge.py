"""SCIP's search in a thread of its own, which stops at every branching and asks.

- `Observe`, `Policy`: the types of what it calls inside SCIP's callback.
- `Search`: owns the model, the thread and the two queues between it and the caller.

The thread holds the `Search` and never its caller, so that a caller who is dropped can be collected
and end the search. An exception in one of SCIP's callbacks would be swallowed by SCIP; here it is
kept, the search is interrupted, and the caller gets it.
"""

from __future__ import annotations

import contextlib
import contextvars
import math
import os
import queue
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from gymnasium.error import ResetNeeded
from pyscipopt import Branchrule, Model
from pyscipopt.scip import PY_SCIP_RESULT, PY_SCIP_STAGE

from rewardloom.envs.branching.clock import SolverClock
from rewardloom.envs.branching.records import (
    Decision,
    Scale,
    SearchResult,
    check_choice,
    read_decision,
    read_result,
)
from rewardloom.envs.branching.settings import SearchSettings
from rewardloom.envs.branching.tree import TreeRecorder, TreeTable
from rewardloom.errors import BackendUnavailable, ConfigError

__all__ = ["Observe", "Policy", "Search"]

Observe = Callable[[Model], Any]
Policy = Callable[[Decision], "int | np.integer[Any] | None"]

_HIGHEST_PRIORITY = 536870911
_PATIENCE = 60.0  # seconds that a limit of time waits for SCIP to heed its interrupt
_CLOSING = 0.3  # seconds that closing waits; SCIP heeds no interrupt inside one LP
_POLL = 0.01
_CLOSED = "The search was closed before it began; start another session."

_OF_THE_PARENT_PROCESS: list[Model] = []
"""Models whose thread stayed behind in the process that forked this one: never to be freed here."""


class _AskingRule(Branchrule):
    """The branching rule that asks `search` for every fractional LP solution."""

    def __init__(self, search: Search):
        self._search = search

    def branchexeclp(self, allowaddcons: bool) -> dict[str, int]:
        """Branch as the search is told."""
        try:
            return {"result": self._search.decide()}
        except BaseException as error:
            self._search.fail(error)
            return {"result": PY_SCIP_RESULT.DIDNOTRUN}

    def branchexecps(self, allowaddcons: bool) -> dict[str, int]:
        """Leave nodes without an LP solution to SCIP."""
        self._search.unasked += 1
        return {"result": PY_SCIP_RESULT.DIDNOTRUN}

    def branchexecext(self, allowaddcons: bool) -> dict[str, int]:
        """Leave candidates of other relaxations to SCIP."""
        self._search.unasked += 1
        return {"result": PY_SCIP_RESULT.DIDNOTRUN}


class Search:
    """One search of SCIP, in a thread that starts with `start` and ends with the search.

    Args:
        model: A built problem that has not been solved. The search owns it and frees it.
        settings: Presets, limits and seeds, set on the model here.
        observe: Called with the model at every decision, inside SCIP's callback; it must not hold
            the caller, or a dropped caller is never collected.
        policy: Answers every decision inside SCIP's callback; None: the caller is asked.

    Raises:
        ConfigError: The model's solving has begun already, or a parameter does not fit.
    """

    def __init__(
        self,
        model: Model,
        settings: SearchSettings,
        observe: Observe | None = None,
        policy: Policy | None = None,
    ):
        if model.getStageName() != "PROBLEM":
            raise ConfigError(
                f"The model is in SCIP's stage {model.getStageName()}; a search needs a model "
                "whose problem is built and not yet solved. Give each search a model of its own."
            )
        settings.apply(model)
        self.unasked = 0
        self.decisions = 0
        self.clock = SolverClock()
        self.result: SearchResult | None = None
        self.error: BaseException | None = None
        self._model = model
        self._settings = settings
        self._observe = observe
        self._policy = policy
        self._scale: Scale | None = None
        self._stop: str | None = None
        self._begun = self._freed = self._ended = self._orphaned = False
        self._done = threading.Event()
        self._ownership = threading.RLock()
        self._questions: queue.SimpleQueue[Decision | None] = queue.SimpleQueue()
        self._answers: queue.SimpleQueue[int | None] = queue.SimpleQueue()
        self._pid = os.getpid()
        self.recorder = TreeRecorder(self.fail)
        model.includeEventhdlr(self.recorder, "rewardloom_tree", "records processed nodes")
        model.includeBranchrule(
            _AskingRule(self), "rewardloom", "asks an agent", _HIGHEST_PRIORITY, -1, 1.0
        )
        context = contextvars.copy_context()
        self._thread = threading.Thread(
            target=context.run, args=(self._run,), name="rewardloom-scip", daemon=True
        )

    def tree(self) -> TreeTable:
        """Return the nodes that have been processed so far."""
        return self.recorder.table(*(self._scale or (1.0, 0.0)))

    # The caller's side.

    def start(self) -> None:
        """Let SCIP begin.

        Raises:
            ResetNeeded: The search was closed before.
        """
        with self._ownership:
            if self._orphaned:
                raise ResetNeeded(_CLOSED)
            self._begun = True
        self._thread.start()

    def answer(self, choice: int | None) -> None:
        """Hand the choice over: the index of a candidate, or None for SCIP's own rule."""
        self._require_own_process()
        self._answers.put(choice)

    def wait(self) -> Decision | None:
        """Return the next decision, or None when the search has ended.

        An exception here, such as KeyboardInterrupt, ends the search before it goes on.
        """
        self._require_own_process()
        try:
            return self._wait()
        except BaseException:
            self.close()
            raise

    def _wait(self) -> Decision | None:
        while True:
            try:
                return self._questions.get(timeout=self._patience())
            except queue.Empty:
                reason = self._overdue()
            if reason is not None:
                self.halt(reason)
                return None

    def _patience(self) -> float | None:
        left = min(
            self._settings.watchdog - self.clock.stretch(),
            self._settings.time_limit - self.clock.total(),
        )
        return None if math.isinf(left) else max(left, _POLL)

    def _overdue(self) -> str | None:
        if self.clock.total() >= self._settings.time_limit:
            return "timelimit"
        return "watchdog" if self.clock.stretch() >= self._settings.watchdog else None

    def halt(self, reason: str, patience: float = _PATIENCE) -> None:
        """Interrupt SCIP and wait until its thread has ended, or for `patience` seconds."""
        if not self._begun:
            return
        self._stop = self._stop or reason
        self._answers.put(None)
        deadline = time.perf_counter() + patience
        # Not Thread.join: once interrupted, it takes a living thread for dead.
        while not self._done.is_set() and time.perf_counter() < deadline:
            # SCIP forgets an interrupt that comes before its search begins: say it again.
            self._interrupt()
            if threading.current_thread() is self._thread:
                return
            self._done.wait(_POLL)

    def close(self) -> None:
        """End the search and free the model; inside a long LP, its thread will free it."""
        if os.getpid() != self._pid:
            _OF_THE_PARENT_PROCESS.append(self._model)
            return
        with self._ownership:
            if not self._begun:
                self._orphaned = True
                self._free()
        self.halt("userinterrupt", _CLOSING)
        with self._ownership:
            self._orphaned = True
            if self._ended:
                self._free()

    def finish(self) -> SearchResult:
        """Free the model of a search that has ended and return how it ended.

        Raises:
            BaseException: What a callback raised, with its own type.
            BackendUnavailable: SCIP has not heeded an interrupt.
        """
        self.halt("userinterrupt")
        self.close()
        if self.error is not None:
            raise self.error
        if self.result is None:
            raise BackendUnavailable(
                f"SCIP was interrupted and did not stop within {_PATIENCE:.0f} seconds. Its thread "
                "ends with the linear program that it is solving; start another session."
            )
        return self.result

    def _require_own_process(self) -> None:
        if os.getpid() != self._pid:
            raise BackendUnavailable(
                "This search runs in the process that forked this one. Create sessions in the "
                "process that uses them."
            )

    def _interrupt(self) -> None:
        with self._ownership:
            if not self._freed and self._model.getStage() != PY_SCIP_STAGE.INITSOLVE:
                # Between two of its stages SCIP refuses; whoever asks, asks again.
                with contextlib.suppress(Exception):
                    self._model.interruptSolve()

    def _free(self) -> None:
        if not self._freed:
            self._freed = True
            self._model.free()

    # The solver's side.

    def decide(self) -> int:
        """Ask at the focus node and branch; called by SCIP in its thread."""
        self.clock.pause()
        try:
            choice, decision = self._ask()
        finally:
            self.clock.resume()
        if self._stop is not None:
            self._model.interruptSolve()
            return PY_SCIP_RESULT.DIDNOTRUN
        if choice is None or decision is None:
            return PY_SCIP_RESULT.DIDNOTRUN
        variable = decision.variables[choice]
        self._model.branchVar(variable)
        name, value = variable.name.removeprefix("t_"), float(decision.values[choice])
        self.recorder.branch(decision.node, name, value)
        return PY_SCIP_RESULT.BRANCHED

    def fail(self, error: BaseException) -> None:
        """Keep an exception of a callback for the caller and end the search."""
        self.error = self.error or error
        self._stop = self._stop or "userinterrupt"
        self._model.interruptSolve()

    def _ask(self) -> tuple[int | None, Decision | None]:
        if self._stop is None:
            self._stop = self._limit_reached()
        if self._stop is not None:
            return None, None
        if self._scale is None:
            self._scale = Scale.of(self._model)
        self.recorder.reach(self._model.getCurrentNode())
        observation = None if self._observe is None else self._observe(self._model)
        decision = read_decision(self._model, self._scale, self.clock.total(), observation)
        if self._stop is not None:
            return None, None
        self.decisions += 1
        if self._policy is None:
            self._questions.put(decision)
            return self._answers.get(), decision
        return check_choice(self._policy(decision), decision), decision

    def _limit_reached(self) -> str | None:
        if self.decisions == self._settings.decision_limit:
            return "decisionlimit"
        return "timelimit" if self.clock.total() >= self._settings.time_limit else None

    def _read_result(self) -> SearchResult:
        if self._scale is None:
            self._scale = Scale.of(self._model)
        return read_result(
            self._model,
            stop=self._stop,
            solver_seconds=self.clock.total(),
            decisions=self.decisions,
            unasked=self.unasked,
            tree=self.tree(),
        )

    def _run(self) -> None:
        try:
            self._solve()
        except BaseException as error:
            self.error = self.error or error
        with self._ownership:
            self._ended = True
            if self._orphaned:
                self._free()
        self._done.set()
        self._questions.put(None)

    def _solve(self) -> None:
        with self._ownership:
            if self._orphaned:
                raise ResetNeeded(_CLOSED)
        self.clock.resume()
        self._model.optimizeNogil()
        self.clock.pause()
        self.result = self._read_result()
