"""Reading a branching node's features against SCIP's own graph function, inside one search."""

import numpy as np
from blocks import block_times
from pyscipopt import SCIP_PARAMSETTING, SCIP_RESULT, Branchrule, Model, quicksum

from rewardloom.envs.branching.features import Extractor

ROWS, COLUMNS, DENSITY = 400, 750, 0.05
AFTER = 20  # nodes that are branched before the one that is timed


class Timer(Branchrule):
    """Times the readers at one node, after all of them have seen the nodes before."""

    def __init__(self, extractor):
        self.extractor, self.nodes, self.times, self.note = extractor, 0, {}, ""

    def branchexeclp(self, allowaddcons):
        graph = self.extractor.bipartite()
        self.nodes += 1
        if self.nodes == AFTER:
            self.note = (
                f"{len(graph['rows'])} rows, {len(graph['columns'])} columns, "
                f"{len(graph['edge_values'])} edges"
            )
            self.times = block_times(self.actions(), 5)
            self.model.interruptSolve()
        return {"result": SCIP_RESULT.DIDNOTRUN}

    def actions(self):
        """Return what is timed, by name."""
        return {
            "SCIP's graph": self.model.getBipartiteGraphRepresentation,
            "SCIP's graph as arrays": self.built_in_arrays,
            "bipartite": self.extractor.bipartite,
            "bipartite of a new extractor": lambda: Extractor(self.model).bipartite(),
            "candidates": self.extractor.candidates,
        }

    def built_in_arrays(self):
        """Return SCIP's graph as learners need it."""
        parts = self.model.getBipartiteGraphRepresentation()[:3]
        return [np.asarray(part, np.float32) for part in parts]


def set_cover():
    """Return a set-cover model that is not solved at its root."""
    rng = np.random.default_rng(0)
    model = Model()
    model.hideOutput()
    model.setParam("presolving/maxrestarts", 0)
    model.setParam("presolving/maxrounds", 0)
    model.setParam("separating/maxrounds", 0)
    model.setHeuristics(SCIP_PARAMSETTING.OFF)
    costs = rng.integers(40, 60, COLUMNS)
    choices = [model.addVar(vtype="B", obj=float(cost)) for cost in costs]
    for row in rng.random((ROWS, COLUMNS)) < DENSITY:
        model.addCons(quicksum(choices[j] for j in np.flatnonzero(row)) >= 1)
    return model


def run():
    """Time one node of a set-cover search."""
    model = set_cover()
    timer = Timer(Extractor(model))
    model.includeBranchrule(timer, "timer", "times the readers", 536870911, -1, 1.0)
    model.optimize()
    times = timer.times
    for name, seconds in times.items():
        yield {"name": name, "value": 1e3 * seconds, "unit": "ms/node", "note": timer.note}
    yield {
        "name": "SCIP's graph over bipartite",
        "value": times["SCIP's graph"] / times["bipartite"],
        "unit": "times",
        "bound": 4.0,
        "at_least": True,
    }
