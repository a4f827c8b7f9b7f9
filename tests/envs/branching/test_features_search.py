"""Along a search with cuts, features stay those of a fresh reading and of SCIP's own functions."""

import numpy as np
import pytest
from branching_probe import set_cover, solve
from pyscipopt import SCIP_PARAMSETTING, Model

from rewardloom.envs.branching.features import (
    CANDIDATE_FEATURES,
    COLUMN_FEATURES,
    ROW_FEATURES,
    Extractor,
)

NODES = 25


def cutting_model():
    """Return a model that separates at every node, so that rows come and go."""
    model = set_cover()
    model.setHeuristics(SCIP_PARAMSETTING.OFF)
    model.setParam("separating/maxrounds", 2)
    model.setParam("separating/poolfreq", 1)
    for name in ("gomory", "aggregation", "zerohalf"):
        model.setParam(f"separating/{name}/freq", 1)
    return model


def along(model, look):
    """Return `look(model, extractor)` of one extractor at the first nodes."""
    extractor, seen = Extractor(model), []

    def visit(current):
        seen.append(look(current, extractor))
        return len(seen) == NODES

    solve(model, visit)
    return seen


def test_one_extractor_sees_what_a_fresh_one_sees_while_rows_change():
    def look(model, extractor):
        fresh, used = Extractor(model), extractor.bipartite()
        for part, expected in fresh.bipartite().items():
            np.testing.assert_array_equal(used[part], expected, err_msg=part)
        np.testing.assert_array_equal(extractor.candidates(), fresh.candidates())
        return tuple(row.name for row in model.getLPRowsData()), model.getNSolsFound()

    rows, solutions = zip(*along(cutting_model(), look), strict=True)
    assert len(set(rows)) > 2
    assert len(set(solutions)) > 1


def test_columns_that_enter_the_lp_later_are_seen(tmp_path):
    path = str(tmp_path / "cover.cip")
    set_cover().writeProblem(path, verbose=False)
    model = Model()
    model.hideOutput()
    model.setParam("reading/dynamiccols", True)
    model.readProblem(path)
    model.setParam("presolving/maxrestarts", 0)
    model.setHeuristics(SCIP_PARAMSETTING.OFF)

    def look(model, extractor):
        fresh, used = Extractor(model).bipartite(), extractor.bipartite()
        for part, expected in fresh.items():
            np.testing.assert_array_equal(used[part], expected, err_msg=part)
        _, _, edges = built_in(model)
        assert used["edges"][1].max() < len(used["columns"]) == model.getNLPCols()
        assert len(np.unique(used["edges"], axis=1).T) == len(used["edge_values"])
        assert set(used["edges"][1]) == set(edges["col_idx"])
        return model.getNLPCols()

    counts = along(model, look)
    assert len(set(counts)) > 1
    assert max(counts) < model.getNVars()


def built_in(model):
    """Return SCIP's own graph as arrays: columns, rows and edges by name."""
    columns, edges, rows, names = model.getBipartiteGraphRepresentation()
    return (
        {name: np.array([row[i] for row in columns]) for name, i in names["col"].items()},
        {name: np.array([row[i] for row in rows]) for name, i in names["row"].items()},
        {name: np.array([row[i] for row in edges]) for name, i in names["edge"].items()},
    )


SAME = {
    "lp_value": "sol_val",
    "fractionality": "sol_frac",
    "at_lower": "sol_at_lb",
    "at_upper": "sol_at_ub",
    "has_lower": "has_lb",
    "has_upper": "has_ub",
    "is_binary": "binary",
    "basis_lower": "basis_lower",
    "basis_basic": "basis_basic",
    "basis_upper": "basis_upper",
    "basis_zero": "basis_zero",
}


def test_columns_agree_with_scips_own_graph():
    def look(model, extractor):
        theirs, _, _ = built_in(model)
        ours = dict(zip(COLUMN_FEATURES, extractor.bipartite()["columns"].T, strict=True))
        norm = np.linalg.norm([variable.getObj() for variable in model.getVars(True)])
        for name, other in SAME.items():
            np.testing.assert_allclose(ours[name], theirs[other], atol=1e-6, err_msg=name)
        np.testing.assert_allclose(ours["objective"] * norm, theirs["obj_coef"], rtol=1e-5)
        np.testing.assert_allclose(ours["reduced_cost"] * norm, theirs["red_cost"], atol=1e-4)
        np.testing.assert_allclose(ours["age"] * (model.getNLPs() + 5), theirs["age"], atol=1e-4)
        known = model.getBestSol() is not None
        assert (ours["has_incumbent"] == known).all()
        if known:
            values = theirs["best_incumbent_val"].astype(float)
            means = theirs["avg_incumbent_val"].astype(float)
            np.testing.assert_allclose(ours["incumbent_value"], values, atol=1e-6)
            np.testing.assert_allclose(ours["mean_incumbent_value"], means, atol=1e-6)
        return known

    assert any(along(cutting_model(), look))


def test_rows_and_edges_agree_with_scips_own_graph():
    def look(model, extractor):
        _, theirs, edges = built_in(model)
        graph = extractor.bipartite()
        ours = dict(zip(ROW_FEATURES, graph["rows"].T, strict=True))
        base, side = np.nonzero(np.stack([theirs["has_lhs"], theirs["has_rhs"]], axis=1))
        sign = 2 * side - 1
        assert len(base) == len(graph["rows"])
        tight = np.where(side == 0, theirs["sol_at_lhs"][base], theirs["sol_at_rhs"][base])
        np.testing.assert_array_equal(ours["is_tight"], tight)
        # SCIP reports the cosine without its sign
        np.testing.assert_allclose(
            np.abs(ours["objective_cosine"]), theirs["obj_cosine"][base], atol=1e-6
        )
        norm = np.linalg.norm([variable.getObj() for variable in model.getVars(True)])
        scale = theirs["norm"][base]
        dual = sign * theirs["dual_sol"][base] / scale / norm
        np.testing.assert_allclose(ours["dual_value"], dual, atol=1e-6)
        np.testing.assert_allclose(
            ours["age"] * (model.getNLPs() + 5), theirs["age"][base], atol=1e-3
        )
        shape = (len(base), len(graph["columns"]))
        matrix = np.zeros((len(theirs["norm"]), shape[1]))
        matrix[edges["row_idx"].astype(int), edges["col_idx"].astype(int)] = edges["coef"]
        mine = np.zeros(shape)
        mine[tuple(graph["edges"])] = graph["edge_values"]
        expected = matrix[base] * sign[:, None] / scale[:, None]
        np.testing.assert_allclose(mine, expected, atol=1e-6)
        assert (mine != 0).sum() == len(graph["edge_values"])
        return set(side)

    assert along(cutting_model(), look)


def test_biases_bound_the_activities_of_the_lp_solution():
    def look(model, extractor):
        graph = extractor.bipartite()
        value = graph["columns"][:, COLUMN_FEATURES.index("lp_value")].astype(float)
        row, column = graph["edges"]
        activity = np.bincount(row, graph["edge_values"] * value[column], len(graph["rows"]))
        bias, tight = graph["rows"][:, 0], graph["rows"][:, 2] == 1
        assert (activity <= bias + 1e-4).all()
        np.testing.assert_allclose(activity[tight], bias[tight], atol=1e-4)
        return tight.any()

    assert any(along(cutting_model(), look))


def test_gain_scores_rank_candidates_as_scips_pseudocost_scores():
    def look(model, extractor):
        variables, values, *_ = model.getLPBranchCands()
        pairs = zip(variables, values, strict=True)
        theirs = np.array([model.getVarPseudocostScore(*pair) for pair in pairs])
        norm = np.linalg.norm([variable.getObj() for variable in model.getVars(True)])
        score = extractor.candidates()[:, CANDIDATE_FEATURES.index("gain_score")]
        np.testing.assert_allclose(score, np.sqrt(theirs) / norm, rtol=1e-4)
        return len(set(theirs))

    assert max(along(cutting_model(), look)) > 1


@pytest.mark.parametrize("part", ["candidates", "bipartite"])
def test_looking_changes_nothing_in_the_search(part):
    def ignore(model, extractor):
        return model.getLPObjVal()

    def look(model, extractor):
        getattr(extractor, part)()
        return model.getLPObjVal()

    assert along(cutting_model(), look) == along(cutting_model(), ignore)
