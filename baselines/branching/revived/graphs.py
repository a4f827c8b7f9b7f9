"""Decisions as graphs of LP rows and columns, and ragged batches of them.

- `Graph`: what is kept of a decision; `read_graph` makes it.
- `Structure`: the coefficients of an LP, shared by the graphs of all decisions that have it.
- `GraphBatch`: many graphs laid end to end; `batch_graphs` makes it, `moved` puts it on a device.
- `Sums`: weighted sums over segments, both ways.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from rewardloom.envs.branching.observations import node_features
from rewardloom.envs.branching.records import Decision

__all__ = ["Graph", "GraphBatch", "Structure", "Sums", "batch_graphs", "moved", "read_graph"]


class _Sparse(NamedTuple):
    """A sparse matrix by rows: row i has `values[starts[i]:starts[i + 1]]` at `indices`."""

    starts: npt.NDArray[np.int32]
    indices: npt.NDArray[np.int32]
    values: npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Structure:
    """The coefficients of an LP, by rows and by columns.

    Attributes:
        edges: (2, e) int32, the array that it was read from.
        by_row, by_column: Sparse matrices (r, n) and (n, r).
    """

    edges: npt.NDArray[np.int32]
    by_row: _Sparse
    by_column: _Sparse

    @classmethod
    def read(cls, edges: Any, values: Any, num_rows: int, num_columns: int) -> Structure:
        """Sort edges (row, column) both ways."""
        rows, columns = edges
        return cls(
            edges,
            _sparse(rows, columns, values, num_rows),
            _sparse(columns, rows, values, num_columns),
        )

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays."""
        arrays = (self.edges, *self.by_row, *self.by_column)
        return sum(array.nbytes for array in arrays)


def _sparse(rows: Any, columns: Any, values: Any, num_rows: int) -> _Sparse:
    order = np.argsort(rows, kind="stable")
    starts = np.zeros(num_rows + 1, np.int32)
    np.cumsum(np.bincount(rows, minlength=num_rows), out=starts[1:])
    return _Sparse(starts, columns[order].astype(np.int32), values[order].astype(np.float32))


class Graph(NamedTuple):
    """What is kept of a decision.

    Attributes:
        columns: (n, 20) float32, see `COLUMN_FEATURES`.
        rows: (r, 5) float32, see `ROW_FEATURES`.
        node: (8,) float32, see `NODE_FEATURES`.
        candidates: (K,) int32, positions among the columns.
        features: (K, 23) float32, see `CANDIDATE_FEATURES`.
        structure: The coefficients, shared between decisions while the LP's rows stay the same.
    """

    columns: npt.NDArray[np.float32]
    rows: npt.NDArray[np.float32]
    node: npt.NDArray[np.float32]
    candidates: npt.NDArray[np.int32]
    features: npt.NDArray[np.float32]
    structure: Structure


def read_graph(decision: Decision, previous: Graph | None = None) -> Graph:
    """Return the graph of a decision that was observed as "graph".

    Args:
        decision: Its arrays are kept, not copied.
        previous: Graph of an earlier decision of the search, to share its structure if it still
            holds.
    """
    parts = decision.observation
    if previous is not None and previous.structure.edges is parts["edges"]:
        structure = previous.structure
    else:
        sizes = len(parts["rows"]), len(parts["columns"])
        structure = Structure.read(parts["edges"], parts["edge_values"], *sizes)
    return Graph(
        parts["columns"],
        parts["rows"],
        node_features(decision),
        decision.candidates,
        parts["candidates"],
        structure,
    )


class Sums(NamedTuple):
    """Weighted sums y_i = sum_k w_ik x_k, as tensors.

    Attributes:
        starts, indices, weights: The matrix w by rows.
        back_starts, back_indices, back_weights: Its transpose by rows.
    """

    starts: torch.Tensor
    indices: torch.Tensor
    weights: torch.Tensor
    back_starts: torch.Tensor
    back_indices: torch.Tensor
    back_weights: torch.Tensor

    @property
    def transposed(self) -> Sums:
        """The sums of the transposed matrix."""
        return Sums(*self[3:], *self[:3])


class GraphBatch(NamedTuple):
    """G graphs laid end to end.

    Attributes:
        columns: (N, 20) float32.
        rows: (M, 5) float32.
        node: (G, 8) float32.
        candidates: (Q, 23) float32, features of all candidates.
        positions: (Q,) int64, their places among the columns.
        owner: (Q,) int64, their graphs.
        to_rows: From columns to rows, weighted with the coefficients; transposed, the other way.
        means: From rows to the means of the graphs' rows.
        candidate_starts: (G + 1,) int64, where each graph's candidates begin.
    """

    columns: torch.Tensor
    rows: torch.Tensor
    node: torch.Tensor
    candidates: torch.Tensor
    positions: torch.Tensor
    owner: torch.Tensor
    to_rows: Sums
    means: Sums
    candidate_starts: npt.NDArray[np.int64]


def batch_graphs(graphs: Sequence[Graph]) -> GraphBatch:
    """Lay graphs end to end."""
    column_starts = _starts([len(graph.columns) for graph in graphs])
    row_starts = _starts([len(graph.rows) for graph in graphs])
    sizes = [len(graph.candidates) for graph in graphs]
    positions = np.concatenate([graph.candidates for graph in graphs])
    positions = positions + np.repeat(column_starts[:-1], sizes)
    by_row = _block_diagonal([graph.structure.by_row for graph in graphs], column_starts)
    by_column = _block_diagonal([graph.structure.by_column for graph in graphs], row_starts)
    return GraphBatch(
        torch.from_numpy(np.concatenate([graph.columns for graph in graphs])),
        torch.from_numpy(np.concatenate([graph.rows for graph in graphs])),
        torch.from_numpy(np.stack([graph.node for graph in graphs])),
        torch.from_numpy(np.concatenate([graph.features for graph in graphs])),
        torch.from_numpy(positions),
        torch.from_numpy(np.repeat(np.arange(len(graphs)), sizes)),
        _sums(by_row, by_column),
        _means(row_starts),
        _starts(sizes),
    )


def moved(value: Any, device: torch.device) -> Any:
    """Return a tensor, or a tuple with tensors at any depth, on a device."""
    if isinstance(value, torch.Tensor):
        return value.to(device)
    if isinstance(value, tuple):
        return type(value)(*(moved(part, device) for part in value))  # pyright: ignore[reportUnknownArgumentType,reportUnknownVariableType]  # a NamedTuple
    return value


def _starts(lengths: Sequence[int]) -> npt.NDArray[np.int64]:
    return np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)


def _block_diagonal(blocks: Sequence[_Sparse], offsets: npt.NDArray[np.int64]) -> _Sparse:
    """Put matrices on a diagonal; `offsets` says where each one's entries begin."""
    sizes = [len(block.values) for block in blocks]
    firsts = _starts(sizes)
    starts = [
        block.starts[:-1] + np.int32(first)
        for block, first in zip(blocks, firsts[:-1], strict=True)
    ]
    return _Sparse(
        np.concatenate([*starts, firsts[-1:].astype(np.int32)]),
        np.concatenate(
            [b.indices + np.int32(at) for b, at in zip(blocks, offsets[:-1], strict=True)]
        ),
        np.concatenate([block.values for block in blocks]),
    )


def _means(starts: npt.NDArray[np.int64]) -> Sums:
    lengths = np.diff(starts)
    total = int(starts[-1])
    shares = np.repeat(1.0 / np.maximum(lengths, 1), lengths).astype(np.float32)
    positions = np.arange(total + 1, dtype=np.int32)
    owners = np.repeat(np.arange(len(lengths), dtype=np.int32), lengths)
    forward = _Sparse(starts.astype(np.int32), positions[:-1], shares)
    return _sums(forward, _Sparse(positions, owners, shares))


def _sums(forward: _Sparse, backward: _Sparse) -> Sums:
    return Sums(*(torch.from_numpy(array) for array in (*forward, *backward)))
