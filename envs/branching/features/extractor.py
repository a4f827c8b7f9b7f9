"""What an agent sees of a branching decision, read from SCIP inside the branching callback."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from pyscipopt import Model
from pyscipopt.scip import PY_SCIP_STAGE, Column, Row

from rewardloom.envs.branching.features.candidates import pseudocost_features
from rewardloom.envs.branching.features.coefficients import CoefficientTable
from rewardloom.envs.branching.features.columns import (
    Chosen,
    ColumnTable,
    Incumbent,
    column_features,
)
from rewardloom.envs.branching.features.khalil import (
    RowNumbers,
    node_features,
    static_features,
)
from rewardloom.envs.branching.features.numbers import finite_float32, gather
from rewardloom.envs.branching.features.rows import RowTable, Sides, row_features
from rewardloom.errors import ConfigError

__all__ = ["Extractor"]


class Extractor:
    """Reads the features of one solve's nodes; make one for each episode.

    Features describe the transformed problem, which SCIP always minimizes. Whatever does not
    change from node to node (types, objective, coefficients) is read once and again only when the
    LP's rows or columns have changed. Every returned number is finite and a fresh copy, except the
    edges: those are read-only and shared until the rows change.

    Args:
        model: The model to be solved. It may be in any stage now, but has to be in the middle of
            a branching callback (`branchexeclp`) when features are asked for.
    """

    def __init__(self, model: Model) -> None:
        self._model = model
        self._columns: ColumnTable | None = None
        self._rows: RowTable | None = None
        self._incumbent: Incumbent | None = None
        self._coefficients: CoefficientTable | None = None
        self._static: NDArray[np.float64] | None = None

    def candidates(self) -> NDArray[np.float32]:
        """Return (k, 23) features of the LP branching candidates, named by `CANDIDATE_FEATURES`.

        Only candidates of the highest branching priority count, in the order in which
        `Model.getLPBranchCands` lists them first.

        Raises:
            ConfigError: The model is not solving.
        """
        _, table, incumbent = self._read_columns()
        chosen, fraction = self._candidates()
        features = column_features(self._model, chosen, table, incumbent)
        gains = pseudocost_features(self._model, chosen.variables, fraction, table.norm)
        return finite_float32(np.concatenate([features, gains]))

    def khalil(self) -> NDArray[np.float32]:
        """Return (k, 68) features of the same candidates, named by `KHALIL_FEATURES`.

        The static ones are those of the LP in which they are asked for first.

        Raises:
            ConfigError: The model is not solving.
        """
        columns, table, _ = self._read_columns()
        rows, sides, row_table = self._read_rows(table)
        if self._coefficients is None or self._coefficients.rows is not row_table:
            self._coefficients = CoefficientTable.read(row_table, sides, len(columns))
        if self._static is None:
            self._static = static_features(self._coefficients, table.objective)
        chosen, fraction = self._candidates()
        static = self._static[:, chosen.positions]
        numbers = RowNumbers.read(self._model, rows, sides)
        free = gather(Column.getLb, columns) < gather(Column.getUb, columns)
        node = node_features(
            self._model, chosen, fraction, self._coefficients, numbers, free, static
        )
        return finite_float32(np.concatenate([static, node]))

    def bipartite(self) -> dict[str, NDArray[np.generic]]:
        """Return the LP as a graph between the finite sides of its rows and its columns.

        Returns:
            `columns`: (n, 20) float32, named by `COLUMN_FEATURES`, by LP position.
            `rows`: (r, 5) float32, named by `ROW_FEATURES`, one for each finite side.
            `edges`: (2, e) int32, read-only, index into `rows` and index into `columns`.
            `edge_values`: (e,) float32, read-only, coefficients over their row's norm.

        Raises:
            ConfigError: The model is not solving.
        """
        columns, table, incumbent = self._read_columns()
        return self._graph(columns, table, incumbent)

    def graph(self) -> dict[str, NDArray[np.generic]]:
        """Return what `bipartite` returns, and `candidates`: what `candidates` returns.

        Raises:
            ConfigError: The model is not solving.
        """
        columns, table, incumbent = self._read_columns()
        parts = self._graph(columns, table, incumbent)
        chosen, fraction = self._candidates()
        gains = pseudocost_features(self._model, chosen.variables, fraction, table.norm)
        own = parts["columns"][chosen.positions]
        return parts | {"candidates": np.concatenate([own, finite_float32(gains)], axis=1)}

    def _graph(
        self, columns: Sequence[Column], table: ColumnTable, incumbent: Incumbent
    ) -> dict[str, NDArray[np.generic]]:
        everything = Chosen(columns, table.variables, np.arange(len(columns)))
        features = column_features(self._model, everything, table, incumbent)
        rows, sides, row_table = self._read_rows(table)
        constraints = row_features(self._model, rows, sides, row_table, table)
        return {
            "columns": finite_float32(features),
            "rows": finite_float32(constraints),
            "edges": row_table.edges,
            "edge_values": row_table.values,
        }

    def _read_columns(self) -> tuple[Sequence[Column], ColumnTable, Incumbent]:
        """Return the LP's columns, with their table and incumbent brought up to date."""
        model = self._model
        if model.getStage() != PY_SCIP_STAGE.SOLVING:
            raise ConfigError(
                f"features were asked for in SCIP's stage {model.getStageName()}; they exist only "
                "while it solves. Call the extractor inside a branching rule's branchexeclp."
            )
        columns = model.getLPColsData()
        if self._columns is None or self._columns.key != list(map(hash, columns)):
            self._columns = ColumnTable.read(model, columns)
            self._rows = self._incumbent = self._static = None
        if self._incumbent is None or self._incumbent.found != model.getNSolsFound():
            self._incumbent = Incumbent.read(model, self._columns.variables)
        return columns, self._columns, self._incumbent

    def _read_rows(self, columns: ColumnTable) -> tuple[Sequence[Row], Sides, RowTable]:
        """Return the LP's rows and sides, with their table brought up to date."""
        rows = self._model.getLPRowsData()
        sides = Sides.read(self._model, rows)
        key = RowTable.identify(self._model, rows, sides)
        if self._rows is None or self._rows.key != key:
            self._rows = RowTable.read(key, rows, sides, columns)
        return rows, sides, self._rows

    def _candidates(self) -> tuple[Chosen, NDArray[np.float64]]:
        """Return the candidates of the highest branching priority, and their fractions."""
        variables, _, fractions, _, priority, _ = self._model.getLPBranchCands()
        variables = variables[:priority]
        columns = [variable.getCol() for variable in variables]
        positions = np.array([column.getLPPos() for column in columns], np.intp)
        return Chosen(columns, variables, positions), np.array(fractions[:priority])
