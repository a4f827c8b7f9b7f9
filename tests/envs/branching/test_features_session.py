"""Within a session and for every family, features belong to the decision's candidates."""

import numpy as np
import pytest

from rewardloom.envs.branching.features import CANDIDATE_FEATURES, COLUMN_FEATURES, Extractor
from rewardloom.envs.branching.instances import FAMILIES, generate
from rewardloom.envs.branching.session import BranchingSession
from rewardloom.envs.branching.settings import SearchSettings

DECISIONS = 6


def smallest(family):
    return next(iter(FAMILIES[family].sizes))


@pytest.mark.parametrize("preset", ["gasse", "pure"])
@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_rows_of_features_are_the_decisions_candidates(family, preset):
    seen = 0
    for seed in range(2):
        program = generate(family, np.random.default_rng(seed), size=smallest(family))
        model = program.to_model()
        extractor = Extractor(model)

        def observe(_, extractor=extractor):
            return extractor.candidates(), extractor.graph()

        settings = SearchSettings(preset=preset, decision_limit=DECISIONS)
        with BranchingSession(model, settings, observe=observe) as session:
            decision = session.start()
            while decision is not None:
                seen += 1
                check(decision)
                decision = session.branch(0)
    assert seen > 0


def check(decision):
    candidates, graph = decision.observation
    assert candidates.shape == (len(decision), len(CANDIDATE_FEATURES))
    value, fraction = (COLUMN_FEATURES.index(name) for name in ("lp_value", "fractionality"))
    np.testing.assert_allclose(candidates[:, value], decision.values, rtol=1e-5)
    np.testing.assert_allclose(candidates[:, fraction], decision.fractions, atol=1e-5)
    columns = graph["columns"][decision.candidates]
    np.testing.assert_array_equal(candidates[:, : len(COLUMN_FEATURES)], columns)
    np.testing.assert_array_equal(candidates, graph["candidates"])
    for part in (candidates, *graph.values()):
        assert np.isfinite(part).all()
