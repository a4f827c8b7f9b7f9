"""`Regressor`: what all models of the return share: inputs, scales, gradient steps; needs torch."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import nn

from rewardloom.rewards.learning.device import torch_device
from rewardloom.rewards.learning.networks import Standardizer, seeded, to_cpu
from rewardloom.rewards.learning.store import StoredEpisodes
from rewardloom.rewards.redistribute.settings import Learning
from rewardloom.typing import F64T, I64E1

__all__ = ["AUXILIARY", "Regressor", "final_and_auxiliary_loss"]

AUXILIARY = 0.1
"""Weight of the loss at every step beside that at the last one."""


class Regressor:
    """A network trained on batches of stored episodes; see `ReturnModel`.

    Inputs are standardized by the episodes of the first refit, and targets brought to
    (y - center) / scale, constants from then on. Equal seeds and episodes give equal bits on a CPU.

    Args:
        width: Inputs per step.
        settings: Sizes and rates.
    """

    def __init__(self, width: int, settings: Learning):
        self.width = width
        self.settings = settings
        self.device = torch_device(settings.device)
        self.center = 0.0
        self.scale = 1.0
        self.standardizer = Standardizer(width)
        with seeded(settings.seed):
            layers = self.build()
        self.net = nn.ModuleList([self.standardizer, layers]).to(self.device)
        self._optimizer = torch.optim.Adam(layers.parameters(), lr=settings.learning_rate)

    @abstractmethod
    def build(self) -> nn.Module:
        """Return the layers that read standardized inputs."""

    @abstractmethod
    def losses(
        self, held: StoredEpisodes, inputs: torch.Tensor, chosen: np.ndarray, rng: Any
    ) -> Iterator[torch.Tensor]:
        """Yield the parts of the loss of some stored episodes, whose gradients add up.

        `inputs` are those of all stored episodes, standardized.
        """

    @abstractmethod
    def returns(self, inputs: np.ndarray, offsets: I64E1) -> F64T:
        """See `ReturnModel.returns`."""

    def prepare(self, held: StoredEpisodes) -> None:
        """See `ReturnModel.prepare`: mean and deviation of the returns."""
        self.standardizer.fit(held.inputs)
        self.center = float(held.returns.mean())
        deviation = float(held.returns.std())
        constant = deviation <= 1e-6 * abs(self.center)
        self.scale = (abs(self.center) if constant else deviation) or 1.0

    def fit(self, held: StoredEpisodes, rng: np.random.Generator) -> float:
        """See `ReturnModel.fit`; episodes are drawn with replacement."""
        settings = self.settings
        inputs = self.standardized(held.inputs)
        total = torch.zeros((), device=self.device)
        for _ in range(settings.gradient_steps):
            chosen = rng.integers(len(held.returns), size=settings.episodes_per_batch)
            self._optimizer.zero_grad()
            for part in self.losses(held, inputs, chosen, rng):
                part.backward()
                total += part.detach()
            self._optimizer.step()
        return float(total) / settings.gradient_steps

    def standardized(self, inputs: np.ndarray) -> torch.Tensor:
        """Return (T, D) inputs as the layers read them, on the device."""
        rows = torch.from_numpy(np.ascontiguousarray(inputs)).to(self.device)
        with torch.no_grad():
            return self.standardizer(rows)

    def targets(self, values: np.ndarray) -> torch.Tensor:
        """Return what the layers are to give for `values`, on the device."""
        scaled = (values - self.center) / self.scale
        return torch.from_numpy(scaled.astype(np.float32)).to(self.device)

    def unscaled(self, outputs: torch.Tensor) -> F64T:
        """Return the layers' outputs in units of the return."""
        return outputs.cpu().numpy().astype(np.float64) * self.scale + self.center

    def state_dict(self) -> dict[str, Any]:
        """See `ReturnModel.state_dict`."""
        return {
            "net": to_cpu(self.net.state_dict()),
            "optimizer": to_cpu(self._optimizer.state_dict()),
            "center": self.center,
            "scale": self.scale,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """See `ReturnModel.load_state_dict`."""
        self.net.load_state_dict(state["net"])
        self._optimizer.load_state_dict(to_cpu(state["optimizer"]))  # which would share it
        self.center, self.scale = state["center"], state["scale"]


def final_and_auxiliary_loss(
    outputs: torch.Tensor,
    lengths: torch.Tensor,
    targets: torch.Tensor,
    *,
    first: int = 0,
    count: int | None = None,
) -> torch.Tensor:
    """Return the squared error at each episode's last step plus `AUXILIARY` times that of all.

    Means over the episodes. Of a stretch of steps it is the part that these add to the whole.

    Args:
        outputs: (E, L) predictions after each step; those past an episode's end mean nothing.
        lengths: (E,) int64, of the episodes, more than `first`.
        targets: (E,).
        first: Step that `outputs` begin with.
        count: Episodes to take the mean over; None for E.

    Source: Arjona-Medina et al. 2019, section 3, main and auxiliary task.
    """
    count = len(lengths) if count is None else count
    width = outputs.shape[1]
    errors = (outputs - targets[:, None]) ** 2
    valid = torch.arange(first, first + width, device=outputs.device) < lengths[:, None]
    last = lengths[:, None] - 1 - first
    final = (errors.gather(1, last.clamp(max=width - 1)) * (last < width)).sum() / count
    every = ((errors * valid).sum(1) / lengths).sum() / count
    return final + AUXILIARY * every
