"""A mixed-integer linear program as numpy arrays, and its way into SCIP.

- `MilpInstance`: what every generator returns.
- `csr_from_pairs`: sort (row, column) pairs into compressed rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from rewardloom.envs.branching.backend import load_scip
from rewardloom.errors import ConfigError

if TYPE_CHECKING:
    from pyscipopt import Model

__all__ = ["MilpInstance", "csr_from_pairs"]

FloatArray: TypeAlias = npt.NDArray[np.float64]
IntArray: TypeAlias = npt.NDArray[np.int64]
BoolArray: TypeAlias = npt.NDArray[np.bool_]

_INFINITY = 1e20
_SENSES = ("minimize", "maximize")


@dataclass(frozen=True, eq=False)
class MilpInstance:
    """Optimize `objective @ x` subject to `lhs <= A x <= rhs` and `lower <= x <= upper`.

    `A` has `m` rows and `n` columns and is kept in compressed sparse rows: the entries of row `i`
    are `data[indptr[i]:indptr[i + 1]]`, in the columns `indices[indptr[i]:indptr[i + 1]]`. The
    arrays are copied and made read-only.

    Attributes:
        objective: (n,) coefficients.
        data: (nnz,) coefficients of the rows.
        indices: (nnz,) column of each coefficient; no column twice in a row.
        indptr: (m + 1,) where each row starts.
        lhs: (m,) left-hand sides; `-inf` for none.
        rhs: (m,) right-hand sides; `inf` for none.
        lower: (n,) lower bounds; `-inf` for none.
        upper: (n,) upper bounds; `inf` for none.
        is_integer: (n,) whether the variable must be integral.
        sense: "minimize" or "maximize".
        name: Name of the problem inside SCIP.

    Raises:
        ConfigError: Lengths that disagree, a NaN, crossed bounds or sides, or an unknown sense.
    """

    objective: FloatArray
    data: FloatArray
    indices: IntArray
    indptr: IntArray
    lhs: FloatArray
    rhs: FloatArray
    lower: FloatArray
    upper: FloatArray
    is_integer: BoolArray
    sense: Literal["minimize", "maximize"]
    name: str

    def __post_init__(self) -> None:
        for field in ("objective", "data", "lhs", "rhs", "lower", "upper"):
            self._freeze(field, np.float64)
        for field in ("indices", "indptr"):
            self._freeze(field, np.int64)
        self._freeze("is_integer", np.bool_)
        if self.sense not in _SENSES:
            raise ConfigError(f"sense is {self.sense!r}; it must be 'minimize' or 'maximize'.")
        self._check_lengths()
        self._check_values()

    @property
    def num_variables(self) -> int:
        """Number of columns `n`."""
        return len(self.objective)

    @property
    def num_rows(self) -> int:
        """Number of rows `m`."""
        return len(self.lhs)

    def row_activity(self, x: npt.ArrayLike) -> FloatArray:
        """Return `A x`, shape (m,), for `x` of shape (n,)."""
        products = self.data * np.asarray(x, dtype=np.float64)[self.indices]
        rows = np.repeat(np.arange(self.num_rows), np.diff(self.indptr))
        activity = np.bincount(rows, weights=products, minlength=self.num_rows)
        return activity.astype(np.float64)

    def to_model(self) -> Model:
        """Return a fresh, quiet `pyscipopt.Model` of this program; the caller frees it.

        Variables are named `x0`, `x1`, ... and rows `c0`, `c1`, ... in the order of the arrays.

        Raises:
            MissingDependency: pyscipopt is not installed.
        """
        scip = load_scip()
        model = scip.Model(self.name)
        model.hideOutput()
        infinity = model.infinity()
        terms = self._add_variables(scip, model, infinity)
        sides = [np.clip(side, -infinity, infinity).tolist() for side in (self.lhs, self.rhs)]
        starts, columns, values = self.indptr.tolist(), self.indices.tolist(), self.data.tolist()
        for row, (lhs, rhs) in enumerate(zip(*sides, strict=True)):
            entries = slice(starts[row], starts[row + 1])
            # Terms are shared between rows: building them anew is most of pyscipopt's own cost.
            linear = dict(zip([terms[j] for j in columns[entries]], values[entries], strict=True))
            model.addCons(scip.ExprCons(scip.Expr(linear), lhs, rhs), f"c{row}")
        if self.sense == "maximize":
            model.setMaximize()
        return model

    def _add_variables(self, scip: Any, model: Model, infinity: float) -> list[Any]:
        """Add the variables and return the key that each has in a pyscipopt expression."""
        binary = self.is_integer & (self.lower >= 0.0) & (self.upper <= 1.0)
        kinds = np.where(binary, "B", np.where(self.is_integer, "I", "C")).tolist()
        lower = np.clip(self.lower, -infinity, infinity).tolist()
        upper = np.clip(self.upper, -infinity, infinity).tolist()
        columns = zip(kinds, lower, upper, self.objective.tolist(), strict=True)
        return [
            scip.scip.Term(model.addVar(f"x{j}", kind, low, high, cost))
            for j, (kind, low, high, cost) in enumerate(columns)
        ]

    def _freeze(self, field: str, dtype: npt.DTypeLike) -> None:
        array = np.array(getattr(self, field), dtype=dtype)
        array.setflags(write=False)
        object.__setattr__(self, field, array)

    def _check_lengths(self) -> None:
        n, m, nnz = len(self.objective), len(self.lhs), len(self.data)
        wanted = {"lower": n, "upper": n, "is_integer": n, "rhs": m, "indptr": m + 1}
        wanted["indices"] = nnz
        for field, length in wanted.items():
            if getattr(self, field).shape != (length,):
                raise ConfigError(
                    f"{field} has shape {getattr(self, field).shape}, not ({length},): the program "
                    f"has {n} variables, {m} rows and {nnz} coefficients."
                )
        if self.indptr[0] != 0 or self.indptr[-1] != nnz or np.any(np.diff(self.indptr) < 0):
            raise ConfigError(f"indptr must rise from 0 to {nnz}, the number of coefficients.")
        if nnz and not 0 <= self.indices.min() <= self.indices.max() < n:
            raise ConfigError(f"indices must lie in 0..{n - 1}, the columns of the program.")

    def _check_values(self) -> None:
        for field in ("objective", "data"):
            if not np.all(np.abs(getattr(self, field)) < _INFINITY):
                raise ConfigError(
                    f"{field} holds a value that is not finite; {_INFINITY:g} is infinite to SCIP."
                )
        for low, high in (("lhs", "rhs"), ("lower", "upper")):
            if not np.all(getattr(self, low) <= getattr(self, high)):
                raise ConfigError(f"{low} must be at most {high} everywhere, and neither a NaN.")
        rows = np.repeat(np.arange(self.num_rows), np.diff(self.indptr))
        if len(np.unique(rows * self.num_variables + self.indices)) != len(self.data):
            raise ConfigError("A row names the same column twice; add its coefficients up.")


def csr_from_pairs(
    rows: npt.NDArray[np.integer], columns: npt.NDArray[np.integer], num_rows: int
) -> tuple[IntArray, IntArray, IntArray]:
    """Sort (row, column) pairs into compressed rows.

    Args:
        rows: (nnz,) row of each entry.
        columns: (nnz,) column of each entry.
        num_rows: Number of rows, empty ones included.

    Returns:
        The order of the pairs (nnz,), their columns in that order (nnz,), and where each row
        starts (num_rows + 1,).
    """
    order = np.lexsort((columns, rows))
    counts = np.bincount(rows, minlength=num_rows)
    indptr = np.append(0, np.cumsum(counts)).astype(np.int64)
    return order.astype(np.int64), columns[order].astype(np.int64), indptr
