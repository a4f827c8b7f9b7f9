"""`RateModel`: a reward per step whose means over an episode match its return; needs torch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import nn

from rewardloom.rewards.learning.networks import mlp
from rewardloom.rewards.learning.store import StoredEpisodes
from rewardloom.rewards.ragged import episode_sums
from rewardloom.rewards.redistribute.regressor import Regressor
from rewardloom.typing import F64T, I64E1

__all__ = ["RateModel"]


class RateModel(Regressor):
    r"""Randomized return decomposition: min E[(R / T - mean_{t in I} r^(x_t))^2], |I| = K.

    Ren et al. 2022 (Learning Long-Term Reward Redistribution via Randomized Return Decomposition),
    divided by T; `unbiased` subtracts the variance that drawing K steps adds to the loss. Steps are
    drawn without replacement, all T of them where T <= K. Targets are divided by the root mean
    square of R / T in the episodes of the first refit.

    Args:
        width: Inputs per step.
        settings: Sizes and rates.
    """

    def build(self) -> nn.Module:
        """See `Regressor.build`."""
        settings = self.settings
        layers = mlp([self.width, *settings.hidden, 1], seed=settings.seed)
        return nn.Sequential(layers, nn.Flatten(0))

    def prepare(self, held: StoredEpisodes) -> None:
        """See `ReturnModel.prepare`."""
        self.standardizer.fit(held.inputs)
        targets = held.returns / np.diff(held.offsets)
        self.scale = float(np.sqrt(np.mean(targets**2))) or 1.0

    def losses(
        self, held: StoredEpisodes, inputs: torch.Tensor, chosen: np.ndarray, rng: Any
    ) -> Iterator[torch.Tensor]:
        """See `Regressor.losses`."""
        lengths = np.diff(held.offsets)[chosen]
        drawn, valid = _draw(lengths, self.settings.subset, rng)
        rows = torch.from_numpy((drawn + held.offsets[chosen, None]).ravel()).to(self.device)
        mask = torch.from_numpy(valid).to(self.device)
        rates = self.net[1](inputs[rows]).reshape(drawn.shape) * mask
        counts = mask.sum(1)
        means = rates.sum(1) / counts
        loss = ((means - self.targets(held.returns[chosen] / lengths)) ** 2).mean()
        if self.settings.unbiased:
            squares = (((rates - means[:, None]) ** 2) * mask).sum(1)
            missing = 1.0 - counts / torch.from_numpy(lengths).to(self.device)
            loss = loss - (squares / (counts - 1).clamp(min=1) / counts * missing).mean()
        yield loss

    def rates(self, inputs: np.ndarray) -> F64T:
        """Return r^ of each row, (T,)."""
        with torch.no_grad():
            return self.unscaled(self.net[1](self.standardized(inputs)))

    def returns(self, inputs: np.ndarray, offsets: I64E1) -> F64T:
        """See `ReturnModel.returns`: the sums of the rates."""
        return episode_sums(self.rates(inputs), offsets)


def _draw(lengths: np.ndarray, subset: int, rng: np.random.Generator) -> tuple[Any, Any]:
    """Return steps (E, K) drawn without replacement, 0 where not valid, and which are valid."""
    longest = int(lengths.max())
    keys = rng.random((len(lengths), longest))
    keys[np.arange(longest) >= lengths[:, None]] = 2.0
    if longest > subset:
        drawn = np.argpartition(keys, subset - 1, axis=1)[:, :subset]
    else:
        drawn = np.tile(np.arange(longest), (len(lengths), 1))
    valid = drawn < lengths[:, None]
    return np.where(valid, drawn, 0), valid
