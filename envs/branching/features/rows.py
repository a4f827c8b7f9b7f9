"""Features of LP rows and the coefficients that tie them to columns, after Gasse et al. (2019).

Every finite side of a row counts as one `<=` constraint, so a row with two finite sides appears
twice: first its left-hand side with all signs turned, then its right-hand side.

- `RowTable`: what stays the same while the LP keeps its rows, the edges above all.
- `row_features`: the features of all rows at the current node.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
from numpy.typing import NDArray
from pyscipopt import Model
from pyscipopt.scip import Column, Row

from rewardloom.envs.branching.features.columns import ColumnTable
from rewardloom.envs.branching.features.numbers import AGE_OFFSET, gather, take_segments

__all__ = ["ROW_FEATURES", "RowTable", "Sides", "row_features"]

ROW_FEATURES = ("bias", "objective_cosine", "is_tight", "dual_value", "age")
"""Names of the row features, in their order; docs/worlds/branching_features.md defines each."""


@dataclass(frozen=True)
class Sides:
    """The sides of all rows at the current node: `left <= a x + constant <= right`.

    Attributes:
        left: (m,) left-hand sides.
        right: (m,) right-hand sides.
        finite: (m, 2) which of the two are finite.
    """

    left: NDArray[np.float64]
    right: NDArray[np.float64]
    finite: NDArray[np.bool_]

    @classmethod
    def read(cls, model: Model, rows: Sequence[Row]) -> Sides:
        """Read the sides of rows."""
        left, right = gather(Row.getLhs, rows), gather(Row.getRhs, rows)
        infinity = model.infinity()
        return cls(left, right, np.stack([left > -infinity, right < infinity], axis=1))


@dataclass(frozen=True)
class RowTable:
    """What stays the same while the LP keeps its rows and columns.

    Attributes:
        key: What tells the rows from another LP's.
        source: (r,) the LP position of the row behind each counted side.
        sign: (r,) -1 for a left-hand side, 1 for a right-hand side.
        norm: (r,) Euclidean norms of the rows; 1 for an empty row.
        cosine: (r,) signed cosines between row and objective.
        edges: (2, e) int32, row index (a counted side) and column index (LP position).
        values: (e,) float32, signed coefficients over the row's norm.
        coefficients: LP positions of row and column, and value, of each coefficient as SCIP
            stores it, ordered by row.
    """

    key: tuple[object, ...]
    source: NDArray[np.intp]
    sign: NDArray[np.float64]
    norm: NDArray[np.float64]
    cosine: NDArray[np.float64]
    edges: NDArray[np.int32]
    values: NDArray[np.float32]
    coefficients: tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float64]]

    @classmethod
    def read(
        cls, key: tuple[object, ...], rows: Sequence[Row], sides: Sides, columns: ColumnTable
    ) -> RowTable:
        """Read the table of the LP's rows from the model."""
        lengths, column, value = _coefficients(rows)
        norm = gather(Row.getNorm, rows)
        norm[norm == 0] = 1
        owner = np.repeat(np.arange(len(rows)), lengths)
        coefficients = (owner, column, value)
        value = value / norm[owner]
        products = np.bincount(owner, value * columns.objective[column], len(rows))
        source, side = np.nonzero(sides.finite)
        sign = np.where(side == 0, -1.0, 1.0)
        counted, taken = take_segments(lengths, source)
        edges = np.stack([counted, column[taken]]).astype(np.int32)
        values = (value[taken] * sign[counted]).astype(np.float32)
        edges.setflags(write=False)
        values.setflags(write=False)
        cosine = products[source] / columns.norm * sign
        return cls(key, source, sign, norm[source], cosine, edges, values, coefficients)

    @staticmethod
    def identify(model: Model, rows: Sequence[Row], sides: Sides) -> tuple[object, ...]:
        """Return what tells these rows from any others that this solve has had in its LP.

        A removed row's address may serve a later row, so names, norms and the count of cuts that
        were applied are compared beside the addresses.
        """
        return (
            model.getNCutsApplied(),
            list(map(hash, rows)),
            [row.name for row in rows],
            list(map(Row.getNorm, rows)),
            list(map(Row.getNLPNonz, rows)),
            sides.finite.tobytes(),
        )


def _coefficients(
    rows: Sequence[Row],
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float64]]:
    """Return the rows' numbers of coefficients, and all LP positions and coefficients in order."""
    counts = list(map(Row.getNNonz, rows))
    columns = chain.from_iterable(map(Row.getCols, rows))
    column = np.fromiter(map(Column.getLPPos, columns), np.intp, sum(counts))
    value = np.fromiter(chain.from_iterable(map(Row.getVals, rows)), np.float64, sum(counts))
    in_lp = column >= 0
    owner = np.repeat(np.arange(len(rows)), counts)
    lengths = np.bincount(owner[in_lp], minlength=len(rows))
    return lengths, column[in_lp], value[in_lp]


def row_features(
    model: Model, rows: Sequence[Row], sides: Sides, table: RowTable, columns: ColumnTable
) -> NDArray[np.float64]:
    """Return the (5, r) features of the rows' finite sides at the current node, one a row.

    Args:
        model: A model in the middle of solving, its LP solved.
        rows: The LP's rows.
        sides: Their sides.
        table: The rows' table.
        columns: The columns' table.
    """
    source, sign = table.source, table.sign
    side = np.where(sign < 0, sides.left[source], sides.right[source])
    constant = gather(Row.getConstant, rows)[source]
    activity = gather(model.getRowLPActivity, rows)[source]
    features = np.empty((len(ROW_FEATURES), len(source)))
    features[0] = sign * (side - constant) / table.norm
    features[1] = table.cosine
    features[2] = np.abs(activity - side) <= model.epsilon()
    features[3] = sign * gather(Row.getDualsol, rows)[source] / (table.norm * columns.norm)
    features[4] = gather(Row.getAge, rows)[source] / (model.getNLPs() + AGE_OFFSET)
    return features
