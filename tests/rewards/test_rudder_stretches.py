"""RUDDER's GRU takes long episodes a stretch at a time: bounded memory, exact sums."""

import numpy as np
import pytest
import torch

from rewardloom.rewards import episode_batch, make_design
from rewardloom.rewards.learning.store import EpisodeStore
from rewardloom.rewards.ragged import episode_sums
from rewardloom.rewards.redistribute import Learning, rudder
from rewardloom.rewards.redistribute.regressor import final_and_auxiliary_loss

SETTINGS = Learning(hidden=[6], gradient_steps=2, episodes_per_batch=4, refit_every=10)
LENGTHS = (13, 1, 5, 10, 27)


def episodes(seed=0, lengths=LENGTHS):
    rng = np.random.default_rng(seed)
    total = sum(lengths)
    return episode_batch(
        [rng.normal(size=n) for n in lengths],
        obs=rng.normal(size=(total, 2)).astype(np.float32),
        action=rng.normal(size=(total, 1)).astype(np.float32),
    )


def model_and_rows(lengths=LENGTHS):
    batch = episodes(lengths=lengths)
    inputs = np.hstack([batch.obs, batch.action])
    store = EpisodeStore(100, 10**6, 10**9)
    store.add(batch, inputs)
    model = rudder.SequenceModel(3, SETTINGS)
    model.prepare(store.laid_out())
    return model, store.laid_out()


def parts(model, held):
    """Return the parts of the loss of all episodes, and the gradient of the whole."""
    model.net.zero_grad()
    found = []
    for part in model.losses(held, model.standardized(held.inputs), np.arange(len(LENGTHS)), None):
        part.backward()
        found.append(part.item())
    return found, torch.cat([p.grad.ravel() for p in model.net.parameters()])


@pytest.mark.parametrize("steps", [1, 5, 13, 26])
def test_the_parts_of_a_loss_add_up_to_it_and_gradients_are_cut_between_them(steps, monkeypatch):
    model, held = model_and_rows()
    whole, gradient = parts(model, held)
    assert len(whole) == 1
    monkeypatch.setattr(rudder, "_STEPS_AT_ONCE", steps)
    cut, cut_gradient = parts(model, held)
    assert len(cut) == -(-27 // steps)
    assert sum(cut) == pytest.approx(whole[0], rel=1e-5)
    assert not torch.allclose(cut_gradient, gradient, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("steps", [1, 4, 13])
def test_estimates_do_not_depend_on_the_stretch(steps, monkeypatch):
    model, held = model_and_rows()
    want = model.estimates(held.inputs, held.offsets)
    monkeypatch.setattr(rudder, "_STEPS_AT_ONCE", steps)
    np.testing.assert_allclose(
        model.estimates(held.inputs, held.offsets), want, rtol=1e-5, atol=1e-6
    )


def test_the_network_never_sees_more_steps_at_once_and_sums_stay_exact(monkeypatch):
    monkeypatch.setattr(rudder, "_STEPS_AT_ONCE", 6)
    seen = []
    forward = rudder._Sequence.forward

    def noted(self, inputs, hidden=None):
        seen.append(inputs.shape[1])
        return forward(self, inputs, hidden)

    monkeypatch.setattr(rudder._Sequence, "forward", noted)
    design = make_design("redistribute", mode="rudder", learning=SETTINGS)
    design.bind((), 1)
    for seed in range(3):
        batch = episodes(seed)
        paid = design.relabel(batch)
    assert design.refits > 0
    assert max(seen) == 6
    np.testing.assert_allclose(
        episode_sums(paid, batch.offsets), episode_sums(batch.reward, batch.offsets), atol=1e-9
    )


def test_the_loss_of_a_stretch_by_hand():
    """Two episodes of 3 and 1 steps, errors 1, 2, 3 and 4; the auxiliary weight is 0.1."""
    outputs = torch.tensor([[1.0, 2.0, 3.0], [4.0, 9.0, 9.0]])
    lengths, targets = torch.tensor([3, 1]), torch.zeros(2)
    whole = (9 + 16) / 2 + 0.1 * ((1 + 4 + 9) / 3 + 16) / 2
    assert final_and_auxiliary_loss(outputs, lengths, targets).item() == pytest.approx(whole)
    early = final_and_auxiliary_loss(outputs[:, :2], lengths, targets)
    assert early.item() == pytest.approx(16 / 2 + 0.1 * ((1 + 4) / 3 + 16) / 2)
    late = final_and_auxiliary_loss(outputs[:1, 2:], lengths[:1], targets[:1], first=2, count=2)
    assert late.item() == pytest.approx(9 / 2 + 0.1 * (9 / 3) / 2)
