"""Set covering: choose the cheapest columns so that every row is covered."""

from __future__ import annotations

import numpy as np

from rewardloom.envs.branching.instances.checks import require_int, require_real
from rewardloom.envs.branching.instances.instance import MilpInstance, csr_from_pairs
from rewardloom.errors import ConfigError

__all__ = ["set_cover"]


def set_cover(
    rng: np.random.Generator,
    *,
    num_rows: int,
    num_columns: int,
    density: float = 0.05,
    max_cost: int = 100,
) -> MilpInstance:
    """Draw a set covering program after Balas and Ho (1980).

    Minimize `cost @ x` with `A x >= 1`, `x` binary and `A` a matrix of zeros and ones with exactly
    `int(num_rows * num_columns * density)` ones. Every column covers at least two rows and every
    row is covered by at least one column: two distinct rows are drawn for each column, each row
    still bare gets one column, and the other ones fall uniformly on the cells left.

    Args:
        rng: Where every random number comes from.
        num_rows: Rows to cover, at least 2.
        num_columns: Columns to choose from, at least 1.
        density: Share of ones in the matrix, in (0, 1]; large enough for the two guarantees.
        max_cost: Costs are integers, uniform in 1..max_cost.

    Raises:
        ConfigError: A size out of range, or a density too small for the guarantees.
    """
    require_int("num_rows", num_rows, 2)
    require_int("num_columns", num_columns, 1)
    require_int("max_cost", max_cost, 1)
    require_real("density", density, 0.0, 1.0)
    count = int(num_rows * num_columns * density)
    if count < 2 * num_columns + num_rows:
        raise ConfigError(
            f"density={density} gives {count} ones in a {num_rows} x {num_columns} matrix; two a "
            f"column and one a row need up to {2 * num_columns + num_rows}. Raise the density."
        )
    covered = _draw_cells(rng, num_rows, num_columns, count)
    rows, columns = np.nonzero(covered)
    _, indices, indptr = csr_from_pairs(rows, columns, num_rows)
    return MilpInstance(
        objective=rng.integers(1, max_cost + 1, num_columns).astype(np.float64),
        data=np.ones(count),
        indices=indices,
        indptr=indptr,
        lhs=np.ones(num_rows),
        rhs=np.full(num_rows, np.inf),
        lower=np.zeros(num_columns),
        upper=np.ones(num_columns),
        is_integer=np.ones(num_columns, dtype=bool),
        sense="minimize",
        name=f"set_cover_{num_rows}x{num_columns}",
    )


def _draw_cells(
    rng: np.random.Generator, num_rows: int, num_columns: int, count: int
) -> np.ndarray:
    """Return a (num_rows, num_columns) bool matrix with `count` cells set."""
    covered = np.zeros((num_rows, num_columns), dtype=bool)
    every_column = np.arange(num_columns)
    first = rng.integers(num_rows, size=num_columns)
    second = (first + rng.integers(1, num_rows, size=num_columns)) % num_rows
    covered[first, every_column] = True
    covered[second, every_column] = True
    bare = np.flatnonzero(~covered.any(axis=1))
    covered[bare, rng.integers(num_columns, size=len(bare))] = True
    free = np.flatnonzero(~covered)
    missing = count - (covered.size - len(free))
    covered.flat[rng.choice(free, missing, replace=False)] = True
    return covered
