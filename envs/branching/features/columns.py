"""Features of LP columns (variables of the transformed problem), after Gasse et al. (2019).

- `ColumnTable`: what stays the same while the LP keeps its columns.
- `column_features`: the features of some columns at the current node.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from pyscipopt import Model, Variable
from pyscipopt.scip import Column

from rewardloom.envs.branching.features.numbers import AGE_OFFSET, gather

__all__ = ["COLUMN_FEATURES", "Chosen", "ColumnTable", "Incumbent", "column_features"]

COLUMN_FEATURES = (
    "objective",
    "is_binary",
    "is_integer",
    "is_implied_integer",
    "is_continuous",
    "has_lower",
    "has_upper",
    "reduced_cost",
    "lp_value",
    "fractionality",
    "at_lower",
    "at_upper",
    "age",
    "incumbent_value",
    "mean_incumbent_value",
    "basis_lower",
    "basis_basic",
    "basis_upper",
    "basis_zero",
    "has_incumbent",
)
"""Names of the column features, in their order; docs/worlds/branching_features.md defines each."""

_STATIC = 5
_BASIS = {"lower": 0, "basic": 1, "upper": 2, "zero": 3}
_TYPE = {"BINARY": 1, "INTEGER": 2, "IMPLINT": 3, "CONTINUOUS": 4}


@dataclass(frozen=True)
class ColumnTable:
    """What stays the same while the LP keeps its columns.

    Attributes:
        key: Identities of the columns, by LP position.
        variables: Their variables.
        objective: (n,) objective coefficients of the transformed problem (always minimized).
        norm: Euclidean norm of the objective over all active variables; 1 if there is none.
        static: (5, n) the first five features.
        integral: (n,) whether a column's variable must be integer, implied ones included.
    """

    key: list[int]
    variables: list[Variable]
    objective: NDArray[np.float64]
    norm: float
    static: NDArray[np.float64]
    integral: NDArray[np.bool_]

    @classmethod
    def read(cls, model: Model, columns: Sequence[Column]) -> ColumnTable:
        """Read the table of the LP's columns from the model."""
        variables = [column.getVar() for column in columns]
        objective = gather(Column.getObjCoeff, columns)
        active = gather(Variable.getObj, model.getVars(transformed=True))
        norm = float(np.linalg.norm(active)) or 1.0
        static = np.zeros((_STATIC, len(columns)))
        static[0] = objective / norm
        static[[_type_row(variable) for variable in variables], np.arange(len(columns))] = 1
        integral = gather(Variable.isIntegral, variables).astype(bool)
        return cls(list(map(hash, columns)), variables, objective, norm, static, integral)


def _type_row(variable: Variable) -> int:
    """Return the row of the one-hot feature for a variable's type."""
    return _TYPE["IMPLINT"] if variable.isImpliedIntegral() else _TYPE[variable.vtype()]


@dataclass(frozen=True)
class Incumbent:
    """The best known solution, kept until SCIP finds another.

    Attributes:
        found: How many solutions SCIP had found when the values were read.
        known: Whether there is an incumbent.
        values: (n,) its values by LP position; zeros while there is none.
    """

    found: int
    known: bool
    values: NDArray[np.float64]

    @classmethod
    def read(cls, model: Model, variables: Sequence[Variable]) -> Incumbent:
        """Read the values of the model's best solution."""
        found = model.getNSolsFound()
        solution = model.getBestSol()
        if solution is None:
            return cls(found, False, np.zeros(len(variables)))
        values = gather(lambda variable: model.getSolVal(solution, variable), variables)
        return cls(found, True, values)


class Chosen(NamedTuple):
    """The k columns whose features are asked for.

    Attributes:
        columns: The columns.
        variables: Their variables.
        positions: (k,) their LP positions.
    """

    columns: Sequence[Column]
    variables: Sequence[Variable]
    positions: NDArray[np.intp]


def column_features(
    model: Model, chosen: Chosen, table: ColumnTable, incumbent: Incumbent
) -> NDArray[np.float64]:
    """Return the (20, k) features of columns at the current node, one feature a row.

    Args:
        model: A model in the middle of solving, its LP solved.
        chosen: The columns.
        table: The LP's table.
        incumbent: The best known solution.
    """
    columns, variables, positions = chosen
    epsilon, infinity = model.epsilon(), model.infinity()
    lower, upper = gather(Column.getLb, columns), gather(Column.getUb, columns)
    value = gather(Column.getPrimsol, columns)
    features = np.zeros((len(COLUMN_FEATURES), len(columns)))
    features[:_STATIC] = table.static[:, positions]
    features[5] = lower > -infinity
    features[6] = upper < infinity
    features[7] = gather(model.getColRedCost, columns) / table.norm
    features[8] = value
    features[9] = (value - np.floor(value + model.feastol())) * table.integral[positions]
    features[10] = np.abs(value - lower) <= epsilon
    features[11] = np.abs(value - upper) <= epsilon
    features[12] = gather(Column.getAge, columns) / (model.getNLPs() + AGE_OFFSET)
    if incumbent.known:
        features[13] = incumbent.values[positions]
        features[14] = gather(Variable.getAvgSol, variables)  # SCIP clips it to global bounds
        features[19] = 1
    basis = [_BASIS[status] for status in map(Column.getBasisStatus, columns)]
    features[15:19][basis, np.arange(len(columns))] = 1
    return features
