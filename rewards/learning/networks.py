"""Small torch networks for learned designs; importing this module needs torch.

- `Standardizer`: brings inputs to mean 0 and standard deviation 1.
- `mlp`: a seeded multi-layer perceptron.
- `to_cpu`: a module's or optimizer's state as CPU tensors.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from rewardloom.rewards.learning.store import location_scale

__all__ = ["Standardizer", "mlp", "seeded", "to_cpu"]


class seeded:
    """Context in which torch's global generator starts from `seed`; restored afterwards."""

    def __init__(self, seed: int):
        self._seed = seed

    def __enter__(self) -> None:
        self._state = torch.random.get_rng_state()
        torch.default_generator.manual_seed(self._seed)

    def __exit__(self, *_: object) -> None:
        torch.random.set_rng_state(self._state)


class Standardizer(nn.Module):
    """Subtracts a mean and divides by a standard deviation, entry by entry; part of the state."""

    mean: torch.Tensor
    scale: torch.Tensor

    def __init__(self, size: int):
        super().__init__()
        self.register_buffer("mean", torch.zeros(size))
        self.register_buffer("scale", torch.ones(size))

    def fit(self, rows: np.ndarray) -> None:
        """Take mean and deviation from (T, D) rows; constant entries are only centered."""
        mean, scale = location_scale(rows)
        self.mean.copy_(torch.from_numpy(mean))
        self.scale.copy_(torch.from_numpy(scale))

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        """Return the standardized rows."""
        return (rows - self.mean) / self.scale


def mlp(sizes: Sequence[int], *, seed: int, activation: type[nn.Module] = nn.ReLU) -> nn.Sequential:
    """Return a perceptron with layers of `sizes` (input and output included), seeded."""
    with seeded(seed):
        layers: list[nn.Module] = []
        for inputs, outputs in itertools.pairwise(sizes):
            layers += [nn.Linear(inputs, outputs), activation()]
    return nn.Sequential(*layers[:-1])


def to_cpu(state: Any) -> Any:
    """Return a state dict with every tensor on the CPU, copied."""
    if isinstance(state, torch.Tensor):
        return state.detach().cpu().clone()
    if isinstance(state, Mapping):
        return {key: to_cpu(part) for key, part in state.items()}
    if isinstance(state, list | tuple):
        return type(state)(map(to_cpu, state))
    return state
