"""One search of SCIP, decision by decision or with a policy inside it.

- `BranchingSession`: hands out decisions and takes answers; what the worlds step.
- `evaluate`: the same search, to the bit, with the policy called inside SCIP.
"""

from __future__ import annotations

import weakref
from types import TracebackType
from typing import Any

import numpy as np
from gymnasium.error import ResetNeeded
from pyscipopt import Model

from rewardloom.envs.branching.bridge import Observe, Policy, Search
from rewardloom.envs.branching.records import Decision, SearchResult, check_choice
from rewardloom.envs.branching.settings import SearchSettings
from rewardloom.envs.branching.tree import TreeTable

__all__ = ["BranchingSession", "evaluate"]


class BranchingSession:
    """A search that stops at every fractional LP solution and asks what to branch on.

    SCIP works in a thread of its own and only while the caller waits for it: in `start`, `branch`
    and `default`. A session is for one search. It ends with the search, with `close`, when it is
    used as a context manager and left, or when it is dropped; each frees the model.

    Args:
        model: A built problem that has not been solved. The session owns it: it sets parameters,
            solves and frees it.
        settings: Presets, limits and seeds.
        observe: Called with the model at every decision, inside SCIP's callback; what it returns is
            the decision's `observation`. It must not hold the session's owner, or an owner that is
            dropped without `close` is never collected.

    Raises:
        ConfigError: The model's solving has begun already, or a parameter does not fit.

    Example:
        >>> from pyscipopt import Model
        >>> model = Model()
        >>> x, y = (model.addVar(name, vtype="I") for name in "xy")
        >>> _ = model.addCons(2 * x + 2 * y >= 3)
        >>> _ = model.addCons(2 * x - 2 * y <= 1)
        >>> model.setObjective(3 * x + 4 * y)
        >>> with BranchingSession(model, SearchSettings(preset="pure")) as session:
        ...     decision = session.start()
        ...     while decision is not None:
        ...         decision = session.branch(0)
        >>> session.result.status, session.result.primal_bound
        ('optimal', 7.0)
    """

    def __init__(
        self,
        model: Model,
        settings: SearchSettings | None = None,
        *,
        observe: Observe | None = None,
    ):
        self._search = Search(model, settings or SearchSettings(), observe)
        self._decision: Decision | None = None
        self._result: SearchResult | None = None
        self._started = False
        self._finalizer = weakref.finalize(self, self._search.close)

    @property
    def decision(self) -> Decision | None:
        """The decision that waits for an answer, or None."""
        return self._decision

    @property
    def result(self) -> SearchResult | None:
        """How the search ended, or None while it goes on."""
        return self._result

    @property
    def tree(self) -> TreeTable:
        """The nodes that have been processed so far."""
        return self._search.tree() if self._result is None else self._result.tree

    def path(self) -> list[int]:
        """Return the numbers of the nodes above the waiting decision's, from the root down.

        Raises:
            ResetNeeded: No decision is waiting.
        """
        return self._search.recorder.path(self._waiting().parent)

    def start(self) -> Decision | None:
        """Begin the search.

        Returns:
            The first decision, or None where the search ended without one.

        Raises:
            ResetNeeded: The search has been started or closed before.
            BackendUnavailable: SCIP did not heed an interrupt after a limit of time.
        """
        if self._started:
            raise ResetNeeded("This session has been started before. Create one for each search.")
        self._started = True
        self._search.start()
        return self._advance()

    def branch(self, candidate: int | np.integer[Any]) -> Decision | None:
        """Branch on a candidate of the waiting decision.

        Args:
            candidate: Its index in `decision.candidates`.

        Returns:
            The next decision, or None where the search has ended; see `result`.

        Raises:
            InvalidAction: There is no such candidate; the decision still waits.
            ResetNeeded: No decision is waiting.
            BackendUnavailable: As in `start`.
        """
        choice = check_choice(candidate, self._waiting())
        return self._answer(choice)

    def default(self) -> Decision | None:
        """Let SCIP's own rule decide; otherwise as `branch`.

        SCIP's rule may tighten bounds and solve the LP again instead of branching, so that the next
        decision can be at the same node.
        """
        self._waiting()
        return self._answer(None)

    def abort(self) -> SearchResult:
        """Stop the search where it is, free the model and return how far it came."""
        self._decision = None
        if not self._started:
            raise ResetNeeded("The search has not been started, there is nothing to abort.")
        if self._result is None:
            self._result = self._search.finish()
        return self._result

    def close(self) -> None:
        """End the search wherever it is and free the model; closing twice does nothing."""
        self._started = True
        self._decision = None
        self._finalizer()

    def __enter__(self) -> BranchingSession:
        """Return the session, to be closed when the block is left."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the session."""
        self.close()

    def _waiting(self) -> Decision:
        if self._decision is None:
            raise ResetNeeded(
                "No decision is waiting: the session was not started, or its search has ended."
            )
        return self._decision

    def _answer(self, choice: int | None) -> Decision | None:
        self._decision = None
        self._search.answer(choice)
        return self._advance()

    def _advance(self) -> Decision | None:
        self._decision = self._search.wait()
        if self._decision is None:
            self._result = self._search.finish()
        return self._decision


def evaluate(
    policy: Policy,
    model: Model,
    settings: SearchSettings | None = None,
    *,
    observe: Observe | None = None,
) -> SearchResult:
    """Run a whole search with `policy` called inside SCIP's callback.

    The search is the same as a session's with the same answers; what is saved is the hand-over from
    thread to thread at every decision. The policy runs in SCIP's thread, under a copy of the
    caller's context variables; settings that belong to a thread, such as `torch.no_grad`, must be
    made inside it.

    Args:
        policy: From a decision to the index of a candidate, or None for SCIP's own rule.
        model: A built problem that has not been solved; it is freed at the end.
        settings: Presets, limits and seeds.
        observe: As in `BranchingSession`.

    Raises:
        ConfigError: The model's solving has begun already, or a parameter does not fit.
        InvalidAction: The policy's answer is not a candidate.
        BaseException: Whatever the policy raises, with its own type.
    """
    search = Search(model, settings or SearchSettings(), observe, policy)
    search.start()
    search.wait()
    return search.finish()
