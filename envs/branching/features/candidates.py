"""Features of LP branching candidates: those of their columns, and pseudocosts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from pyscipopt import Model, Variable
from pyscipopt.scip import PY_SCIP_BRANCHDIR

from rewardloom.envs.branching.features.columns import COLUMN_FEATURES
from rewardloom.envs.branching.features.numbers import gather

__all__ = ["CANDIDATE_FEATURES", "predicted_gains", "pseudocost_features"]

CANDIDATE_FEATURES = (*COLUMN_FEATURES, "gain_down", "gain_up", "gain_score")
"""Names of the candidate features; docs/worlds/branching_features.md defines each."""

_LEAST_GAIN = 1e-6


def predicted_gains(
    model: Model, candidates: Sequence[Variable], fractionality: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the gains of the dual bound that pseudocosts predict below and above, each (k,).

    Args:
        model: A model in the middle of solving, its LP solved.
        candidates: The k candidates' variables.
        fractionality: (k,) how far their LP values are above the next lower integer.
    """
    down = fractionality * gather(
        lambda variable: model.getVarPseudocost(variable, PY_SCIP_BRANCHDIR.DOWNWARDS), candidates
    )
    up = (1 - fractionality) * gather(
        lambda variable: model.getVarPseudocost(variable, PY_SCIP_BRANCHDIR.UPWARDS), candidates
    )
    return down, up


def pseudocost_features(
    model: Model,
    candidates: Sequence[Variable],
    fractionality: NDArray[np.float64],
    norm: float,
) -> NDArray[np.float64]:
    """Return (3, k) gains of the dual bound that pseudocosts predict, one feature a row.

    Down and up gain are `fractionality * pseudocost_down` and `(1 - fractionality) *
    pseudocost_up`; the score is the root of their product with each gain at least 1e-6, which
    ranks candidates as SCIP's product score does. All three are divided by the objective's norm.
    The choice of these three features is our formulation.

    Args:
        model: A model in the middle of solving, its LP solved.
        candidates: The k candidates' variables.
        fractionality: (k,) how far their LP values are above the next lower integer.
        norm: Norm of the objective.
    """
    down, up = predicted_gains(model, candidates, fractionality)
    score = np.sqrt(np.maximum(down, _LEAST_GAIN) * np.maximum(up, _LEAST_GAIN))
    return np.stack([down, up, score]) / norm
