"""Decisions of searches with the scores that strong branching gives their candidates.

- `Demonstrations`: decisions of all sizes in flat arrays.
- `Collector`: searches a world's instances and labels a share of the decisions.

Searches run with the policy inside SCIP's callback, where the labels are computed only at those
decisions that are kept.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from rewardloom.baselines.branching.rules import with_rule
from rewardloom.envs.branching.features import Extractor, strong_branching_scores
from rewardloom.envs.branching.observations import node_features
from rewardloom.envs.branching.records import Decision
from rewardloom.envs.branching.session import evaluate
from rewardloom.envs.branching.settings import SearchSettings
from rewardloom.envs.branching.sources import make_source
from rewardloom.errors import ConfigError, refuse_unknown

__all__ = ["Collector", "Demonstrations"]

_SOURCE = {"family": "set_cover", "size": "tiny", "generator": None, "instances": None}
_SEARCH = {
    "preset": "light",
    "node_selection": "estimate",
    "parameters": None,
    "horizon": None,
    "node_limit": None,
    "time_limit": float("inf"),
    "gap_limit": 0.0,
    "objective_limit": None,
}
_SOLVER_SEEDS = 2**31
_FRUITLESS = 200  # searches in a row without a decision


@dataclasses.dataclass(frozen=True, eq=False)
class Demonstrations:
    """D labelled decisions with N candidates in all.

    Attributes:
        candidates: (N, 23) float32 features of the candidates, decision after decision.
        nodes: (D, 8) float32 features of the nodes.
        sizes: (D,) int64 numbers of candidates; they sum to N.
        scores: (N,) float64 strong-branching scores, larger for better candidates.
    """

    candidates: npt.NDArray[np.float32]
    nodes: npt.NDArray[np.float32]
    sizes: npt.NDArray[np.int64]
    scores: npt.NDArray[np.float64]

    def __len__(self) -> int:
        """Return the number of decisions."""
        return len(self.sizes)

    def __getitem__(self, part: slice) -> Demonstrations:
        """Return decisions that follow one another, as in `demonstrations[10:20]`."""
        start, stop, step = part.indices(len(self))
        if step != 1:
            raise ValueError("Demonstrations are sliced in steps of 1 only.")
        ends = np.concatenate([[0], np.cumsum(self.sizes)])
        rows = slice(ends[start], ends[max(start, stop)])
        return Demonstrations(
            self.candidates[rows], self.nodes[part], self.sizes[part], self.scores[rows]
        )


class Collector:
    """Searches the instances of a world and labels decisions.

    Args:
        world_kwargs: Arguments of `MilpBranching` that choose instances and how SCIP searches; an
            objective limit must be a number.
        rng: Draws instances, solver seeds and the decisions that are labelled.
        expert_share: Probability that a decision is labelled; strong branching then also makes it.
            The others are left to SCIP's rule `pscost`.

    Raises:
        ConfigError: An argument that does not exist or does not fit.
    """

    def __init__(
        self,
        world_kwargs: Mapping[str, Any],
        rng: np.random.Generator,
        *,
        expert_share: float,
    ):
        refuse_unknown(world_kwargs, [*_SOURCE, *_SEARCH], kind="argument", where="in world_kwargs")
        chosen = {**_SOURCE, **world_kwargs}
        self._source = make_source(**{name: chosen[name] for name in _SOURCE})
        self._settings = _make_settings({**_SEARCH, **world_kwargs})
        self._rng = rng
        self._share = expert_share
        self._rows: list[tuple[Any, ...]] = []

    def collect(
        self, decisions: int, log: Callable[[dict[str, float]], None] | None = None
    ) -> Demonstrations:
        """Search until enough decisions are labelled.

        Args:
            decisions: How many; the last search is not cut, the rest of its labels is dropped.
            log: Called after every search, with `labelled`, how many there are.

        Raises:
            ConfigError: Many instances in a row end without a decision.
        """
        self._rows = []
        fruitless = 0
        while len(self._rows) < decisions:
            fruitless = 0 if self._search(decisions) else fruitless + 1
            if log is not None:
                log({"labelled": float(min(len(self._rows), decisions))})
            if fruitless == _FRUITLESS:
                raise ConfigError(
                    f"SCIP solved {_FRUITLESS} instances of {self._source!r} without a decision. "
                    "Choose harder instances, or a preset that leaves more to branching."
                )
        candidates, nodes, scores = zip(*self._rows, strict=True)
        sizes = np.array([len(part) for part in candidates])
        return Demonstrations(
            np.concatenate(candidates), np.stack(nodes), sizes, np.concatenate(scores)
        )

    def _search(self, decisions: int) -> bool:
        """Search one instance, return whether there was anything to decide."""
        seed = int(self._rng.integers(_SOLVER_SEEDS))
        model = self._source.draw(self._rng).build()
        extractor = Extractor(model)
        rng, rows, share = self._rng, self._rows, self._share

        def decide(decision: Decision) -> int | None:
            if len(rows) == decisions or rng.random() >= share:
                return None
            scores = strong_branching_scores(model, decision.variables)
            rows.append((extractor.candidates(), node_features(decision), scores))
            return int(scores.argmax())

        settings = dataclasses.replace(self._settings, seed=seed)
        return evaluate(decide, model, settings).decisions > 0


def _make_settings(arguments: Mapping[str, Any]) -> SearchSettings:
    given = {name: arguments[name] for name in _SEARCH if name not in ("horizon", "parameters")}
    if isinstance(given["objective_limit"], str):
        raise ConfigError("world_kwargs: imitation needs objective_limit as a number or None.")
    ruled = with_rule(SearchSettings(**given, decision_limit=arguments["horizon"]), "pscost")
    parameters = {**ruled.parameters, **(arguments["parameters"] or {})}
    return dataclasses.replace(ruled, parameters=parameters)
