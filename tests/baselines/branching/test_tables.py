"""What the table of a comparison shows and says."""

import dataclasses
from io import StringIO

import pytest
from rich.console import Console

from rewardloom.baselines.branching.results import Trial
from rewardloom.baselines.branching.statistics import summarize
from rewardloom.baselines.branching.tables import notes, results_table, summary_json

SOLVED = Trial(
    policy="random",
    agent="random",
    test_set="set",
    instance="a",
    instance_seed=0,
    solver_seed=0,
    status="optimal",
    solved=True,
    nodes=50,
    lp_iterations=100,
    solver_seconds=1.0,
    policy_seconds=0.0,
    decisions=20,
    defaults=0,
    unasked=0,
    primal_bound=1.0,
    dual_bound=1.0,
    gap=0.0,
)
GAVE_UP = dataclasses.replace(
    SOLVED, policy="slow", agent="slow", nodes=2, solved=False, status="timelimit"
)


def bold_rows(summaries):
    table = results_table(summaries, title="t", reference="random")
    return [s.policy for s, row in zip(summaries, table.rows, strict=True) if row.style == "bold"]


def shown(summaries):
    text = StringIO()
    Console(file=text, width=80).print(results_table(summaries, title="t", reference="random"))
    return text.getvalue()


def test_a_mean_of_searches_that_gave_up_is_not_bold():
    trials = [SOLVED, GAVE_UP]
    assert bold_rows(summarize(trials, time_limit=60.0)) == ["random"]
    assert bold_rows(summarize(trials, node_limit=9)) == ["slow"]  # it counts with 9 nodes
    assert bold_rows(summarize([dataclasses.replace(SOLVED, solved=False)])) == []


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        ({"node_limit": 90}, "count at the limit in nodes and where they stopped in LP iterations, "
         "seconds."),
        ({"time_limit": 60.0}, "count at the limit in seconds and where they stopped in nodes, "
         "LP iterations: giving up"),
        ({}, "which count where they stopped in nodes, LP iterations, seconds: giving up"),
    ],
)  # fmt: skip
def test_the_notes_say_how_unsolved_searches_count(limits, words):
    trials = [SOLVED, GAVE_UP]
    assert words in " ".join(notes(summarize(trials, **limits), trials))
    assert "unsolved" not in " ".join(notes(summarize([SOLVED]), [SOLVED]))


def test_what_was_left_to_scip_stands_in_table_notes_and_json():
    lazy = dataclasses.replace(SOLVED, policy="lazy", agent="lazy", defaults=5)
    trials = [lazy, SOLVED]
    summaries = summarize(trials)
    assert "25 % SCIP's" in shown(summaries)
    assert "left to SCIP's own rule" in " ".join(notes(summaries, trials))
    assert [row["share_left"] for row in summary_json(summaries)] == [0.25, 0]
    plain = summarize([SOLVED])
    assert "SCIP's" not in shown(plain) + " ".join(notes(plain, [SOLVED]))


def test_a_table_with_intervals_and_agents_fits_80_columns():
    rows = [
        dataclasses.replace(
            SOLVED,
            policy=policy,
            agent=policy,
            instance=str(i),
            nodes=count,
            policy_seconds=seconds,
        )
        for policy, seconds, counts in (
            ("random", 0.0, (58, 1535)),
            ("learned", 6.5e-5, (3, 96)),
        )
        for i, count in enumerate(counts)
    ]
    lines = shown(summarize(rows)).splitlines()
    assert any(line.rstrip().endswith("solved") for line in lines)
    assert sum(line.rstrip().endswith("100 %") for line in lines) == 2


def test_unknown_intervals_and_searches_that_stopped_are_in_json():
    row = summary_json(summarize([SOLVED, GAVE_UP]))[1]
    assert (row["nodes"]["interval"], row["nodes"]["stopped"]) == ([None, None], 1)
