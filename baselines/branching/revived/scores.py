"""What each decision of a search was worth, for spreading the search's return.

- `SCORES`: name -> function of a trajectory and how its search ended, (L,) float64.
- `standardized_score`: a score with mean 0 and deviation 1 within the search.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from rewardloom.baselines.branching.revived.trajectories import Trajectory
from rewardloom.envs.branching.records import SearchResult
from rewardloom.errors import ConfigError, unknown_name

__all__ = ["SCORES", "standardized_score"]

Floats = npt.NDArray[np.float64]
_SMALLEST = 1e-6


def depth(trajectory: Trajectory, result: SearchResult) -> Floats:
    """Return minus the branchings above each decision."""
    return -trajectory.depth.astype(np.float64)


def dual_gain(trajectory: Trajectory, result: SearchResult) -> Floats:
    """Return the share of the root's gap that the search's lower bound closed after each decision.

    The gap is that between the first dual bound and the final primal bound; both are known only
    at the end.
    """
    dual, primal = result.minimized_bounds
    bounds = np.append(trajectory.dual_bound, dual)
    width = _width(bounds, primal)
    return np.diff(np.minimum(bounds, bounds[0] + width)) / width


def child_gain(trajectory: Trajectory, result: SearchResult) -> Floats:
    """Return the product of both children's gains over their node's bound, as SCIP scores.

    Gains are shares of the root's gap, at least 1e-6, at most what is left up to the final primal
    bound; a child that SCIP never processed gained all of it.
    """
    tree = result.tree
    width = _width(trajectory.dual_bound, result.minimized_bounds[1])
    most = trajectory.dual_bound[0] + width
    left = np.maximum(most - trajectory.bound, 0.0)
    rows = np.argsort(tree.parent, kind="stable")
    parents = tree.parent[rows]
    firsts = np.searchsorted(parents, trajectory.node)
    product = np.ones(len(trajectory))
    for place in (firsts, firsts + 1):
        inside = np.minimum(place, len(rows) - 1)
        known = (place < len(rows)) & (parents[inside] == trajectory.node)
        gain = np.clip(tree.lower_bound[rows[inside]] - trajectory.bound, 0.0, left)
        product *= np.maximum(np.where(known, gain, left) / width, _SMALLEST)
    return product


def subtree(trajectory: Trajectory, result: SearchResult) -> Floats:
    """Return the logarithm of the processed nodes below and with each decision's node."""
    tree = result.tree
    order = np.argsort(tree.node, kind="stable")
    place = np.searchsorted(tree.node[order], trajectory.node)
    inside = order[np.minimum(place, len(order) - 1)] if len(order) else np.zeros(0, np.int64)
    if not len(order):
        return np.zeros(len(trajectory))
    known = tree.node[inside] == trajectory.node
    return np.log(np.where(known, tree.subtree_size[inside], 1))


SCORES: Mapping[str, Callable[[Trajectory, SearchResult], Floats]] = MappingProxyType(
    {"depth": depth, "dual_gain": dual_gain, "child_gain": child_gain, "subtree": subtree}
)
"""Scores of decisions; our formulation."""


def standardized_score(name: str, trajectory: Trajectory, result: SearchResult) -> Floats:
    """Return a score minus its mean over the search, divided by its deviation; zeros if constant.

    So a temperature means the same for all scores and instances.

    Raises:
        ConfigError: There is no such score.
    """
    if name not in SCORES:
        raise ConfigError(unknown_name("score", name, SCORES, where="of decisions"))
    score = SCORES[name](trajectory, result)
    deviation = score.std()
    return (score - score.mean()) / deviation if deviation > 1e-12 else np.zeros(len(score))


def _width(bounds: Floats, primal: float) -> float:
    """Return the root's gap, up to the best finite dual bound where there is no solution."""
    finite = bounds[np.isfinite(bounds)]
    top = primal if np.isfinite(primal) else finite.max(initial=bounds[0])
    return max(float(top - bounds[0]), _SMALLEST)
