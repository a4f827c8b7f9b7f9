"""Begins the searches of a branching world.

- `Opener`: draws instances until SCIP asks what to branch on.
- `Opened`: a search that waits at its first decision.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from gymnasium.error import ResetNeeded
from pyscipopt import Model

from rewardloom.envs.branching.components import Costs
from rewardloom.envs.branching.observations import observer
from rewardloom.envs.branching.optima import Optima, objective_limit
from rewardloom.envs.branching.records import Decision, SearchResult
from rewardloom.envs.branching.session import BranchingSession
from rewardloom.envs.branching.settings import SearchSettings
from rewardloom.envs.branching.sources import Drawn, Source, given_instance
from rewardloom.errors import ConfigError, refuse_unknown
from rewardloom.rewards.numbers import check_integer

__all__ = ["Opened", "Opener"]

_OPTIONS = ("instance", "instance_seed", "solver_seed")
_SOLVER_SEEDS = 2**31
_NO_SOLUTION = ("infeasible", "unbounded", "inforunbd")


class Opened(NamedTuple):
    """A search that waits at its first decision.

    Attributes:
        session: The search.
        decision: Its first decision.
        drawn: The instance.
        solver_seed: SCIP's seed.
        costs: Counts what the decisions cost.
        resampled: Draws before this one that SCIP solved without a decision.
    """

    session: BranchingSession
    decision: Decision
    drawn: Drawn
    solver_seed: int
    costs: Costs
    resampled: int


class Opener:
    """Draws instances and searches them up to their first decision.

    Args:
        source: Draws the instances.
        settings: How SCIP searches; its seed and objective limit are set for every search.
        optima: Optimal objectives, None where nobody asks for them.
        objective_limit: "optimal", a number or None.
        components: Names of the reward components.
        observation: Kind of observation, as in `observer`.
        scores: Whether strong-branching scores are part of it.
        max_variables: Most variables of an instance.
        max_resamples: Draws that may end without a decision before it is an error.
    """

    def __init__(
        self,
        source: Source,
        settings: SearchSettings,
        *,
        optima: Optima | None,
        objective_limit: str | float | None,
        components: tuple[str, ...],
        observation: str,
        scores: bool,
        max_variables: int,
        max_resamples: int,
    ):
        self._source = source
        self._settings = settings
        self._optima = optima
        self._limit = objective_limit
        self._components = components
        self._observation = observation
        self._scores = scores
        self._max_variables = max_variables
        self._max_resamples = max_resamples
        self._running: BranchingSession | None = None
        self._closed = False

    def __repr__(self) -> str:
        """Name where the instances come from and how SCIP searches."""
        return f"{self._source!r}, preset {self._settings.preset}"

    def open(self, options: Mapping[str, Any], rng: np.random.Generator) -> Opened:
        """Draw and search until SCIP asks.

        Args:
            options: Of the reset: `instance`, `instance_seed`, `solver_seed`.
            rng: Draws what the options leave open.

        Raises:
            ConfigError: An unknown option, an instance that cannot be branched on, or
                `max_resamples` draws that SCIP solved without a decision.
            ResetNeeded: `close` was called meanwhile.
        """
        refuse_unknown(options, _OPTIONS, kind="reset option", where="of MilpBranching")
        fixed = "solver_seed" in options and ("instance" in options or "instance_seed" in options)
        most = 0 if fixed else self._max_resamples
        resampled = 0
        self._closed = False
        while True:
            drawn = self._draw(options, rng)
            seed = options.get("solver_seed", rng.integers(_SOLVER_SEEDS))
            solver_seed = check_integer("solver_seed", seed, least=0)
            found = self._search(drawn, solver_seed)
            if found is not None:
                return Opened(*found[:2], drawn, solver_seed, found[2], resampled)
            if resampled == most:
                limit = "" if self._limit is None else ", or a looser objective_limit"
                raise ConfigError(
                    f"SCIP solved {drawn.name} with solver_seed={solver_seed} without a decision, "
                    f"as it did the {resampled} draws before. Take larger or harder instances than "
                    f"{self._source!r}, or a preset that leaves more to branching, such as "
                    f"'pure'{limit}."
                )
            resampled += 1

    def close(self) -> None:
        """End a search for a first decision that another thread has under way."""
        self._closed = True
        if self._running is not None:
            self._running.close()

    def _draw(self, options: Mapping[str, Any], rng: np.random.Generator) -> Drawn:
        if "instance" in options:
            if "instance_seed" in options:
                raise ConfigError("Give either 'instance' or 'instance_seed' in the options.")
            return given_instance(options["instance"])
        if "instance_seed" in options:
            seed = check_integer("instance_seed", options["instance_seed"], least=0)
            return self._source.numbered(seed)
        return self._source.draw(rng)

    def _search(self, drawn: Drawn, seed: int) -> tuple[BranchingSession, Decision, Costs] | None:
        """Search up to the first decision; None where SCIP needs none."""
        optimum = None if self._optima is None else self._optima.of(drawn, self._solve)
        model = drawn.build()
        if model.getNVars() > self._max_variables:
            needed = model.getNVars()
            model.free()
            raise ConfigError(
                f"{drawn.name} has {needed} variables, the world was made with max_variables="
                f"{self._max_variables}. Give max_variables={needed} or more to gym.make."
            )
        sense = model.getObjectiveSense()
        limit = self._limit
        if isinstance(limit, str):
            assert optimum is not None
            limit = objective_limit(optimum, sense)
        settings = dataclasses.replace(self._settings, seed=seed, objective_limit=limit)
        observe = observer(self._observation, model, scores=self._scores)
        session = BranchingSession(model, settings, observe=observe)
        decision = self._start(session)
        if decision is None:
            self._refuse_hopeless(session.result, drawn)
            return None
        minimized = -optimum if optimum is not None and sense == "maximize" else optimum
        return session, decision, Costs(decision, self._components, minimized)

    def _start(self, session: BranchingSession, *, by_scip: bool = False) -> Decision | None:
        """Search for a first decision, or to the end by SCIP's rule, unless closed."""
        self._running = session
        try:
            decision = None if self._closed else session.start()
            while by_scip and decision is not None:
                decision = session.default()
        finally:
            self._running = None
        if self._closed:
            session.close()
            raise ResetNeeded("The world was closed while it searched for a first decision.")
        return decision

    def _solve(self, model: Model, settings: SearchSettings) -> SearchResult:
        session = BranchingSession(model, settings)
        self._start(session, by_scip=True)
        assert session.result is not None
        return session.result

    def _refuse_hopeless(self, result: SearchResult | None, drawn: Drawn) -> None:
        """Raise for a search without a decision that another draw would not mend."""
        assert result is not None
        if not result.solved:
            raise ConfigError(
                f"SCIP stopped with {result.status!r} on {drawn.name} before the first decision, "
                f"after {result.nodes} nodes. Raise the limit."
            )
        if result.status in _NO_SOLUTION and self._limit is None:
            raise ConfigError(f"Nothing to branch on: {drawn.name} is {result.status}.")
