"""Capacitated facility location: open facilities and serve every customer at the least cost."""

from __future__ import annotations

import numpy as np

from rewardloom.envs.branching.instances.checks import require_int
from rewardloom.envs.branching.instances.instance import MilpInstance, csr_from_pairs
from rewardloom.errors import ConfigError

__all__ = ["facility_location"]

_COST_OF_DISTANCE = 10.0


def facility_location(
    rng: np.random.Generator,
    *,
    num_customers: int,
    num_facilities: int,
    ratio: float = 5.0,
    unsplittable: bool = True,
) -> MilpInstance:
    """Draw a capacitated facility location program after Cornuejols et al. (1991).

    Minimize `transport . x + fixed @ y`, where `y_j` (binary) opens facility `j` and `x_ij` is the
    share of customer `i`'s demand that `j` serves. Variables are `x` row by row (customer by
    customer), then `y`. The rows, in this order: `sum_j x_ij >= 1` for each customer;
    `demand @ x_j <= capacity_j y_j` for each facility; `capacity @ y >= sum(demand)`, which follows
    from the others and tightens the relaxation; `x_ij <= y_j` for each pair.

    Customers and facilities are uniform in the unit square. Demands are integers in 5..35, raw
    capacities in 10..160, fixed costs `U(100..110) * sqrt(raw capacity) + U(0..90)` in integers
    uniform, and serving all of customer `i` from `j` costs ten times distance times demand. The
    capacities are then scaled so that their total is exactly `ratio` times the total demand.

    Args:
        rng: Where every random number comes from.
        num_customers: Customers, at least 1.
        num_facilities: Facilities, at least 1.
        ratio: Total capacity over total demand, above 1. Close to 1, an unsplittable program may
            have no solution.
        unsplittable: Serve every customer from one facility (`x` binary) instead of letting
            several share the demand (`x` continuous in [0, 1]).

    Raises:
        ConfigError: A size out of range.
    """
    require_int("num_customers", num_customers, 1)
    require_int("num_facilities", num_facilities, 1)
    if not 1.0 < ratio < np.inf:
        raise ConfigError(f"ratio must be a number above 1, got {ratio!r}.")
    demand = rng.integers(5, 36, num_customers).astype(np.float64)
    capacity = rng.integers(10, 161, num_facilities).astype(np.float64)
    fixed = rng.integers(100, 111, num_facilities) * np.sqrt(capacity)
    fixed += rng.integers(0, 91, num_facilities)
    capacity *= ratio * demand.sum() / capacity.sum()
    customers, facilities = rng.random((num_customers, 2)), rng.random((num_facilities, 2))
    distance = np.linalg.norm(customers[:, None, :] - facilities[None, :, :], axis=2)
    transport = _COST_OF_DISTANCE * distance * demand[:, None]
    return _program(demand, capacity, fixed, transport, unsplittable=unsplittable)


def _program(
    demand: np.ndarray,
    capacity: np.ndarray,
    fixed: np.ndarray,
    transport: np.ndarray,
    *,
    unsplittable: bool,
) -> MilpInstance:
    """Assemble the rows from (num_customers,), (num_facilities,) and (customers, facilities)."""
    m, n = transport.shape
    shares = np.arange(m * n).reshape(m, n)
    opened = m * n + np.arange(n)
    total_row, links = m + n, m + n + 1 + shares
    in_facility = np.broadcast_to(m + np.arange(n), (m, n))
    rows = [np.repeat(np.arange(m), n), in_facility, m + np.arange(n), np.full(n, total_row)]
    columns = [shares, shares, opened, opened, shares, np.broadcast_to(opened, (m, n))]
    values = [np.ones(m * n), np.repeat(demand, n), -capacity, capacity]
    values += [np.ones(m * n), -np.ones(m * n)]
    rows += [links, links]
    num_rows = m + n + 1 + m * n
    order, indices, indptr = csr_from_pairs(_flat(rows), _flat(columns), num_rows)
    lhs, rhs = np.full(num_rows, -np.inf), np.zeros(num_rows)
    lhs[:m], rhs[:m] = 1.0, np.inf
    lhs[total_row], rhs[total_row] = demand.sum(), np.inf
    return MilpInstance(
        objective=np.concatenate((transport.ravel(), fixed)),
        data=_flat(values)[order],
        indices=indices,
        indptr=indptr,
        lhs=lhs,
        rhs=rhs,
        lower=np.zeros(m * n + n),
        upper=np.ones(m * n + n),
        is_integer=np.concatenate((np.full(m * n, unsplittable), np.ones(n, dtype=bool))),
        sense="minimize",
        name=f"facility_location_{m}x{n}",
    )


def _flat(parts: list[np.ndarray]) -> np.ndarray:
    return np.concatenate([part.ravel() for part in parts])
