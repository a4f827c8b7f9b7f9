"""An agent on fifteen real instances by another author: where it finishes and where it does not.

The agent branches on the candidate with the largest pseudocost score, in the preset "gasse". The
optima are SCIP's own, proved with its default settings in at most 1171 nodes and half a minute
each.

The searches stop at 500 nodes; `make test-long` (REWARDLOOM_TEST_LONG=1) lets them go on to 4000,
which takes minutes.
"""

import os
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from rewardloom.envs.branching.features import CANDIDATE_FEATURES
from rewardloom.envs.branching.instances import read_instances
from rewardloom.envs.branching.world import MilpBranching

DATA = Path(os.environ.get("REWARDLOOM_TEST_DATA", "")) / "milp"
pytestmark = pytest.mark.skipif(
    not os.environ.get("REWARDLOOM_TEST_DATA") or not DATA.is_dir(),
    reason="REWARDLOOM_TEST_DATA names no folder with milp/, instances by another author",
)

SHORT, LONG = 500, 4000
SCORE = CANDIDATE_FEATURES.index("gain_score")


class Expected(NamedTuple):
    """Optimal objective, and whether the agent proves it within 500 and within 4000 nodes."""

    optimum: float
    short: bool
    long: bool


AUCTION = "combinatorial_auction_n_items_100_n_bids_500_"
KNAPSACK = "knapsack_number_of_items_100_number_of_knapsacks_6_"
INDEPENDENT = "maximum_independent_set_n_nodes_500_"
COVER = "set_covering_n_rows_400_n_cols_750_"
FACILITY = "ucfl_n_customers_35_n_facilities_35_ratio_5_"

TABLE = {
    f"{AUCTION}1": Expected(7473.554990, short=True, long=True),
    f"{AUCTION}2": Expected(7102.289164, short=True, long=True),
    f"{AUCTION}3": Expected(7473.684033, short=True, long=True),
    f"{KNAPSACK}1": Expected(724.0, short=True, long=True),
    f"{KNAPSACK}2": Expected(731.0, short=True, long=True),
    f"{KNAPSACK}3": Expected(693.0, short=True, long=True),
    f"{INDEPENDENT}1": Expected(234.0, short=True, long=True),
    f"{INDEPENDENT}2": Expected(219.0, short=False, long=False),
    f"{INDEPENDENT}3": Expected(215.0, short=False, long=False),
    f"{COVER}1": Expected(234.0, short=True, long=True),
    f"{COVER}2": Expected(302.0, short=True, long=True),
    f"{COVER}3": Expected(242.0, short=True, long=True),
    f"{FACILITY}1": Expected(6808.281997, short=False, long=False),
    f"{FACILITY}2": Expected(7027.775976, short=False, long=True),
    f"{FACILITY}3": Expected(7455.274673, short=False, long=True),
}
every_instance = pytest.mark.parametrize("name", TABLE)


def search(name: str, nodes: int):
    """Let the agent branch; return how the episode ended."""
    env = MilpBranching(instances=DATA / f"{name}.lp.gz", preset="gasse", node_limit=nodes)
    try:
        observation, info = env.reset(seed=0, options={"solver_seed": 0})
        over = False
        while not over:
            legal = np.flatnonzero(info["action_mask"])
            scores = observation["candidates"][legal, SCORE]
            observation, _, terminated, truncated, info = env.step(int(legal[scores.argmax()]))
            over = terminated or truncated
        return env.last_episode
    finally:
        env.close()


def check(name: str, nodes: int, *, finishes: bool) -> None:
    """Hold an episode to the optimum, or its bounds to both sides of it."""
    episode = search(name, nodes)
    assert episode is not None
    result, optimum = episode.result, TABLE[name].optimum
    assert episode.status == ("optimal" if finishes else "nodelimit")
    assert result.nodes <= nodes
    assert result.solved == finishes
    sign = -1 if result.sense == "maximize" else 1
    dual, primal = result.minimized_bounds
    if finishes:
        assert primal == pytest.approx(sign * optimum, rel=1e-6)
        assert dual == pytest.approx(sign * optimum, rel=1e-6)
    else:
        slack = 1e-6 * abs(optimum)
        assert dual - slack <= sign * optimum <= primal + slack
        assert dual < primal - slack


def test_the_table_is_complete():
    names = [file.name.removesuffix(".lp.gz") for file in read_instances(DATA)]
    assert names == list(TABLE)


@every_instance
def test_optima_and_bounds_are_those_of_scip(name):
    check(name, SHORT, finishes=TABLE[name].short)


@pytest.mark.skipif(
    not os.environ.get("REWARDLOOM_TEST_LONG"), reason="takes minutes: make test-long"
)
@every_instance
def test_optima_and_bounds_with_more_nodes(name):
    check(name, LONG, finishes=TABLE[name].long)
