"""`RateModel`: a reward per step whose episode means match the returns; needs torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import nn

from rewardloom.rewards.learning.networks import (
    Standardizer,
    checked_device,
    mlp,
    predict,
    to_cpu,
)
from rewardloom.rewards.learning.store import StoredEpisodes
from rewardloom.rewards.ragged import episode_sums
from rewardloom.rewards.redistribute.settings import Learning
from rewardloom.typing import F64T, I64E1

__all__ = ["RateModel"]


class RateModel:
    r"""Randomized return decomposition: min E[(R / T - mean_{t in I} r^(x_t))^2], |I| = K.

    Ren et al. 2022 (arXiv 2111.13485), equation 5, divided by T; `unbiased` subtracts the variance
    that drawing K steps adds to the loss. The K steps are drawn with replacement. Targets are
    divided by the root mean square of R / T in the episodes of the first refit, a constant from
    then on, and so are inputs by their deviation there.

    Args:
        width: Inputs per step.
        settings: Sizes and rates.
    """

    def __init__(self, width: int, settings: Learning):
        self.width = width
        self._settings = settings
        self._device = checked_device(settings.device)
        self._standardizer = Standardizer(width)
        layers = mlp([width, *settings.hidden, 1], seed=settings.seed)
        self._net = nn.Sequential(self._standardizer, layers, nn.Flatten(0)).to(self._device)
        self._optimizer = torch.optim.Adam(layers.parameters(), lr=settings.learning_rate)
        self._scale = 1.0

    def prepare(self, held: StoredEpisodes) -> None:
        """See `ReturnModel.prepare`."""
        self._standardizer.fit(held.inputs)
        targets = held.returns / np.diff(held.offsets)
        self._scale = float(np.sqrt(np.mean(targets**2))) or 1.0

    def fit(self, held: StoredEpisodes, rng: np.random.Generator) -> float:
        """See `ReturnModel.fit`."""
        settings = self._settings
        lengths = np.diff(held.offsets)
        inputs = torch.from_numpy(held.inputs).to(self._device)
        targets = (held.returns / lengths / self._scale).astype(np.float32)
        total = torch.zeros((), device=self._device)
        for _ in range(settings.gradient_steps):
            chosen = rng.integers(len(lengths), size=settings.episodes_per_batch)
            drawn = rng.random((len(chosen), settings.subset)) * lengths[chosen, None]
            rows = drawn.astype(np.int64) + held.offsets[chosen, None]
            total += self._gradient_step(
                inputs[torch.from_numpy(rows).to(self._device)],
                torch.from_numpy(targets[chosen]).to(self._device),
            )
        return float(total) / settings.gradient_steps

    def rates(self, inputs: np.ndarray) -> F64T:
        """Return r^ of each row, (T,)."""
        return predict(self._net, inputs, self._device) * self._scale

    def returns(self, inputs: np.ndarray, offsets: I64E1) -> F64T:
        """See `ReturnModel.returns`: the sums of the rates."""
        return episode_sums(self.rates(inputs), offsets)

    def state_dict(self) -> dict[str, Any]:
        """See `ReturnModel.state_dict`."""
        return {
            "net": to_cpu(self._net.state_dict()),
            "optimizer": to_cpu(self._optimizer.state_dict()),
            "scale": self._scale,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """See `ReturnModel.load_state_dict`."""
        self._net.load_state_dict(state["net"])
        self._optimizer.load_state_dict(state["optimizer"])
        self._scale = state["scale"]

    def _gradient_step(self, inputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        episodes, subset = inputs.shape[:2]
        rates = self._net(inputs.reshape(episodes * subset, -1)).reshape(episodes, subset)
        loss = ((rates.mean(1) - targets) ** 2).mean()
        if self._settings.unbiased:
            loss = loss - rates.var(1).mean() / subset
        self._optimizer.zero_grad()
        loss.backward()
        self._optimizer.step()
        return loss.detach()
