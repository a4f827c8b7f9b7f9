"""What the agent of a branching world observes.

- `observer`: the function that SCIP's callback calls to read features.
- `node_features`, `NODE_FEATURES`: features of the node and the search as a whole.
- `build_observations`: the observations of a world.
- `CandidateObservations`, `BipartiteObservations`, `GraphObservations`: padded arrays or a graph,
  with their spaces.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
from gymnasium import spaces
from pyscipopt import Model

from rewardloom.envs.branching.bounds import relative_gap
from rewardloom.envs.branching.features import (
    CANDIDATE_FEATURES,
    COLUMN_FEATURES,
    KHALIL_FEATURES,
    ROW_FEATURES,
    Extractor,
    strong_branching_scores,
)
from rewardloom.envs.branching.records import Decision
from rewardloom.envs.branching.sources import Size, Source
from rewardloom.errors import ConfigError, unknown_name
from rewardloom.rewards.numbers import check_integer

__all__ = [
    "NODE_FEATURES",
    "OBSERVATIONS",
    "BipartiteObservations",
    "CandidateObservations",
    "GraphObservations",
    "Observations",
    "Scored",
    "build_observations",
    "node_features",
    "observer",
]

OBSERVATIONS = ("candidates", "bipartite", "graph")
"""Kinds of observations of a world."""

NODE_FEATURES = (
    "depth",
    "side",
    "candidates",
    "nodes",
    "has_incumbent",
    "gap",
    "node_gap",
    "position",
)
"""Names of the node features; docs/worlds/branching_features.md defines each."""

_LARGEST = 1e20
_ROOM = 1.25  # rows and coefficients of generated instances differ a little
_ROOM_FOR_CUTS = 1.5


class Scored(NamedTuple):
    """Features together with strong-branching scores.

    Attributes:
        features: What `observer` returns without scores.
        scores: (K,) float64 strong-branching scores of the candidates.
    """

    features: Any
    scores: npt.NDArray[np.float64]


def observer(kind: str, model: Model, *, scores: bool = False) -> Callable[[Model], Any] | None:
    """Return what a session is to call at every decision.

    Args:
        kind: "none" (the decision's own numbers are enough), "candidates" ((K, 23) float32),
            "khalil" ((K, 68) float32), "bipartite" or "graph" (the dict of `Extractor.bipartite`,
            or of `Extractor.graph`, which has the candidates' features as well).
        model: The model that will be searched.
        scores: Also compute strong-branching scores; the observation is then a `Scored`. They cost
            two LPs for each candidate and may change the search that follows.

    Raises:
        ConfigError: An unknown kind.
    """
    kinds = (*OBSERVATIONS, "khalil", "none")
    if kind not in kinds:
        raise ConfigError(unknown_name("observation", kind, kinds))
    if kind == "none" and not scores:
        return None
    extractor = Extractor(model)
    read: dict[str, Callable[[], Any]] = {
        "none": lambda: None,
        "candidates": extractor.candidates,
        "khalil": extractor.khalil,
        "bipartite": extractor.bipartite,
        "graph": extractor.graph,
    }
    features = read[kind]
    if not scores:
        return lambda _: features()
    return lambda model: Scored(features(), _scores(model))


def _scores(model: Model) -> npt.NDArray[np.float64]:
    variables, *_, priority, _ = model.getLPBranchCands()
    return strong_branching_scores(model, variables[:priority])


def node_features(decision: Decision) -> npt.NDArray[np.float32]:
    """Return (8,) float32 features of a node, named by `NODE_FEATURES`; our formulation."""
    low, dual, primal = decision.lower_bound, decision.dual_bound, decision.primal_bound
    known = np.isfinite(primal)
    width = primal - dual
    position = (low - dual) / width if known and width > 0 else 0.0
    return np.array(
        [
            np.log1p(decision.depth),
            decision.side,
            np.log1p(len(decision)),
            np.log1p(decision.nodes),
            known,
            relative_gap(primal, dual),
            relative_gap(low, dual),
            np.clip(position, 0.0, 1.0),
        ],
        dtype=np.float32,
    )


class Observations(Protocol):
    """Turns decisions into observations of one space, for `max_variables` LP columns."""

    @property
    def space(self) -> spaces.Space[Any]:
        """The observation space."""
        ...

    @property
    def max_variables(self) -> int:
        """Most LP columns."""
        ...

    def build(self, decision: Decision) -> Any:
        """Return the observation of a waiting decision; its arrays are fresh."""
        ...

    def empty(self) -> Any:
        """Return the observation of a search that has ended: nothing."""
        ...


def _box(*shape: int) -> spaces.Box:
    return spaces.Box(-_LARGEST, _LARGEST, shape, np.float32)


class _Padded:
    """Dict observations padded with zeros; the base of those that SB3 takes.

    Args:
        parts: Spaces of the kind's own entries.
        max_variables: Length of the mask.
        scores: Whether there is an entry `scores`.
    """

    def __init__(self, parts: dict[str, spaces.Space[Any]], max_variables: int, scores: bool):
        common: dict[str, spaces.Space[Any]] = {
            "mask": spaces.Box(0, 1, (max_variables,), np.int8),
            "node": _box(len(NODE_FEATURES)),
        }
        if scores:
            common["scores"] = spaces.Box(0, _LARGEST, (max_variables,), np.float32)
        self.max_variables = max_variables
        self.space = spaces.Dict({**parts, **common})
        self._scored = scores

    def empty(self) -> dict[str, npt.NDArray[Any]]:
        """Return zeros."""
        return {
            name: np.zeros(part.shape or (), part.dtype) for name, part in self.space.spaces.items()
        }

    def build(self, decision: Decision) -> dict[str, npt.NDArray[Any]]:
        """Return the observation of a waiting decision; its arrays are fresh."""
        padded = self.empty()
        features = decision.observation
        if self._scored:
            features, scores = features
            scores = np.minimum(scores, _LARGEST)
            padded["scores"][decision.candidates] = scores
        padded["mask"][decision.candidates] = 1
        padded["node"][:] = node_features(decision)
        self._fill(padded, decision, features)
        return padded

    def _fill(self, padded: dict[str, npt.NDArray[Any]], decision: Decision, features: Any) -> None:
        raise NotImplementedError


class CandidateObservations(_Padded):
    """`candidates` (max_variables, F): one row for each LP column, zeros where it is no candidate.

    With `mask` (max_variables,) int8 and `node` (8,).

    Args:
        max_variables: Rows.
        khalil: The features are the 68 of `KHALIL_FEATURES` instead of `CANDIDATE_FEATURES`.
        scores: Add `scores` (max_variables,), strong-branching scores.
    """

    def __init__(self, max_variables: int, *, khalil: bool = False, scores: bool = False):
        features = _box(max_variables, len(KHALIL_FEATURES if khalil else CANDIDATE_FEATURES))
        super().__init__({"candidates": features}, max_variables, scores)

    def _fill(self, padded: dict[str, npt.NDArray[Any]], decision: Decision, features: Any) -> None:
        padded["candidates"][decision.candidates] = features


class BipartiteObservations(_Padded):
    """The LP as a graph of rows and columns, each part padded to a fixed length.

    `columns` (max_variables, 20), `rows` (max_rows, 5), `edges` (2, max_edges) int32 (index of the
    row, index of the column), `edge_values` (max_edges,), `sizes` (3,) int32: how many columns,
    rows and edges there are; the rest is zeros. With `mask` and `node` as in
    `CandidateObservations`.

    Args:
        max_variables: Most columns.
        max_rows: Most rows; a row with two finite sides counts twice.
        max_edges: Most coefficients, those of rows with two finite sides counted twice.
        scores: Add `scores` (max_variables,), strong-branching scores.
    """

    def __init__(self, max_variables: int, max_rows: int, max_edges: int, *, scores: bool = False):
        self._most = {"max_variables": max_variables, "max_rows": max_rows, "max_edges": max_edges}
        largest = max(self._most.values())
        parts: dict[str, spaces.Space[Any]] = {
            "columns": _box(max_variables, len(COLUMN_FEATURES)),
            "rows": _box(max_rows, len(ROW_FEATURES)),
            "edges": spaces.Box(0, largest, (2, max_edges), np.int32),
            "edge_values": _box(max_edges),
            "sizes": spaces.Box(0, largest, (3,), np.int32),
        }
        super().__init__(parts, max_variables, scores)

    def _fill(self, padded: dict[str, npt.NDArray[Any]], decision: Decision, features: Any) -> None:
        sizes = [len(features["columns"]), len(features["rows"]), len(features["edge_values"])]
        for size, (name, most) in zip(sizes, self._most.items(), strict=True):
            if size > most:
                raise ConfigError(
                    f"This LP needs {name}={size} or more, the world was made with {most}. Give "
                    f"{name}= to gym.make."
                )
        columns, rows, edges = sizes
        padded["columns"][:columns] = features["columns"]
        padded["rows"][:rows] = features["rows"]
        padded["edges"][:, :edges] = features["edges"]
        padded["edge_values"][:edges] = features["edge_values"]
        padded["sizes"][:] = sizes


class GraphObservations:
    """The LP as a `gymnasium.spaces.Graph`; for learners of one's own, SB3 does not take it.

    Nodes are the columns and, after them, the rows: (n + r, 28) float32, of which 0-19 are the
    column features, 20-24 the row features, 25 and 26 tell a column from a row, and 27 is 1 for a
    candidate. Edges have one feature, the coefficient over its row's norm; `edge_links` (e, 2)
    names a row's node and a column's node.

    Args:
        max_variables: Number of actions; the graph itself has no limit.
    """

    def __init__(self, max_variables: int):
        self.max_variables = max_variables
        self._width = len(COLUMN_FEATURES) + len(ROW_FEATURES) + 3
        self.space = spaces.Graph(node_space=_box(self._width), edge_space=_box(1))

    def build(self, decision: Decision) -> spaces.GraphInstance:
        """Return the graph of a waiting decision; its arrays are fresh."""
        parts = decision.observation
        columns, rows = parts["columns"], parts["rows"]
        split = columns.shape[1]
        nodes = np.zeros((len(columns) + len(rows), self._width), np.float32)
        nodes[: len(columns), :split] = columns
        nodes[len(columns) :, split : split + rows.shape[1]] = rows
        nodes[: len(columns), -3] = 1
        nodes[len(columns) :, -2] = 1
        nodes[decision.candidates, -1] = 1
        links = parts["edges"].T + np.array([len(columns), 0], np.int32)
        return spaces.GraphInstance(nodes, parts["edge_values"][:, None].copy(), links)

    def empty(self) -> spaces.GraphInstance:
        """Return a graph of one empty node: the space has no graph without nodes."""
        return spaces.GraphInstance(
            np.zeros((1, self._width), np.float32),
            np.zeros((0, 1), np.float32),
            np.zeros((0, 2), np.int32),
        )


def build_observations(
    kind: str,
    source: Source,
    scored: bool,
    *,
    grown: Callable[[], Size] | None,
    sizes: Mapping[str, int | None],
) -> Observations:
    """Return the observations of a kind, as large as given or as the source needs.

    Args:
        kind: One of `OBSERVATIONS`, or "khalil".
        source: Draws the instances; asked for their size only where one is not given.
        scored: Whether strong-branching scores are part of them.
        grown: Finds out how large LPs get where SCIP adds cuts, asked only where it matters; None
            where it adds none.
        sizes: `max_variables`, `max_rows` and `max_edges`, None for what the source needs.

    Raises:
        ConfigError: A size that is no positive integer, or a graph with scores.
    """
    if kind == "graph" and scored:
        raise ConfigError("scores= needs observation='candidates' or 'bipartite'.")
    wanted = tuple(sizes) if kind == "bipartite" else ("max_variables",)
    found = dict(sizes)
    if any(sizes[name] is None for name in wanted):
        needed = _needed(source.size(), grown() if grown and kind == "bipartite" else None)
        for name, need in zip(sizes, needed, strict=True):
            found[name] = need if sizes[name] is None else sizes[name]
    variables, *others = (check_integer(name, found[name]) for name in wanted)
    if kind == "bipartite":
        return BipartiteObservations(variables, *others, scores=scored)
    if kind == "graph":
        return GraphObservations(variables)
    return CandidateObservations(variables, khalil=kind == "khalil", scores=scored)


def _needed(size: Size, grown: Size | None) -> Size:
    """Return sizes with room for instances that are larger than those looked at."""
    rows, edges = _ROOM * size.rows, _ROOM * size.edges
    if grown is not None:
        rows = max(rows, _ROOM_FOR_CUTS * grown.rows)
        edges = max(edges, _ROOM_FOR_CUTS * grown.edges)
    return Size(size.variables, math.ceil(rows), math.ceil(edges))
