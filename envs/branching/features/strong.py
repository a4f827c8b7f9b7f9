"""Strong branching: what a branching would do to the dual bound, found by trying it.

Scores are labels for imitation rather than features: they cost two LPs for each candidate.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from pyscipopt import Model, Variable

__all__ = ["strong_branching_scores"]

_ITERATIONS = 2**31 - 1


def strong_branching_scores(model: Model, candidates: Sequence[Variable]) -> NDArray[np.float64]:
    """Return (k,) strong-branching scores of candidates, larger for better ones.

    Both children's LPs of every candidate are solved to their end. A child's gain is by how much
    its bound is above the node's; SCIP makes one score of the two gains, the score by which its
    rule `vanillafullstrong` chooses. A candidate whose LPs SCIP could not solve scores 0. The trial
    branchings are asked to leave SCIP's state as it was, yet the search that follows may differ
    from one without them, as it may reach other LP solutions of the same value.

    Args:
        model: A model in the middle of a branching callback, its LP solved.
        candidates: Variables that are fractional in the LP solution.
    """
    objective = model.getLPObjVal()
    scores = np.zeros(len(candidates))
    model.startStrongbranch()
    try:
        for index, variable in enumerate(candidates):
            down, up, *_, failed = model.getVarStrongbranch(variable, _ITERATIONS, idempotent=True)
            if failed:
                continue
            gains = [max(down - objective, 0.0), max(up - objective, 0.0)]
            scores[index] = model.getBranchScoreMultiple(variable, gains)
    finally:
        model.endStrongbranch()
    return scores
