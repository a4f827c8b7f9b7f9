"""Programs whose random numbers are written down, so that every entry is worked by hand."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain, pairwise
from typing import Any

import numpy as np
import pytest

from rewardloom.envs.branching.instances import MilpInstance
from rewardloom.envs.branching.instances.combinatorial_auction import combinatorial_auction
from rewardloom.envs.branching.instances.facility_location import facility_location

BONUS = 2**1.2  # what a bundle of two adds to its price


class Scripted:
    """Stands in for a numpy Generator: hands out what it was given, in order."""

    def __init__(self, *draws: Iterable[float]) -> None:
        self._numbers = chain.from_iterable(draws)

    def random(self, size: Any) -> np.ndarray:
        count = int(np.prod(size))
        return np.array([next(self._numbers) for _ in range(count)], dtype=float).reshape(size)

    def uniform(self, low: float, high: float, size: int) -> np.ndarray:
        del low, high
        return self.random(size)

    def integers(self, low: int, high: int, size: int) -> np.ndarray:
        drawn = self.random(size).astype(int)
        assert np.all((drawn >= low) & (drawn < high))
        return drawn


def matrix(program: MilpInstance) -> list[list[float]]:
    dense = np.zeros((program.num_rows, program.num_variables))
    for row, (start, stop) in enumerate(pairwise(program.indptr)):
        dense[row, program.indices[start:stop]] = program.data[start:stop]
    return dense.tolist()


def auction(values: list[float], num_bids: int, interest: float = 0.5) -> MilpInstance:
    """Three items, each bidder alike: bundle {0, 2}, substitutes {0, 1} and {1, 2}."""
    bidder = [
        *[interest] * 3,  # 0.5: the common values are the private ones
        *[0.1, 0.9],  # grow once, not twice
        *[0.0],  # the first item is 0
        *[0.99],  # joined by the last that fits, 2
        *[0.0, 0.99],  # beside 0 joins 1; beside 2 joins 1, the last that is left
    ]
    rng: Any = Scripted(values, [0.5] * 9, bidder * 4)
    return combinatorial_auction(rng, num_items=3, num_bids=num_bids)


def test_a_bidder_with_two_substitutes_wins_at_most_once():
    program = auction([20, 40, 60], num_bids=3)
    assert program.objective == pytest.approx([80 + BONUS, 100 + BONUS, 60 + BONUS])
    assert matrix(program) == [[1, 0, 1], [0, 1, 1], [1, 1, 0], [1, 1, 1]]


def test_the_last_bidder_stops_at_the_number_of_bids():
    program = auction([20, 40, 60], num_bids=5)
    dummy = [1, 1, 1, 0, 0]
    assert matrix(program)[3:] == [dummy]
    assert program.objective[3:] == pytest.approx([80 + BONUS, 100 + BONUS])


def test_a_substitute_worth_less_than_half_of_the_bundle_is_not_bid():
    program = auction([5, 10, 95], num_bids=4)  # {0, 1} has 15 of the bundle's 100
    assert matrix(program) == [[1, 0, 1, 0], [0, 1, 0, 1], [1, 1, 1, 1]]  # of two bidders
    assert program.objective == pytest.approx([100 + BONUS, 105 + BONUS] * 2)


def test_a_substitute_beyond_the_budget_is_not_bid():
    program = auction([10, 95, 30], num_bids=2)  # both cost over 1.5 times the bundle's 42.3
    assert matrix(program) == [[1, 1], [1, 1]]  # two bidders; nobody names item 1
    assert program.objective == pytest.approx([40 + BONUS] * 2)


def test_interest_moves_private_values_by_up_to_fifty():
    program = auction([60, 60, 60], num_bids=1, interest=0.75)
    assert program.objective == pytest.approx([2 * (60 + 100 * 0.5 * (2 * 0.75 - 1)) + BONUS])


def test_facility_location_by_hand():
    rng: Any = Scripted(
        *[[10, 20], [16, 64], [100, 110], [0, 90]],  # demands, raw capacities, fixed costs
        *[[0, 0, 0.6, 0.8], [0.3, 0.4, 0, 0]],  # customers, facilities
    )
    program = facility_location(rng, num_customers=2, num_facilities=2, ratio=2.0)
    # 100 * sqrt(16) + 0 and 110 * sqrt(64) + 90; distances 0.5, 0; 0.5, 1
    assert program.objective == pytest.approx([50, 0, 100, 200, 400, 970])
    assert np.array(matrix(program)) == pytest.approx(
        np.array(  # the capacities are scaled to 16 and 64 over 80, times 2 * 30
            [
                [1, 1, 0, 0, 0, 0],
                [0, 0, 1, 1, 0, 0],
                [10, 0, 20, 0, -12, 0],
                [0, 10, 0, 20, 0, -48],
                [0, 0, 0, 0, 12, 48],
                [1, 0, 0, 0, -1, 0],
                [0, 1, 0, 0, 0, -1],
                [0, 0, 1, 0, -1, 0],
                [0, 0, 0, 1, 0, -1],
            ]
        )
    )
    assert program.lhs.tolist() == [1, 1, -np.inf, -np.inf, 30, *[-np.inf] * 4]
    assert program.rhs.tolist() == [np.inf, np.inf, 0, 0, np.inf, 0, 0, 0, 0]
