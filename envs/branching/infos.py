"""What a branching world tells beside its observation.

- `METRICS`: keys of `info["episode_metrics"]`.
- `waiting_info`, `ended_info`: of a decision that waits, and of a search that has ended.
- `record_of`: a finished episode.
- `candidate_index`: which candidate an action names.
"""

from __future__ import annotations

import operator
from typing import Any

import numpy as np
import numpy.typing as npt
from gymnasium.error import InvalidAction

from rewardloom.envs.branching.opening import Opened
from rewardloom.envs.branching.records import Decision, EpisodeRecord, SearchResult

__all__ = ["METRICS", "candidate_index", "ended_info", "record_of", "waiting_info"]

METRICS = ("nodes", "lp_iterations", "decisions", "scip_decisions", "gap")
"""Keys of `info["episode_metrics"]`."""


def waiting_info(decision: Decision, mask: npt.NDArray[np.bool_]) -> dict[str, Any]:
    """Return the info of a decision that waits, with its mask of legal actions."""
    return {
        "action_mask": mask,
        "node_id": decision.node,
        "parent_id": decision.parent,
        "depth": decision.depth,
        "side": decision.side,
        "num_candidates": len(decision),
        "nodes": decision.nodes,
        "lp_iterations": decision.lp_iterations,
        "dual_bound": decision.dual_bound,
        "primal_bound": decision.primal_bound,
    }


def ended_info(result: SearchResult, mask: npt.NDArray[np.bool_]) -> dict[str, Any]:
    """Return the same keys for a search that has ended, with a mask that allows nothing."""
    dual, primal = result.minimized_bounds
    return {
        "action_mask": mask,
        **dict.fromkeys(("node_id", "parent_id", "depth", "side", "num_candidates"), 0),
        "nodes": result.nodes,
        "lp_iterations": result.lp_iterations,
        "dual_bound": dual,
        "primal_bound": primal,
    }


def record_of(
    opened: Opened, result: SearchResult, status: str, *, steps: int, by_scip: int
) -> EpisodeRecord:
    """Return the record of a finished episode.

    Args:
        opened: How it began.
        result: How its search ended.
        status: How it ended, as in `info["status"]`.
        steps: Decisions of the agent.
        by_scip: Those of them that were left to SCIP.
    """
    values = (result.nodes, result.lp_iterations, steps, by_scip, min(result.gap, 1.0))
    return EpisodeRecord(
        steps,
        status,
        result,
        opened.drawn.name,
        opened.drawn.seed,
        opened.solver_seed,
        {name: float(value) for name, value in zip(METRICS, values, strict=True)},
    )


def candidate_index(
    action: Any, decision: Decision, *, default: int | None, lenient: bool
) -> int | None:
    """Return the index of the candidate that an action names; None for SCIP's own rule.

    Args:
        action: LP position of a column, or `default`.
        decision: The decision that waits.
        default: The action that leaves the decision to SCIP, None if there is none.
        lenient: Whether an illegal action is left to SCIP as well.

    Raises:
        InvalidAction: `action` is not a candidate.
    """
    try:
        position = operator.index(action)
    except TypeError:
        position = -1
    if position == default:
        return None
    found = np.flatnonzero(decision.candidates == position)
    if len(found):
        return int(found[0])
    if lenient:
        return None
    raise InvalidAction(
        f"{action!r} is not a candidate of node {decision.node}, which has {len(decision)}. Take "
        "one where action_masks() is True, with MaskablePPO or action_space.sample(); the decision "
        "still waits."
    )
