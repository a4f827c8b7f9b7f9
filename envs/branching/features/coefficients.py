"""The LP's coefficients by column, as features of candidates need them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rewardloom.envs.branching.features.numbers import take_segments, total
from rewardloom.envs.branching.features.rows import RowTable, Sides

__all__ = ["CoefficientTable", "Entries"]


class Entries(NamedTuple):
    """Non-zero coefficients of some columns, ordered by column.

    Attributes:
        owner: (e,) ascending index of the column among those asked for.
        row: (e,) LP position of the row.
        value: (e,) the coefficient, the row written as a `<=` constraint.
    """

    owner: NDArray[np.intp]
    row: NDArray[np.intp]
    value: NDArray[np.float64]

    def where(self, chosen: NDArray[np.bool_]) -> Entries:
        """Return the entries that are chosen."""
        return Entries(self.owner[chosen], self.row[chosen], self.value[chosen])


@dataclass(frozen=True)
class CoefficientTable:
    """The LP's coefficients by column; a row with a left side alone has all its signs turned.

    Attributes:
        rows: The table of rows that was read.
        turn: (m,) -1 for a row whose signs are turned, else 1.
        lengths: (n,) how many coefficients each column has.
        row: (e,) LP positions of the coefficients' rows, ordered by column.
        value: (e,) coefficients in this order.
        sums: (2, m) sums of the absolute values of each row's positive and negative coefficients.
        degree: (m,) how many coefficients each row has.
    """

    rows: RowTable
    turn: NDArray[np.float64]
    lengths: NDArray[np.intp]
    row: NDArray[np.intp]
    value: NDArray[np.float64]
    sums: NDArray[np.float64]
    degree: NDArray[np.intp]

    @classmethod
    def read(cls, rows: RowTable, sides: Sides, columns: int) -> CoefficientTable:
        """Order the coefficients of `rows` by their `columns` columns."""
        owner, column, value = rows.coefficients
        count = len(sides.left)
        turn = np.where(sides.finite[:, 0] & ~sides.finite[:, 1], -1.0, 1.0)
        order = np.argsort(column, kind="stable")
        order = order[value[order] != 0]
        row = owner[order]
        value = value[order] * turn[row]
        sums = [total(row, np.maximum(sign * value, 0), count) for sign in (1, -1)]
        lengths = np.bincount(column[order], minlength=columns)
        degree = np.bincount(row, minlength=count)
        return cls(rows, turn, lengths, row, value, np.stack(sums), degree)

    def entries(self, positions: NDArray[np.intp]) -> Entries:
        """Return the coefficients of the columns at some LP positions."""
        owner, taken = take_segments(self.lengths, positions)
        return Entries(owner, self.row[taken], self.value[taken])
