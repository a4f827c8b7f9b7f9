"""Small torch networks for learned designs; importing this module needs torch.

- `Standardizer`: brings inputs to mean 0 and standard deviation 1.
- `mlp`: a seeded multi-layer perceptron.
- `predict`: its outputs for numpy rows.
- `to_cpu`: a module's or optimizer's state as CPU tensors.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from rewardloom.errors import ConfigError
from rewardloom.typing import F64T

__all__ = ["Standardizer", "checked_device", "mlp", "predict", "seeded", "to_cpu"]

_ROWS_AT_ONCE = 65536
_SMALLEST = 1e-6  # standard deviation below which an input counts as constant


def checked_device(name: str) -> torch.device:
    """Return the torch device called `name`.

    Raises:
        ConfigError: there is no such device here.
    """
    try:
        device = torch.device(name)
    except RuntimeError:
        raise ConfigError(f"There is no device {name!r}; use cpu or cuda.") from None
    if device.type == "cuda" and not torch.cuda.is_available():
        raise ConfigError(f"device={name!r}, but torch finds no CUDA GPU here. Use cpu.")
    return device


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
        deviation = rows.std(0, dtype=np.float64)
        scale = np.where(deviation > _SMALLEST, deviation, 1.0)
        self.mean.copy_(torch.from_numpy(rows.mean(0, dtype=np.float64)))
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


def predict(model: nn.Module, rows: np.ndarray, device: torch.device) -> F64T:
    """Return the model's output for (T, D) float32 rows as float64, without a graph."""
    parts = []
    with torch.no_grad():
        for first in range(0, max(len(rows), 1), _ROWS_AT_ONCE):
            part = torch.from_numpy(np.ascontiguousarray(rows[first : first + _ROWS_AT_ONCE]))
            parts.append(model(part.to(device)).cpu().numpy())
    return np.concatenate(parts).astype(np.float64)


def to_cpu(state: Any) -> Any:
    """Return a state dict with every tensor on the CPU, copied."""
    if isinstance(state, torch.Tensor):
        return state.detach().cpu().clone()
    if isinstance(state, Mapping):
        return {key: to_cpu(part) for key, part in state.items()}
    if isinstance(state, list | tuple):
        return type(state)(map(to_cpu, state))
    return state
