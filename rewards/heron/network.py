"""Trains the networks of a preference model; importing this module needs torch.

- `bradley_terry_loss`: the loss.
- `new_layers`: a network's first weights.
- `train_member`: the gradient steps of one refit of one network.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from rewardloom.rewards.heron.models import Layers
from rewardloom.rewards.heron.pairs import Units
from rewardloom.rewards.heron.settings import LARGEST_GAP, PreferenceLearning
from rewardloom.rewards.learning.device import torch_device
from rewardloom.rewards.learning.networks import mlp
from rewardloom.rewards.ragged import span_rows

__all__ = ["bradley_terry_loss", "new_layers", "train_member"]


def bradley_terry_loss(
    winner: torch.Tensor, loser: torch.Tensor, smoothing: float = 0.0
) -> torch.Tensor:
    """Return the mean of -log sigma(r_w - r_l), differences clipped at 50.

    With `smoothing` e the label counts as wrong with probability e.
    """
    gap = (winner - loser).clamp(-LARGEST_GAP, LARGEST_GAP)
    right = functional.softplus(-gap)
    return ((1.0 - smoothing) * right + smoothing * functional.softplus(gap)).mean()


def new_layers(inputs: int, hidden: Sequence[int], seed: int) -> Layers:
    """Return the first weights of a network, seeded."""
    return _layers(mlp([inputs, *hidden, 1], seed=seed))


def train_member(
    layers: Layers,
    inputs: np.ndarray,
    units: Units,
    winner: np.ndarray,
    loser: np.ndarray,
    settings: PreferenceLearning,
    rng: np.random.Generator,
) -> Layers:
    """Take the gradient steps of one refit.

    Args:
        layers: The network before.
        inputs: (T, D) float32, standardized.
        units: What was compared.
        winner, loser: (P,) units.
        settings: Steps, batch, rates.
        rng: Draws the batches.

    Returns:
        The network after.
    """
    device = torch_device(settings.device)
    network = _network(layers).to(device)
    optimizer = torch.optim.Adam(network.parameters(), lr=settings.learning_rate)
    rows_in = torch.from_numpy(inputs).to(device)
    for _ in range(settings.gradient_steps):
        chosen = rng.integers(0, len(winner), settings.batch_pairs)
        used, place = np.unique(
            np.concatenate([winner[chosen], loser[chosen]]), return_inverse=True
        )
        rows, owner = span_rows(units.first[used], units.lengths[used])
        scores = network(rows_in[torch.from_numpy(rows).to(device)])[:, 0]
        sums = torch.zeros(len(used), device=device)
        sums = sums.index_add(0, torch.from_numpy(owner).to(device), scores)
        paired = sums[torch.from_numpy(place.reshape(2, -1)).to(device)]
        loss = bradley_terry_loss(paired[0], paired[1], settings.label_smoothing)
        if settings.output_penalty:
            loss = loss + settings.output_penalty * scores.square().mean()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
    return _layers(network)


def _network(layers: Layers) -> nn.Sequential:
    network = mlp([len(layers[0][0]), *(len(bias) for _, bias in layers)], seed=0)
    linear = [module for module in network if isinstance(module, nn.Linear)]
    with torch.no_grad():
        for module, (weight, bias) in zip(linear, layers, strict=True):
            module.weight.copy_(torch.from_numpy(weight.T.copy()))
            module.bias.copy_(torch.from_numpy(bias))
    return network


def _layers(network: nn.Sequential) -> Layers:
    linear = [module for module in network if isinstance(module, nn.Linear)]
    return [
        (m.weight.detach().cpu().numpy().T.copy(), m.bias.detach().cpu().numpy().copy())
        for m in linear
    ]
