"""What all novelty designs share, and RND: numbers by hand, schedules, states, bad input."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rewardloom.errors import ConfigError
from rewardloom.rewards import (
    E3BDesign,
    ICMDesign,
    NGUDesign,
    NoveltyLearning,
    RNDDesign,
    StepBatch,
    episode_batch,
    make_design,
)
from rewardloom.rewards.novelty.running import FadingMoments, RunningMoments

DESIGNS = {"rnd": RNDDesign, "icm": ICMDesign, "ngu": NGUDesign, "e3b": E3BDesign}
SMALL = {"hidden": [8], "features": 4, "train_every": 16, "batch_size": 8, "warmup_steps": 0}

every_design = pytest.mark.parametrize("name", DESIGNS)


def tick(next_obs, obs=None, action=None, *, reward=None, active=None, ended=None):
    next_obs = np.asarray(next_obs, np.float32)
    n = len(next_obs)
    return StepBatch(
        np.zeros(n) if reward is None else np.asarray(reward, float),
        np.zeros((n, 0)),
        np.zeros(n, bool) if ended is None else np.asarray(ended),
        np.zeros(n, bool),
        np.ones(n, bool) if active is None else np.asarray(active),
        np.zeros(n, bool),
        obs=np.zeros_like(next_obs) if obs is None else np.asarray(obs, np.float32),
        action=np.eye(2, dtype=np.float32)[np.zeros(n, int) if action is None else action],
        next_obs=next_obs,
    )


def walk(ticks, slots, seed=0, ends=0.0):
    """Return ticks of slots whose states jump at random."""
    rng = np.random.default_rng(seed)
    states = rng.normal(size=(ticks + 1, slots, 3))
    return [
        tick(
            states[t + 1],
            states[t],
            rng.integers(0, 2, slots),
            reward=rng.normal(size=slots),
            ended=rng.random(slots) < ends,
        )
        for t in range(ticks)
    ]


def bound(name, slots, *, learning=SMALL, **kwargs):
    design = DESIGNS[name](learning=learning, **kwargs)
    design.bind((), slots)
    design.begin(np.ones(slots, bool))
    return design


def drive(design, ticks):
    """Return what is paid and what was shown, (T, N) each."""
    paid, shown = [], []
    for batch in ticks:
        paid.append(design.step(batch))
        shown.append(design.summary())
    return np.array(paid), {key: np.array([s[key] for s in shown]) for key in shown[0]}


def same(one, other):
    """Return whether two states are equal to the bit."""
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[k], other[k]) for k in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, np.ndarray | torch.Tensor):
        return bool((one == other).all())
    return one == other


# --- statistics


@given(st.lists(st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=5), min_size=1, max_size=8))
def test_running_moments_are_those_of_all_rows(batches):
    moments = RunningMoments()
    for batch in batches:
        moments.update(np.array([[value, 2.0 * value] for value in batch]))
    values = np.concatenate(batches)
    assert moments.mean == pytest.approx([values.mean(), 2 * values.mean()], abs=1e-6)
    spread = values.std()
    if spread > 1e-3:
        assert moments.deviation == pytest.approx([spread, 2 * spread], rel=1e-6)


def test_running_moments_of_equal_rows_divide_by_1():
    moments = RunningMoments()
    assert moments.deviation == 1.0
    moments.update(np.full((3, 2), 7.0))
    assert moments.deviation.tolist() == [1.0, 1.0]


def test_fading_moments_by_hand():
    moments = FadingMoments(0.5)
    assert (moments.mean, moments.deviation) == (0.0, 1.0)
    moments.update(np.array([4.0]))
    assert (moments.mean, moments.deviation) == (4.0, 1.0)
    moments.update(np.array([1.0, 3.0]))  # 4 weighs 1/8, the others 3/8 each
    mean = (4.0 * 0.125 + (1.0 + 3.0) * 0.375) / 0.875
    square = (16.0 * 0.125 + (1.0 + 9.0) * 0.375) / 0.875
    assert moments.mean == pytest.approx(mean)
    assert moments.deviation == pytest.approx((square - mean**2) ** 0.5)


@given(st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=30))
def test_moments_that_hardly_fade_are_those_of_all_numbers(numbers):
    moments = FadingMoments(1.0 - 1e-9)
    for number in numbers:
        moments.update(np.array([number]))
    assert moments.mean == pytest.approx(np.mean(numbers), abs=1e-3)
    if np.std(numbers) > 1e-1:
        assert moments.deviation == pytest.approx(np.std(numbers), rel=1e-3)


# --- the scale of bonuses


class Scripted(RNDDesign):
    """Finds states as new as it is told."""

    script: list[list[float]]

    def _novelty(self, rows, slots):
        return {"raw": np.array(self.script.pop(0))[slots]}


def test_the_bonus_is_divided_by_the_deviation_of_discounted_sums_over_time():
    """Sums of two slots, discount 1/2, an episode's end that they go through, an idle slot."""
    design = Scripted(2.0, discount=0.5, learning=SMALL)
    design.script = [[1.0, 3.0], [2.0, 0.0], [4.0, 4.0], [1.0, 1.0]]
    design.bind((), 2)
    rows = np.array([[0.0], [1.0]])
    paid = design.step(tick(rows, ended=[True, False]))
    assert paid == pytest.approx([2.0, 6.0])  # sums 1, 3: deviation 1
    paid = design.step(tick(rows))  # sums 1/2 + 2, 3/2
    assert paid == pytest.approx(2.0 * np.array([2.0, 0.0]) / np.std([1, 3, 2.5, 1.5]))
    paid = design.step(tick(rows, active=[False, True]))  # sum 3/4 + 4 of the second slot alone
    assert paid == pytest.approx([0.0, 8.0 / np.std([1, 3, 2.5, 1.5, 4.75])])
    paid = design.step(tick(rows))  # sums 5/4 + 1, 19/8 + 1
    assert paid[0] == pytest.approx(2.0 / np.std([1, 3, 2.5, 1.5, 4.75, 2.25, 3.375]))


@every_design
def test_the_scale_follows_from_what_is_shown(name):
    design = bound(name, 3, intrinsic_coef=0.7)
    ticks = walk(40, 3)
    _, shown = drive(design, ticks)
    sums, seen = np.zeros(3), []
    for raw, bonus in zip(shown["raw"], shown["bonus"], strict=True):
        sums = 0.99 * sums + raw
        seen.append(sums)
        assert bonus == pytest.approx(0.7 * raw / np.std(seen), rel=1e-9)
    across = np.std([raw.sum() for raw in shown["raw"]])  # summed over slots: another scale
    assert shown["bonus"][-1] != pytest.approx(0.7 * shown["raw"][-1] / across, rel=0.05)


@pytest.mark.parametrize("name", ["icm", "ngu", "e3b"])
def test_an_unscaled_bonus_is_the_raw_one(name):
    _, shown = drive(bound(name, 2, normalize=False, intrinsic_coef=0.5), walk(5, 2))
    assert (shown["raw"] > 0).all()
    assert shown["bonus"] == pytest.approx(0.5 * shown["raw"])


# --- RND


def perceptron(state, name, rows):
    """Run a perceptron of ReLU layers from a network's state."""
    layers = sorted({int(key.split(".")[1]) for key in state if key.startswith(f"{name}.")})
    for layer in layers:
        weight = state[f"{name}.{layer}.weight"].numpy().astype(np.float64)
        bias = state[f"{name}.{layer}.bias"].numpy().astype(np.float64)
        rows = rows @ weight.T + bias
        rows = rows if layer == layers[-1] else np.maximum(rows, 0)
    return rows


def test_the_error_of_rnd_by_hand():
    """Standardized with all observations so far, clipped at 5, squared and summed."""
    design = bound("rnd", 2, learning={**SMALL, "train_every": 10_000})
    seen = np.random.default_rng(0).normal(3.0, 2.0, (51, 2, 3))
    seen[50, 0, 0] = 1e3  # an outlier
    drive(design, [tick(rows) for rows in seen])
    rows = seen.astype(np.float32).astype(np.float64)
    standard = (rows[50] - rows.reshape(-1, 3).mean(0)) / rows.reshape(-1, 3).std(0)
    assert standard.max() > 5
    state = design.state_dict()["learner"]["network"]
    clipped = np.clip(standard, -5, 5)
    gap = perceptron(state, "predictor", clipped) - perceptron(state, "target", clipped)
    assert design.summary()["raw"] == pytest.approx((gap**2).sum(1), rel=1e-4)


def test_rnd_finds_what_it_has_seen_less_new_and_what_it_has_not_more():
    design = bound("rnd", 8, learning={"warmup_steps": 200, "train_every": 64, "batch_size": 32})
    rng = np.random.default_rng(1)
    here = [tick(rng.normal([2, 0, 0], 1.0, (8, 3))) for _ in range(600)]
    _, shown = drive(design, here)
    first, last = shown["raw"][25:50].mean(), shown["raw"][-25:].mean()
    assert last < 0.2 * first
    assert shown["bonus"][-25:].mean() < 0.2 * shown["bonus"][25:50].mean()
    design.update_model = False
    _, there = drive(design, [tick(rng.normal([-2, 0, 0], 1.0, (8, 3))) for _ in range(25)])
    assert there["raw"].mean() > 2 * last
    assert there["bonus"].mean() > 2 * shown["bonus"][-25:].mean()


def test_only_the_predictor_of_rnd_is_trained():
    design = bound("rnd", 4)
    ticks = walk(20, 4)
    drive(design, ticks[:1])
    before = design.state_dict()["learner"]["network"]
    drive(design, ticks[1:])
    after = design.state_dict()["learner"]["network"]
    assert design.refits > 0
    for key in before:
        assert torch.equal(before[key], after[key]) == key.startswith("target"), key


# --- schedule


@every_design
def test_the_warm_up_gathers_statistics_and_pays_and_trains_nothing(name):
    design = bound(name, 4, learning={**SMALL, "warmup_steps": 40})
    ticks = walk(12, 4)
    _, shown = drive(design, ticks)
    assert (shown["raw"] > 0).all()
    assert (shown["bonus"][:10] == 0).all()  # 40 steps
    assert (shown["bonus"][10:] > 0).all()
    assert design.refits == 0
    assert design.diagnostics() == {}
    drive(design, walk(2, 4, seed=1))
    assert design.refits == 1  # 16 steps after it
    assert set(design.diagnostics()) == {"loss", "scale", "steps"}
    moments = design.state_dict()["learner"]["moments"]
    assert moments["count"] == 56


def test_trainings_take_every_step_once_in_minibatches(monkeypatch):
    from rewardloom.rewards.novelty.networks import Distillation

    sizes, rows = [], []
    loss = Distillation.loss

    def counted(self, parts):
        sizes.append(len(parts["next_obs"]))
        rows.append(parts["next_obs"].numpy().copy())
        return loss(self, parts)

    monkeypatch.setattr(Distillation, "loss", counted)
    design = bound("rnd", 5, learning={**SMALL, "train_every": 20, "epochs": 2, "batch_size": 8})
    drive(design, walk(4, 5))
    assert sizes == [8, 8, 4] * 2
    assert len(np.unique(np.concatenate(rows[:3]), axis=0)) == 20
    assert np.unique(np.concatenate(rows[3:]), axis=0) == pytest.approx(
        np.unique(np.concatenate(rows[:3]), axis=0)
    )
    drive(design, walk(3, 5, seed=1))
    assert len(sizes) == 6
    assert sum(len(r["next_obs"]) for r in design.state_dict()["learner"]["waiting"]) == 15


@every_design
def test_one_network_call_serves_all_slots(name, monkeypatch):
    design = bound(name, 16)
    calls = []
    ask = design._learner.ask
    monkeypatch.setattr(design._learner, "ask", lambda rows: calls.append(1) or ask(rows))
    drive(design, walk(3, 16))
    assert len(calls) == 3


@every_design
def test_a_frozen_design_learns_nothing(name):
    design = bound(name, 4)
    drive(design, walk(20, 4))
    before = design.state_dict()
    design.update_model = False
    _, shown = drive(design, walk(20, 4, seed=1))
    assert (shown["bonus"] > 0).all()
    assert same(design.state_dict(), before)


# --- slots


@every_design
def test_slots_together_are_paid_what_each_alone_is(name):
    design = bound(name, 4)
    drive(design, walk(30, 4))
    design.update_model = False
    ticks = walk(25, 4, seed=1, ends=0.1)
    design.bind((), 4)
    together, _ = drive(design, ticks)
    for slot in range(4):
        alone = bound(name, 1)
        alone.load_state_dict(design.state_dict())
        alone.update_model = False
        mine = [
            batch._replace(
                **{f: getattr(batch, f)[slot : slot + 1] for f in batch._fields if f != "extra"}
            )
            for batch in ticks
        ]
        paid, _ = drive(alone, mine)
        assert paid[:, 0] == pytest.approx(together[:, slot], rel=1e-4, abs=1e-6)


@every_design
def test_an_idle_slot_leaves_no_trace(name):
    """Even if its observation is not a number, as a dead agent's may be."""
    plain, beside = bound(name, 2), bound(name, 3)
    ticks = walk(30, 2, ends=0.1)

    def with_idle(batch):
        fields = {
            f: np.concatenate([getattr(batch, f), getattr(batch, f)[:1]])
            for f in batch._fields
            if f != "extra"
        }
        fields["active"][2] = False
        fields["next_obs"][2] = np.nan
        return batch._replace(**fields)

    alone, _ = drive(plain, ticks)
    paid, shown = drive(beside, [with_idle(batch) for batch in ticks])
    assert (paid[:, :2] == alone).all()
    assert (paid[:, 2] == 0).all()
    assert all((column[:, 2] == 0).all() for column in shown.values())
    assert same(plain.state_dict(), beside.state_dict())


def test_a_tick_without_active_slots_is_paid_nothing():
    design = bound("ngu", 2)
    paid = design.step(tick(np.zeros((2, 3)), reward=[5, 5], active=[False, False]))
    assert paid.tolist() == [0.0, 0.0]
    assert "network" not in design.state_dict()["learner"]


@every_design
def test_the_order_of_slots_changes_nothing_even_by_rounding(name):
    ticks = walk(40, 5, ends=0.1)
    order = np.array([3, 1, 4, 0, 2])
    straight, shuffled = bound(name, 5), bound(name, 5)
    paid, _ = drive(straight, ticks)
    moved = [
        batch._replace(**{f: getattr(batch, f)[order] for f in batch._fields if f != "extra"})
        for batch in ticks
    ]
    again, _ = drive(shuffled, moved)
    assert again == pytest.approx(paid[:, order], rel=1e-12)
    network, other = (d.state_dict()["learner"]["network"] for d in (straight, shuffled))
    assert same(network, other)


# --- coefficients


@every_design
def test_coefficients_weigh_the_reward_and_the_bonus(name):
    ticks = walk(20, 2)
    raw = np.array([batch.reward for batch in ticks])
    only_bonus, shown = drive(bound(name, 2, extrinsic_coef=0.0), ticks)
    assert (only_bonus == shown["bonus"]).all()
    assert (only_bonus > 0).all()
    mixed, _ = drive(bound(name, 2, extrinsic_coef=3.0), ticks)
    assert mixed == pytest.approx(3.0 * raw + only_bonus)
    only_reward, _ = drive(bound(name, 2, intrinsic_coef=0.0), ticks)
    assert only_reward == pytest.approx(raw)
    doubled, _ = drive(bound(name, 2, extrinsic_coef=0.0, intrinsic_coef=2.0), ticks)
    assert doubled == pytest.approx(2.0 * only_bonus)


# --- states


@every_design
def test_a_restored_design_goes_on_to_the_bit(name):
    trained = bound(name, 3)
    drive(trained, walk(21, 3))  # between two trainings
    assert trained.refits
    other = bound(name, 3, learning={**SMALL, "seed": 9})
    other.load_state_dict(trained.state_dict())
    assert same(other.state_dict(), trained.state_dict())
    trained.bind((), 3)
    other.bind((), 3)
    paid, _ = drive(trained, walk(30, 3, seed=1))
    again, _ = drive(other, walk(30, 3, seed=1))
    assert (paid == again).all()
    assert same(other.state_dict(), trained.state_dict())


@every_design
@pytest.mark.parametrize("relabel", [False, True])
def test_a_state_loaded_in_place_gives_what_it_gives_in_a_fresh_design(name, relabel):
    trained, fresh = bound(name, 3), bound(name, 3)
    drive(trained, walk(21, 3))
    rng = np.random.default_rng(2)
    episode = episode_batch(
        [np.zeros(9)],
        obs=rng.normal(size=(9, 3)),
        action=np.eye(2)[np.zeros(9, int)],
        next_obs=rng.normal(size=(9, 3)),
    )
    trained.relabel(episode)
    state = trained.state_dict()
    designs = trained, fresh
    for design in designs:
        design.load_state_dict(state)
        design.begin(np.ones(3, bool))
    if relabel:
        paid, again = (design.relabel(episode) for design in designs)
    else:
        paid, again = (drive(design, walk(30, 3, seed=1))[0] for design in designs)
    assert (paid == again).all()
    assert same(trained.state_dict(), fresh.state_dict())


@every_design
def test_a_state_is_a_copy(name):
    design = bound(name, 3)
    drive(design, walk(21, 3))
    state = design.state_dict()
    other = bound(name, 3)
    other.load_state_dict(state)
    before = design.state_dict()
    drive(other, walk(21, 3, seed=1))
    assert same(design.state_dict(), before)
    assert same(state, before)


@every_design
def test_equal_seeds_pay_the_same_and_others_do_not(name):
    ticks = walk(30, 2)
    one, other = (drive(bound(name, 2), ticks)[0] for _ in range(2))
    assert (one == other).all()
    different, _ = drive(bound(name, 2, learning={**SMALL, "seed": 1}), ticks)
    assert (different != one).any()


def test_training_leaves_the_generators_of_torch_and_numpy_alone():
    torch.manual_seed(3)
    before = torch.random.get_rng_state()
    drive(bound("ngu", 4), walk(20, 4))
    assert torch.equal(torch.random.get_rng_state(), before)


# --- relabelling


@every_design
def test_relabelling_leaves_open_episodes_alone(name):
    design, plain = bound(name, 1), bound(name, 1)
    for each in (design, plain):
        drive(each, walk(30, 1))
        each.update_model = False
    rows = walk(4, 1, seed=5)
    parts = {
        part: np.concatenate([getattr(batch, part) for batch in rows])
        for part in ("obs", "action", "next_obs")
    }
    design.relabel(episode_batch([[0.0] * 4], **parts))
    paid, _ = drive(design, walk(5, 1, seed=6))
    expected, _ = drive(plain, walk(5, 1, seed=6))
    assert (paid == expected).all()


@every_design
def test_relabelling_episode_by_episode_equals_all_at_once(name):
    """Sums go on from one call to the next, as replay buffers relabel."""
    rows = walk(40, 1)
    parts = {
        part: np.concatenate([getattr(batch, part) for batch in rows])
        for part in ("obs", "action", "next_obs")
    }
    whole, pieces = bound(name, 1), bound(name, 1)
    at_once = whole.relabel(episode_batch([[0.0] * 10] * 4, **parts))
    one_by_one = [
        pieces.relabel(episode_batch([[0.0] * 10], **{k: v[i : i + 10] for k, v in parts.items()}))
        for i in range(0, 40, 10)
    ]
    assert (np.concatenate(one_by_one) == at_once).all()


# --- bad input


@every_design
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_an_observation_that_is_no_number_is_refused_and_named(name, value):
    design = bound(name, 2)
    drive(design, walk(3, 2))
    before = design.state_dict()
    bad = np.zeros((2, 3))
    bad[1, 2] = value
    with pytest.raises(ConfigError, match=rf"{value} in entry 2 of next_obs \(slot 1\)"):
        design.step(tick(bad))
    assert same(design.state_dict(), before)


@every_design
def test_constant_observations_do_no_harm(name):
    paid, _ = drive(bound(name, 1), [tick(np.ones((1, 3)), np.ones((1, 3)))] * 40)
    assert np.isfinite(paid).all()


def test_a_design_serves_one_world():
    design = bound("rnd", 1)
    design.step(tick(np.zeros((1, 3))))
    with pytest.raises(ConfigError, match="One design serves one world"):
        design.step(tick(np.zeros((1, 4))))


def test_a_part_that_was_not_given_is_named():
    with pytest.raises(ConfigError, match="needs action"):
        bound("icm", 1).relabel(
            episode_batch([[0.0]], obs=np.zeros((1, 2)), next_obs=np.zeros((1, 2)))
        )


@pytest.mark.parametrize(
    ("name", "arguments", "words"),
    [
        ("rnd", {"intrinsic_coeff": 1}, "Did you mean 'intrinsic_coef'"),
        ("rnd", {"intrinsic_coef": -1}, "intrinsic_coef must be a finite number >= 0"),
        ("rnd", {"extrinsic_coef": float("nan")}, "extrinsic_coef"),
        ("rnd", {"discount": 1.0}, r"discount must be in \[0, 1\)"),
        ("rnd", {"learning": 3}, "learning must be"),
        ("rnd", {"learning": {"train_evry": 3}}, "Did you mean 'train_every'"),
        ("rnd", {"learning": {"train_every": 0}}, "train_every must be a whole number >= 1"),
        ("rnd", {"learning": {"warmup_steps": -1}}, "warmup_steps must be a whole number >= 0"),
        ("rnd", {"learning": {"hidden": 8}}, "hidden must list"),
        ("rnd", {"learning": {"hidden": [0]}}, "hidden must be a whole number"),
        ("rnd", {"learning": {"learning_rate": 0}}, "learning_rate must be a finite number > 0"),
        ("rnd", {"learning": {"device": "tpu9"}}, "no device 'tpu9'"),
        ("icm", {"eta": 0}, "eta must be a finite number > 0"),
        ("icm", {"beta": 1.5}, r"beta must be in \[0, 1\]"),
        ("icm", {"normalize": 1}, "normalize must be True or False"),
        ("ngu", {"neighbors": 0}, "neighbors must be a whole number >= 1"),
        ("ngu", {"max_lifelong": 0.5}, "max_lifelong must be a finite number >= 1"),
        ("ngu", {"memory_size": 9}, "memory_size must be a whole number >= 10"),
        ("e3b", {"ridge": 0}, "ridge must be a finite number > 0"),
    ],
)
def test_bad_arguments_are_refused(name, arguments, words):
    with pytest.raises(ConfigError, match=words):
        make_design(name, **arguments)


def test_settings_may_be_an_object():
    learning = NoveltyLearning(hidden=[8], seed=3)
    assert make_design("rnd", learning=learning).learning == learning
    assert learning.hidden == (8,)


def test_nothing_loads_torch_before_the_first_step():
    code = (
        "import sys, rewardloom.rewards, rewardloom.wrappers, rewardloom.wrappers.vector\n"
        "for name in ('rnd', 'icm', 'ngu', 'e3b'): rewardloom.rewards.make_design(name)\n"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
