"""Gated accumulation: numbers by hand, a plain reference, identities, bad input."""

import itertools
import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rewardloom.errors import ComponentError, ConfigError
from rewardloom.rewards import (
    GateDesign,
    Level,
    StepBatch,
    episode_batch,
    gate_episodes,
    make_design,
)
from rewardloom.testing import COMPONENTS, ComponentWorld, reference_rewards, reference_ticks
from rewardloom.typing import ComponentNames
from rewardloom.wrappers import GateReward

NAMES = ("outcome", "format", "tool", "edit")
SWE = (
    Level("outcome", priority=2, threshold=-0.5),
    Level("format", priority=1, threshold=0.0, operator=">=", scope="step"),
    Level(("tool", "edit"), name="steps", weight=0.1),
)


def episodes(draw):
    number = st.floats(-2, 2).map(lambda x: round(x, 2))
    row = st.tuples(*[number] * len(NAMES))
    return draw(st.lists(st.lists(row, min_size=0, max_size=8), min_size=1, max_size=6))


@st.composite
def batches(draw):
    return episodes(draw)


@st.composite
def level_lists(draw):
    """Levels of every kind; the lowest has no threshold."""
    cap = st.none() | st.floats(0, 3)
    levels = []
    for i in range(draw(st.integers(1, 4))):
        scope = draw(st.sampled_from(["step", "episode"]))
        how = draw(st.sampled_from(["last", "sum", "mean", "max", "min"]))
        levels.append(
            Level(
                draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=3, unique=True)),
                name=f"l{i}",
                priority=draw(st.integers(1, 3)),
                threshold=draw(st.floats(-2, 2) | st.sampled_from([-math.inf, math.inf])),
                operator=draw(st.sampled_from([">", ">="])),
                scope=scope,
                aggregation="last" if scope == "step" else how,
                weight=draw(st.floats(-2, 2)),
                cap=draw(cap),
                cap_per_kind=draw(cap),
            )
        )
    return [*levels, Level("tool", name="lowest", cap=draw(cap))]


def flat(rows):
    offsets = np.concatenate([[0], np.cumsum([len(r) for r in rows])]).astype(np.int64)
    table = [np.array(r, float).reshape(-1, len(NAMES)) for r in rows]
    return np.concatenate(table), offsets


def passes(level, value):
    threshold = float(level.threshold)
    if math.isinf(threshold):
        return threshold < 0
    near = abs(value - threshold) <= 1e-9 * max(1.0, abs(threshold))
    return (near and level.operator == ">=") or (not near and value > threshold)


def plain_gate(rows, levels):
    """One episode, with dicts and loops: the per-step gated rewards."""
    steps = [dict(zip(NAMES, row, strict=True)) for row in rows]
    values = {lv.name: [sum(step[c] for c in lv.components) for step in steps] for lv in levels}
    fold = {
        "last": lambda v: v[-1],
        "sum": sum,
        "mean": lambda v: sum(v) / len(v),
        "max": max,
        "min": min,
    }
    left = {}
    paid = [0.0] * len(steps)
    for lv in levels:
        above = [other for other in levels if other.priority > lv.priority]
        for t, step in enumerate(steps):
            shut = [o for o in above if o.scope == "step" or math.isinf(float(o.threshold))]
            open_now = all(passes(o, values[o.name][t]) for o in shut)

            def limited(amount, key, cap):
                if cap is None or amount <= 0:
                    return amount
                room = left.setdefault(key, cap)
                left[key] = room - min(amount, room)
                return min(amount, room)

            amounts = [
                limited(lv.weight * step[c] * open_now, (lv.name, c), lv.cap_per_kind)
                for c in lv.components
            ]
            earned = limited(sum(amounts), lv.name, lv.cap)
            for o in above:
                at_end = o.scope == "episode" and not math.isinf(float(o.threshold))
                if at_end and not passes(o, fold[o.aggregation](values[o.name])):
                    earned = 0.0
            paid[t] += earned
    return paid


def test_the_swe_gate_by_hand():
    """Not submitted -1, empty patch -.5, failed tests 0: steps count above the empty patch."""
    steps = [[0, 0, 1, 0], [0, -1, 1, 1], [0, 0, 1, 1]]  # the second one is malformed

    def ending(outcome):
        return [*steps, [outcome, 0, 0, 0]]

    table, offsets = flat([ending(-1), ending(-0.5), ending(0), ending(1)])
    found = gate_episodes(table, offsets, SWE, NAMES)
    totals = np.add.reduceat(found.reward, offsets[:-1])
    # when open: outcome + format (-1) + .1 * (1 + 0 (malformed) + 2)
    assert totals == pytest.approx([-1, -0.5, 0 - 1 + 0.3, 1 - 1 + 0.3])
    assert found.open[:, 0].tolist() == [0, 0, 1, 1]
    assert found.open[:, 1].tolist() == [0.75] * 4
    assert found.raw[:, 2] == pytest.approx([0.5] * 4)
    assert found.counted[:, 2] == pytest.approx([0, 0, 0.3, 0.3])


def test_at_the_threshold_the_operator_decides():
    table, offsets = flat([[[0.0, 0, 1, 0]]])
    for operator, want in ((">", 0.0), (">=", 1.0)):
        levels = [Level("outcome", priority=1, threshold=0, operator=operator), Level("tool")]
        assert gate_episodes(table, offsets, levels, NAMES).reward.tolist() == [want]


def test_rounding_does_not_decide_at_the_threshold():
    table, offsets = flat([[[0.1, 0, 1, 0]] * 3])  # .1 + .1 + .1 > .3 in floating point
    levels = [Level("outcome", priority=1, threshold=0.3, aggregation="sum"), Level("tool")]
    assert gate_episodes(table, offsets, levels, NAMES).reward == pytest.approx([0.1] * 3)


def test_caps_by_hand():
    rows = [[0, 0, 1, 1], [0, 0, -1, 1], [0, 0, 1, 1], [0, 0, 1, 1]]
    table, offsets = flat([rows])

    def paid(**caps):
        return gate_episodes(table, offsets, [Level(("tool", "edit"), **caps)], NAMES).reward

    assert paid().tolist() == [2, 0, 2, 2]
    assert paid(cap=3).tolist() == [2, 0, 1, 0]
    # tool: 1, -1 (makes no room), .5, 0; edit: 1, .5, 0, 0
    assert paid(cap_per_kind=1.5).tolist() == [2, -0.5, 0.5, 0]
    assert paid(cap=0).tolist() == [0, 0, 0, 0]


def test_equal_priorities_leave_each_other_alone_and_gate_what_is_lower():
    levels = [
        Level("outcome", priority=1, threshold=0),
        Level("format", priority=1, threshold=0),
        Level("tool"),
    ]
    table, offsets = flat([[[-1, 1, 5, 0]], [[1, 1, 5, 0]]])
    assert gate_episodes(table, offsets, levels, NAMES).reward.tolist() == [0, 7]


@given(batches(), level_lists())
def test_the_vectorised_function_equals_the_plain_one(rows, levels):
    table, offsets = flat(rows)
    found = gate_episodes(table, offsets, levels, NAMES)
    want = [x for episode in rows for x in plain_gate(episode, levels)]
    np.testing.assert_allclose(found.reward, want, rtol=0, atol=1e-9)
    for e, (start, end) in enumerate(itertools.pairwise(offsets)):
        assert found.counted[e].sum() == pytest.approx(found.reward[start:end].sum(), abs=1e-9)


@given(batches(), level_lists(), st.randoms())
def test_permuting_the_episodes_permutes_the_rewards(rows, levels, random):
    order = list(range(len(rows)))
    random.shuffle(order)
    table, offsets = flat(rows)
    straight = gate_episodes(table, offsets, levels, NAMES).reward
    shuffled = gate_episodes(*flat([rows[i] for i in order]), levels, NAMES).reward
    pieces = [straight[offsets[i] : offsets[i + 1]] for i in order]
    np.testing.assert_allclose(shuffled, np.concatenate(pieces), rtol=0, atol=1e-9)


@given(batches(), st.floats(-2, 2), st.floats(0, 2), st.sampled_from([">", ">="]))
def test_a_higher_threshold_opens_no_more(rows, threshold, more, operator):
    table, offsets = flat(rows)

    def opened(value):
        levels = [Level("outcome", priority=1, threshold=value, operator=operator), Level("tool")]
        return gate_episodes(table, offsets, levels, NAMES).open[:, 0]

    assert (opened(threshold + more) <= opened(threshold)).all()


@given(batches(), st.sampled_from(["step", "episode"]), st.sampled_from(["deferred", "causal"]))
def test_infinite_thresholds_are_direct_accumulation_and_outcome_only(rows, scope, emit):
    table, offsets = flat(rows)
    batch = episode_batch(
        [np.zeros(len(r)) for r in rows], np.split(table, offsets[1:-1]), terminated=True
    )
    for threshold, want in (("-inf", table[:, 0] + table[:, 2]), ("inf", table[:, 0])):
        levels = [
            {"components": "outcome", "priority": 1, "threshold": threshold, "scope": scope},
            {"components": "tool"},
        ]
        design = GateDesign(levels, emit=emit)
        design.bind(NAMES, 1)
        paid = design.relabel(batch)
        for start, end in itertools.pairwise(offsets):
            assert paid[start:end].sum() == pytest.approx(want[start:end].sum(), abs=1e-9)


def ended_batch(rows):
    table, offsets = flat(rows)
    return episode_batch([np.zeros(len(r)) for r in rows], np.split(table, offsets[1:-1])), offsets


@given(batches(), level_lists(), st.sampled_from([1.0, 0.99, 0.9]))
def test_causal_keeps_the_discounted_and_deferred_the_plain_gated_return(rows, levels, gamma):
    batch, offsets = ended_batch(rows)
    paid = {}
    for emit in ("deferred", "causal", "relabel"):
        design = GateDesign(levels, emit=emit, gamma=gamma, max_length=8)
        design.bind(NAMES, 1)
        paid[emit] = design.relabel(batch)
    for start, end in itertools.pairwise(offsets):
        discount = gamma ** np.arange(end - start)
        gated, span = paid["relabel"][start:end], slice(start, end)
        assert discount @ paid["causal"][span] == pytest.approx(discount @ gated, abs=1e-9)
        assert paid["deferred"][span].sum() == pytest.approx(gated.sum(), abs=1e-9)
        assert not paid["deferred"][start : max(start, end - 1)].any()


@settings(max_examples=25, deadline=None)
@given(level_lists(), st.sampled_from([1.0, 0.9]), st.sampled_from(["raw", "settle"]))
@pytest.mark.parametrize("emit", ["deferred", "causal"])
def test_stepping_equals_relabelling(emit, levels, gamma, on_truncation):
    """Worlds that end in every way, through the design's running sums."""
    swap = dict(zip(NAMES, ("outcome", "a", "b", "c"), strict=True))
    levels = [
        {**level.to_config(), "components": [swap[c] for c in level.components]} for level in levels
    ]
    design = GateDesign(levels, emit=emit, gamma=gamma, max_length=7, on_truncation=on_truncation)
    ticks = list(
        reference_ticks(
            lambda: ComponentWorld(failure=0.2), 3, np.zeros((30, 3), int), idle_after_end=True
        )
    )
    stepped = reference_rewards(design, ticks, COMPONENTS, 3)
    batches = [tick.batch for tick in ticks if tick.batch is not None]
    for slot in range(3):
        rows, at = [], []
        for t, batch in enumerate(batches):
            if not batch.active[slot]:
                continue
            rows.append(batch)
            at.append(t)
            if not (batch.terminated[slot] or batch.truncated[slot]):
                continue
            again = design.relabel(
                episode_batch(
                    [[b.reward[slot] for b in rows]],
                    [[b.components[slot] for b in rows]],
                    terminated=batch.terminated[slot],
                    truncated=batch.truncated[slot],
                    failed=batch.failed[slot],
                )
            )
            np.testing.assert_allclose(stepped[at, slot], again, rtol=0, atol=1e-9)
            rows, at = [], []


@pytest.mark.parametrize(
    ("emit", "raw", "settle", "failed"),
    [
        ("deferred", [0, 10], [0, -1], [0, 10]),
        ("causal", [1, 0], [1, -2], [1, 0]),
        ("relabel", [4, 6], [0, -1], [4, 6]),
    ],
)
def test_a_truncated_or_failed_episode_by_hand(emit, raw, settle, failed):
    """Tool pays 1, then 1; the outcome is -1, so that what the tool earned does not count."""
    levels = [Level("outcome", priority=1, threshold=0), Level("tool")]
    rows = [[[0, 0, 1, 0], [-1, 0, 1, 0]]]
    for on_truncation, broken, want in (
        ("raw", False, raw),
        ("settle", False, settle),
        ("settle", True, failed),
    ):
        design = GateDesign(levels, emit=emit, on_truncation=on_truncation)
        design.bind(NAMES, 1)
        batch = episode_batch([[4, 6]], rows, terminated=False, truncated=True, failed=broken)
        assert design.relabel(batch).tolist() == want


def test_an_open_episode_stays_as_it_came():
    levels = [Level("outcome", priority=1, threshold=0), Level("tool")]
    batch = episode_batch([[4, 6]], [[[0, 0, 1, 0], [-1, 0, 1, 0]]], terminated=False)
    for emit, want in (("deferred", [4, 6]), ("relabel", [4, 6]), ("causal", [1, 0])):
        design = GateDesign(levels, emit=emit)
        design.bind(NAMES, 1)
        assert design.relabel(batch).tolist() == want


def test_the_summary_of_an_episode_is_its_sum():
    design = GateDesign(SWE)
    design.bind(NAMES, 1)
    flags = np.zeros(1, bool)
    sums = dict.fromkeys(design.summary(), 0.0)
    for t, row in enumerate([[0, 0, 1, 0], [0, -1, 1, 1], [1, 0, 1, 1]]):
        over = np.array([t == 2])
        design.step(StepBatch(np.ones(1), np.array([row], float), over, flags, ~flags, flags))
        for name, column in design.summary().items():
            sums[name] += column[0]
    assert sums == pytest.approx(
        {
            "outcome_raw": 1,
            "outcome_counted": 1,
            "outcome_open": 1,
            "format_raw": -1,
            "format_counted": -1,
            "format_open": 2 / 3,
            "steps_raw": 0.5,
            "steps_counted": 0.3,
            "steps_open": 1,
            "direct": 0.5,
            "gated": 0.3,
            "settled": 1,
        }
    )


def test_levels_come_from_json_and_go_back():
    text = """[{"components": "outcome", "priority": 2, "threshold": "inf"},
               {"components": ["tool", "edit"], "threshold": null, "cap": null, "weight": 0.5}]"""
    levels = GateDesign(json.loads(text)).levels
    assert levels[0].threshold == math.inf
    assert levels[1].threshold == -math.inf
    assert levels[1].name == "tool_edit"
    again = json.loads(json.dumps([level.to_config() for level in levels], allow_nan=False))
    assert GateDesign(again).levels == levels


TOP = {"components": "outcome", "priority": 1, "threshold": 0.0}
LOW = {"components": "tool"}


@pytest.mark.parametrize(
    ("levels", "message"),
    [
        ([], "at least one Level"),
        ({"outcome": 1}, "must be a list"),
        ([3], "Level 0 is neither"),
        ([{"priority": 1}], "'components' is missing in level 0"),
        ([{"components": []}], "at least one name"),
        ([{"components": ["tool", "tool"]}], "listed twice"),
        ([{"components": "tool", "treshold": 0}], "Did you mean 'threshold'"),
        ([LOW, LOW], "Two levels are called 'tool'"),
        ([{**LOW, "name": "Tool!"}], "matches"),
        ([{**TOP, "priority": 0}, LOW], "can never gate anything"),
        ([TOP], "can never gate anything"),
        ([{**TOP, "priority": 1.5}, LOW], "priority of level 'outcome' must be an integer"),
        ([{**TOP, "threshold": float("nan")}, LOW], "threshold of level 'outcome'"),
        ([{**TOP, "threshold": "high"}, LOW], "threshold of level 'outcome'"),
        ([{**TOP, "operator": "=>"}, LOW], "Unknown operator '=>'.*Known: >, >="),
        ([{**TOP, "scope": "episodes"}, LOW], "Did you mean 'episode'"),
        ([{**TOP, "aggregation": "maximum"}, LOW], "Unknown aggregation 'maximum'"),
        ([{**TOP, "aggregation": "sum", "scope": "step"}, LOW], "no meaning in scope 'step'"),
        ([{**LOW, "weight": float("inf")}], "weight of level 'tool'"),
        ([{**LOW, "cap": -1}], "cap of level 'tool'"),
        ([{**LOW, "cap": float("nan")}], "cap of level 'tool'"),
        ([{**LOW, "cap_per_kind": True}], "cap_per_kind of level 'tool'"),
    ],
)
def test_bad_levels_are_refused(levels, message):
    with pytest.raises(ConfigError, match=message):
        make_design("gate", levels=levels)


def test_a_missing_outcome_is_named_with_its_nearest():
    design = GateDesign([{**TOP, "components": "outcom"}, LOW])
    with pytest.raises(ConfigError, match=r"'outcom' in level 'outcom'.*mean 'outcome'"):
        design.bind(NAMES, 1)


def test_a_clawback_that_can_explode_is_refused_with_both_ways_out():
    levels = [TOP, LOW]
    with pytest.raises(ConfigError, match=r"needs max_length=.*at most 66 "):
        GateDesign(levels, emit="causal", gamma=0.9)
    with pytest.raises(ConfigError, match=r"at most 66 steps.*at least 0\.9726"):
        GateDesign(levels, emit="causal", gamma=0.9, max_length=250)
    assert GateDesign(levels, emit="causal", gamma=0.9, max_length=66)
    assert GateDesign(levels, emit="causal", gamma=0.9727, max_length=250)
    assert GateDesign(levels, emit="deferred", gamma=0.9)
    assert GateDesign([{**TOP, "scope": "step"}, LOW], emit="causal", gamma=0.9)  # no refund


def test_an_episode_longer_than_max_length_is_an_error():
    design = GateDesign([TOP, LOW], emit="causal", gamma=0.9, max_length=2)
    design.bind(NAMES, 1)
    with pytest.raises(ConfigError, match="3 steps, more than max_length=2"):
        design.relabel(episode_batch([[0, 0, 0]], [[[0, 0, 0, 0]] * 3]))


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"emit": "defered"}, "Did you mean 'deferred'"),
        ({"gamma": 0}, "gamma must be in"),
        ({"gamma": "1"}, "gamma must be a number"),
        ({"max_length": 0}, "max_length must be"),
        ({"on_truncation": "settled"}, "Did you mean 'settle'"),
    ],
)
def test_bad_arguments_are_refused(kwargs, message):
    with pytest.raises(ConfigError, match=message):
        GateDesign([TOP, LOW], **kwargs)


def test_arrays_that_do_not_fit_are_refused():
    with pytest.raises(ConfigError, match=r"shape \(T, 4\)"):
        gate_episodes(np.zeros((2, 3)), np.array([0, 2]), SWE, NAMES)
    with pytest.raises(ConfigError, match="end at T = 2"):
        gate_episodes(np.zeros((2, 4)), np.array([0, 1]), SWE, NAMES)
    table = np.zeros((2, 4))
    table[1, 2] = np.nan
    with pytest.raises(ComponentError, match="'tool' is nan in row 1"):
        gate_episodes(table, np.array([0, 2]), SWE, NAMES)


@pytest.mark.parametrize("aggregation", ["last", "max", "min", "mean"])
@pytest.mark.parametrize("outcome", [-1.0, 1.0])
def test_terminal_components_are_read_at_their_last_step_only(aggregation, outcome):
    """The zeros before it would open a gate at -0.5 under max, and close one at 0.5 under min."""
    levels = [
        Level("outcome", priority=1, threshold=-0.5, aggregation=aggregation),
        Level("a", name="steps"),
    ]
    names = ComponentNames(("a", "outcome"), terminal=("outcome",))
    table = np.array([[1.0, 0.0], [1.0, 0.0], [1.0, outcome]])
    found = gate_episodes(table, np.array([0, 3]), levels, names)
    opened = outcome > 0
    np.testing.assert_array_equal(found.reward, [opened, opened, opened + outcome])
    design = GateDesign(levels)
    design.bind(names, 1)
    episodes = episode_batch([[0.0] * 3], [table])
    assert design.relabel(episodes)[-1] == 3 * opened + outcome


def test_a_plug_says_which_components_are_terminal_and_mixed_levels_are_refused():
    levels = [
        Level(["a", "outcome"], name="mixed", priority=1, threshold=0.0, aggregation="max"),
        Level("b"),
    ]
    with pytest.raises(ConfigError, match="'mixed' takes the max of \\['outcome'\\]"):
        GateReward(ComponentWorld(), levels)
