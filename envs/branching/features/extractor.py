"""What an agent sees of a branching decision, read from SCIP inside the branching callback."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from pyscipopt import Model
from pyscipopt.scip import PY_SCIP_STAGE, Column

from rewardloom.envs.branching.features.candidates import pseudocost_features
from rewardloom.envs.branching.features.columns import (
    Chosen,
    ColumnTable,
    Incumbent,
    column_features,
)
from rewardloom.envs.branching.features.numbers import finite_float32
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

    def candidates(self) -> NDArray[np.float32]:
        """Return (k, 23) features of the LP branching candidates, named by `CANDIDATE_FEATURES`.

        Only candidates of the highest branching priority count, in the order in which
        `Model.getLPBranchCands` lists them first.

        Raises:
            ConfigError: The model is not solving.
        """
        _, table, incumbent = self._read_columns()
        variables, _, fractions, _, priority, _ = self._model.getLPBranchCands()
        variables, fraction = variables[:priority], np.array(fractions[:priority])
        columns = [variable.getCol() for variable in variables]
        positions = np.array([column.getLPPos() for column in columns], np.intp)
        chosen = Chosen(columns, variables, positions)
        features = column_features(self._model, chosen, table, incumbent)
        gains = pseudocost_features(self._model, variables, fraction, table.norm)
        return finite_float32(np.concatenate([features, gains]))

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
        everything = Chosen(columns, table.variables, np.arange(len(columns)))
        features = column_features(self._model, everything, table, incumbent)
        rows = self._model.getLPRowsData()
        sides = Sides.read(self._model, rows)
        key = RowTable.identify(self._model, rows, sides)
        if self._rows is None or self._rows.key != key:
            self._rows = RowTable.read(key, rows, sides, table)
        constraints = row_features(self._model, rows, sides, self._rows, table)
        return {
            "columns": finite_float32(features),
            "rows": finite_float32(constraints),
            "edges": self._rows.edges,
            "edge_values": self._rows.values,
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
            self._rows = self._incumbent = None
        if self._incumbent is None or self._incumbent.found != model.getNSolsFound():
            self._incumbent = Incumbent.read(model, self._columns.variables)
        return columns, self._columns, self._incumbent
