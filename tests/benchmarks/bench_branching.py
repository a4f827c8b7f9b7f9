"""Reading a branching node's features against SCIP's own graph function, inside one search."""

import statistics
import time

import numpy as np
from blocks import block_times
from pyscipopt import SCIP_PARAMSETTING, SCIP_RESULT, Branchrule, Model, quicksum

from rewardloom.envs.branching.features import Extractor
from rewardloom.envs.branching.session import BranchingSession
from rewardloom.envs.branching.settings import SearchSettings

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


def search_seconds(read, decisions=40):
    """Return the processor seconds per decision of a search that calls `read(extractor)`."""
    model = set_cover()
    extractor = Extractor(model)
    settings = SearchSettings(preset="light", seed=0, decision_limit=decisions)
    with BranchingSession(model, settings, observe=lambda _: read(extractor)) as session:
        decision, start = session.start(), time.process_time()
        while decision is not None:
            decision = session.branch(int(np.argmin(np.abs(decision.fractions - 0.5))))
        return (time.process_time() - start) / session.result.decisions


def whole_steps(rounds=3):
    """Compare whole steps with features to steps without."""
    readers = {
        "bipartite": Extractor.bipartite,
        "candidates": Extractor.candidates,
        "nothing": lambda extractor: None,
    }
    times = {name: [] for name in readers}
    for _ in range(rounds):
        for name, read in readers.items():
            times[name].append(search_seconds(read))
    medians = {name: statistics.median(values) for name, values in times.items()}
    for name in ("bipartite", "candidates"):
        yield {
            "name": f"steps/s with {name} over steps/s without",
            "value": medians["nothing"] / medians[name],
            "unit": "times",
            "bound": 0.5,
            "at_least": True,
        }


def run():
    """Time one node of a set-cover search, and whole searches."""
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
    yield from whole_steps()
