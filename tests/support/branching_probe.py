"""A branching rule that hands each node to a function, and small models with known LPs."""

import numpy as np
from pyscipopt import SCIP_PARAMSETTING, SCIP_RESULT, Branchrule, Model, quicksum

PLAIN = {
    "presolving/maxrounds": 0,
    "presolving/maxrestarts": 0,
    "propagating/maxrounds": 0,
    "propagating/maxroundsroot": 0,
    "misc/usesymmetry": 0,
    "conflict/enable": False,
}


class Probe(Branchrule):
    """Calls `visit(model)` at each node until it returns True; then SCIP's own rules branch."""

    def __init__(self, visit):
        self.visit, self.error = visit, None

    def branchexeclp(self, allowaddcons):
        try:
            if self.visit(self.model):
                self.model.interruptSolve()
        except BaseException as error:
            self.error = error
            self.model.interruptSolve()
        return {"result": SCIP_RESULT.DIDNOTRUN}

    def branchexecps(self, allowaddcons):
        return {"result": SCIP_RESULT.DIDNOTRUN}

    branchexecext = branchexecps


def solve(model, visit):
    """Solve `model`, calling `visit(model)` at its branching nodes; its errors come out."""
    probe = Probe(visit)
    model.includeBranchrule(probe, "probe", "calls a function", 536870911, -1, 1.0)
    model.optimize()
    if probe.error is not None:
        raise probe.error


def plain_model():
    """Return a quiet model whose root LP is the one that was written down."""
    model = Model()
    model.hideOutput()
    model.setParams(PLAIN)
    model.setHeuristics(SCIP_PARAMSETTING.OFF)
    model.setSeparating(SCIP_PARAMSETTING.OFF)
    return model


def set_cover(rows=60, columns=100, density=0.06, seed=0):
    """Return a set-cover model with nearly equal costs, which needs branching."""
    rng = np.random.default_rng(seed)
    model = Model()
    model.hideOutput()
    model.setParam("presolving/maxrestarts", 0)
    costs = rng.integers(40, 60, columns)
    choices = [model.addVar(vtype="B", obj=float(cost)) for cost in costs]
    incidence = rng.random((rows, columns)) < density
    incidence[np.arange(rows), rng.integers(0, columns, rows)] = True
    incidence[np.arange(rows), rng.integers(0, columns, rows)] = True
    for row in incidence:
        model.addCons(quicksum(choices[j] for j in np.flatnonzero(row)) >= 1)
    return model
