"""Redistribution by learned models, on problems whose true credit is known."""

import copy
import pickle
import subprocess
import sys

import numpy as np
import pytest
import torch

from rewardloom.errors import ConfigError
from rewardloom.rewards import episode_batch, make_design
from rewardloom.rewards.design import LearnedDesign, StepBatch
from rewardloom.rewards.ragged import episode_sums
from rewardloom.rewards.redistribute.learner import residual_share

LEARNED = ("rrd", "rudder", "attention", "occlusion")
QUICK = {"hidden": [16], "gradient_steps": 5, "refit_every": 20, "first_refit": 2}


def redistribute(mode, **kwargs):
    design = make_design("redistribute", mode=mode, **kwargs)
    design.bind((), 2)
    return design


def dense_episodes(rng, count=20, length=20):
    """Return true rewards, a smooth function of each step, and episodes that pay their sum."""
    obs = rng.normal(size=(count * length, 2)).astype(np.float32)
    action = rng.normal(size=(count * length, 1)).astype(np.float32)
    true = np.tanh(obs[:, 0] - obs[:, 1]) + action[:, 0]
    return true, episode_batch(_at_the_end(true.reshape(count, length)), obs=obs, action=action)


def key_episodes(rng, count=100, length=12):
    """Return the key steps, and episodes whose return is seen at that step alone."""
    obs = rng.normal(size=(count * length, 2)).astype(np.float32)
    key = np.arange(count) * length + rng.integers(0, length, count)
    value = rng.choice([-1.0, 1.0], count) * rng.uniform(0.5, 1.5, count)
    obs[:, 1] = 0.0
    obs[key, 1] = value
    true = np.zeros(count * length)
    true[key] = value
    action = np.zeros((count * length, 1), np.float32)
    return key, episode_batch(_at_the_end(true.reshape(count, length)), obs=obs, action=action)


def _at_the_end(rewards):
    late = np.zeros_like(rewards)
    late[:, -1] = rewards.sum(1)
    return list(late)


def ragged_episodes(rng, lengths=(3, 1, 6, 2, 9)):
    total = sum(lengths)
    return episode_batch(
        [rng.normal(size=n) for n in lengths],
        obs=rng.normal(size=(total, 2)).astype(np.float32),
        action=rng.normal(size=(total, 1)).astype(np.float32),
    )


@pytest.mark.parametrize("unbiased", [False, True])
def test_rrd_finds_the_reward_of_each_step(unbiased):
    rng = np.random.default_rng(0)
    design = redistribute(
        "rrd", preserve="none", learning={"refit_every": 400, "unbiased": unbiased, "subset": 16}
    )
    losses = []
    for _ in range(20):
        true, batch = dense_episodes(rng)
        paid = design.relabel(batch)
        losses.append(design.diagnostics()["loss"])
    assert np.corrcoef(true, paid)[0, 1] > 0.9
    assert np.mean(losses[-5:]) < 0.7 * losses[0]
    assert design.diagnostics()["explained_variance"] > 0.5
    assert design.refits == 20


def test_rrd_spreads_what_is_left_evenly():
    rng = np.random.default_rng(0)
    _, batch = dense_episodes(rng)
    bare, full = redistribute("rrd", preserve="none"), redistribute("rrd")
    rates, paid = bare.relabel(batch), full.relabel(batch)
    residual = (paid - rates).reshape(20, 20)
    np.testing.assert_allclose(residual, np.repeat(residual[:, :1], 20, 1), atol=1e-9)
    assert (np.abs(residual[:, 0]) > 1e-6).all()


@pytest.mark.parametrize("mode", ["rudder", "occlusion", "attention"])
def test_models_find_the_step_that_mattered(mode):
    rng = np.random.default_rng(0)
    design = redistribute(mode, emit="relabel", learning={"refit_every": 1000})
    for _ in range(5):
        key, batch = key_episodes(rng)
        paid = design.relabel(batch)
    returns = episode_sums(batch.reward, batch.offsets)
    share = float(np.mean(paid[key] / returns))
    assert share > {"rudder": 0.8, "occlusion": 0.7, "attention": 0.2}[mode]  # evenly: 1 / 12
    assert design.diagnostics()["explained_variance"] > 0.8


@pytest.mark.parametrize("mode", LEARNED)
@pytest.mark.parametrize("segments", [4, 64])
def test_sums_stay_exact_on_ragged_episodes(mode, segments):
    rng = np.random.default_rng(1)
    learning = {**QUICK, "segments": segments}
    for emit in ("relabel", "causal") if mode in ("rrd", "rudder") else ("relabel",):
        design = redistribute(mode, emit=emit, learning=learning)
        for _ in range(3):
            batch = ragged_episodes(rng)
            paid = design.relabel(batch)
            assert np.isfinite(paid).all()
            np.testing.assert_allclose(
                episode_sums(paid, batch.offsets),
                episode_sums(batch.reward, batch.offsets),
                atol=1e-9,
            )
        assert design.refits == 3
        assert not np.allclose(paid, batch.reward)


@pytest.mark.parametrize("mode", LEARNED)
def test_raw_is_paid_until_the_first_refit_and_failures_teach_nothing(mode):
    rng = np.random.default_rng(2)
    design = redistribute(mode, emit="relabel", learning={**QUICK, "first_refit": 6})
    assert isinstance(design, LearnedDesign)
    batch = ragged_episodes(rng)
    np.testing.assert_array_equal(design.relabel(batch), batch.reward)
    assert design.diagnostics() == {}
    failed = ragged_episodes(rng)._replace(failed=np.ones(5, bool))
    np.testing.assert_array_equal(design.relabel(failed), failed.reward)
    assert design.refits == 0
    design.relabel(ragged_episodes(rng))
    assert design.refits == 1
    assert design.diagnostics()["episodes"] == 10
    assert all(np.isfinite(v) for v in design.diagnostics().values())


@pytest.mark.parametrize("mode", LEARNED)
def test_a_saved_model_goes_on_bit_by_bit(mode):
    batches = [ragged_episodes(np.random.default_rng(k)) for k in range(6)]
    straight, first = (redistribute(mode, emit="relabel", learning=QUICK) for _ in range(2))
    for batch in batches[:3]:
        straight.relabel(batch)
        first.relabel(batch)
    second = redistribute(mode, emit="relabel", learning=QUICK)
    second.load_state_dict(pickle.loads(pickle.dumps(first.state_dict())))
    for batch in batches[3:]:
        np.testing.assert_array_equal(second.relabel(batch), straight.relabel(batch))
    assert second.refits == straight.refits == 6
    assert second.diagnostics() == straight.diagnostics()


@pytest.mark.parametrize("mode", LEARNED)
def test_a_loaded_state_is_a_copy(mode):
    first, second = (redistribute(mode, emit="relabel", learning=QUICK) for _ in range(2))
    first.relabel(ragged_episodes(np.random.default_rng(0)))
    state = first.state_dict()
    optimizer = state["learner"]["model"]["optimizer"]["state"]
    before = copy.deepcopy(optimizer)
    second.load_state_dict(state)
    second.relabel(ragged_episodes(np.random.default_rng(1)))
    assert second.refits == first.refits + 1
    assert before
    for index, moments in before.items():
        for name, values in moments.items():
            assert torch.equal(optimizer[index][name], values)


@pytest.mark.parametrize("mode", LEARNED)
def test_the_state_is_saved_beside_a_model(mode, tmp_path):
    from rewardloom.baselines.plugs import load_design, save_design

    design = redistribute(mode, emit="relabel", learning=QUICK)
    for k in range(2):
        design.relabel(ragged_episodes(np.random.default_rng(k)))
    save_design(tmp_path / "model", design)
    loaded = redistribute(mode, emit="relabel", learning=QUICK)
    load_design(tmp_path / "model", loaded)
    batch = ragged_episodes(np.random.default_rng(9))
    np.testing.assert_array_equal(loaded.relabel(batch), design.relabel(batch))


def test_a_frozen_model_takes_in_nothing():
    design = redistribute("rrd", learning=QUICK)
    design.relabel(ragged_episodes(np.random.default_rng(0)))
    design.update_model = False
    batch = ragged_episodes(np.random.default_rng(1))
    np.testing.assert_array_equal(design.relabel(batch), design.relabel(batch))
    assert design.refits == 1


def ticks_of(batch):
    """Return the ticks of two slots that play the episodes of a batch one after the other."""
    order = [np.arange(len(batch.reward))] * 2
    ended = np.zeros(len(batch.reward), bool)
    ended[batch.offsets[1:] - 1] = True
    for t in range(len(batch.reward)):
        rows = np.array([slot[t] for slot in order])
        no = np.zeros(2, bool)
        yield StepBatch(
            batch.reward[rows],
            np.zeros((2, 0)),
            ended[rows],
            no,
            ~no,
            no,
            obs=batch.obs[rows],
            action=batch.action[rows],
        )


@pytest.mark.parametrize("mode", ["rrd", "rudder"])
def test_stepping_with_a_model_pays_what_relabelling_does(mode):
    """Whatever was paid before the refits in the middle, each episode sums to its return."""
    rng = np.random.default_rng(3)
    design = redistribute(mode, emit="causal", learning=QUICK)
    for refitting in (True, False):
        design.update_model = refitting
        batch = ragged_episodes(rng)
        paid = np.array([design.step(tick) for tick in ticks_of(batch)])
        np.testing.assert_array_equal(paid[:, 0], paid[:, 1])
        np.testing.assert_allclose(
            episode_sums(paid[:, 0], batch.offsets),
            episode_sums(batch.reward, batch.offsets),
            atol=1e-9,
        )
    assert design.refits >= 1
    np.testing.assert_allclose(paid[:, 0], design.relabel(batch), atol=1e-5)


def test_an_inactive_slot_keeps_the_state_of_its_sequence():
    rng = np.random.default_rng(4)
    design = redistribute("rudder", learning=QUICK)
    for k in range(2):
        design.relabel(ragged_episodes(np.random.default_rng(k)))
    design.update_model = False
    batch = ragged_episodes(rng, (4,))
    want = design.relabel(batch)
    design.begin(np.ones(2, bool))
    paid = []
    for tick in ticks_of(batch):
        paid.append(design.step(tick)[1])
        idle = tick._replace(
            active=np.array([False, False]), terminated=np.zeros(2, bool), obs=tick.obs + 50.0
        )
        assert design.step(idle).tolist() == [0.0, 0.0]
    np.testing.assert_allclose(paid, want, atol=1e-5)


def test_missing_inputs_are_named():
    with pytest.raises(ConfigError, match="obs"):
        redistribute("rrd", learning=QUICK).relabel(episode_batch([[1.0]]))


def test_designs_are_made_without_torch():
    code = (
        "import sys; from rewardloom.rewards import make_design; import rewardloom.wrappers; "
        "[make_design('redistribute', mode=m) for m in ('rrd', 'rudder', 'occlusion')]; "
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_residual_is_measured_by_the_episodes_that_are_stored():
    """New episodes that all end with 0 are no measure; by hand |0 - 1| / mean(0, 4) = 1/2."""
    assert residual_share(np.array([1.0]), np.zeros(1), np.array([0.0, 4.0])) == 0.5
    assert residual_share(np.array([1.0]), np.zeros(1), np.zeros(3)) == 0.0
