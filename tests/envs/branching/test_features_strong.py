"""Strong-branching scores: worked by hand, and those by which SCIP's own rule chooses."""

import numpy as np
import pytest
from branching_probe import plain_model, solve

from rewardloom.envs.branching.features import strong_branching_scores
from rewardloom.envs.branching.instances import generate
from rewardloom.envs.branching.session import BranchingSession
from rewardloom.envs.branching.settings import SearchSettings

RULE = {
    "branching/vanillafullstrong/priority": 536870910,
    "branching/vanillafullstrong/idempotent": True,
}


def test_a_score_is_the_product_of_both_gains():
    # max 5x + 4y: 21 at (3, 1.5); y <= 1 gives 20 2/3, y >= 2 gives 18
    model = plain_model()
    x, y = model.addVar("x", "I", 0, 10), model.addVar("y", "I", 0, 10)
    model.addCons(6 * x + 4 * y <= 24)
    model.addCons(x + 2 * y <= 6)
    model.setObjective(5 * x + 4 * y, "maximize")
    scores = []

    def visit(current):
        scores.append(strong_branching_scores(current, current.getLPBranchCands()[0]))
        return True

    solve(model, visit)
    np.testing.assert_allclose(scores, [[1 / 3 * 3]])


def observe(model):
    variables, *_, priority, _ = model.getLPBranchCands()
    return strong_branching_scores(model, variables[:priority])


def decisions(seed, choose, *, look=None, parameters=None):
    """Return how many decisions a search took, and how many nodes."""
    model = generate("set_cover", np.random.default_rng(seed), size="tiny").to_model()
    settings = SearchSettings(preset="pure", parameters=parameters or {})
    with BranchingSession(model, settings, observe=look) as session:
        decision, count = session.start(), 0
        while decision is not None:
            decision, count = choose(session, decision), count + 1
        return count, session.result.nodes


@pytest.mark.parametrize("seed", [0, 1])
def test_the_best_score_makes_the_tree_of_scips_own_rule(seed):
    best = decisions(
        seed,
        lambda session, at: session.branch(int(np.argmax(at.observation))),
        look=observe,
    )
    assert best[0] > 5
    assert best == decisions(seed, lambda session, at: session.default(), parameters=RULE)
    assert best != decisions(seed, lambda session, at: session.branch(0))


class Unsolved:
    """A model that cannot solve the first candidate's LPs."""

    def getLPObjVal(self):
        return 1.0

    def getVarStrongbranch(self, variable, iterations, *, idempotent):
        return (3.0, 5.0, *[False] * 6, variable == "first")

    def getBranchScoreMultiple(self, variable, gains):
        return gains[0] * gains[1]

    def startStrongbranch(self):
        self.started = True

    def endStrongbranch(self):
        self.started = False


def test_a_candidate_whose_lps_fail_scores_nothing():
    model = Unsolved()
    assert strong_branching_scores(model, ["first", "second"]).tolist() == [0.0, 8.0]
    assert not model.started
