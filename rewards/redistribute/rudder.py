"""`SequenceModel`: predicts an episode's return after each of its steps; needs torch."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn

from rewardloom.rewards.learning.store import StoredEpisodes
from rewardloom.rewards.redistribute.regressor import Regressor, final_and_auxiliary_loss
from rewardloom.typing import F64T, I64E1, BoolN

__all__ = ["SequenceModel"]

_EPISODES_AT_ONCE = 64


class _Sequence(nn.Module):
    """Linear, ReLU, GRU, linear."""

    def __init__(self, width: int, hidden: int):
        super().__init__()
        self.hidden = hidden
        self.embed = nn.Sequential(nn.Linear(width, hidden), nn.ReLU())
        self.recur = nn.GRU(hidden, hidden, batch_first=True)
        self.head = nn.Linear(hidden, 1)

    def forward(
        self, inputs: torch.Tensor, hidden: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return predictions (E, L) for inputs (E, L, D), and the last hidden state (1, E, H)."""
        outputs, reached = self.recur(self.embed(inputs), hidden)
        return self.head(outputs).squeeze(-1), reached


class SequenceModel(Regressor):
    """A GRU whose prediction g_t reads the steps up to t.

    Trained on the return at the last step and, with a small weight, at every step, as the LSTM of
    Arjona-Medina et al. 2019 (RUDDER) is; smaller, and without its lessons buffer.

    Args:
        width: Inputs per step.
        settings: Sizes and rates; the last of `hidden` is the width.
    """

    def build(self) -> nn.Module:
        """See `Regressor.build`."""
        return _Sequence(self.width, self.settings.hidden[-1])

    def loss(
        self, held: StoredEpisodes, inputs: torch.Tensor, chosen: np.ndarray, rng: Any
    ) -> torch.Tensor:
        """See `Regressor.loss`."""
        lengths = np.diff(held.offsets)[chosen]
        outputs, _ = self.net[1](inputs[self._padded(held.offsets[chosen], lengths)])
        ends = torch.from_numpy(lengths).to(self.device)
        return final_and_auxiliary_loss(outputs, ends, self.targets(held.returns[chosen]))

    def estimates(self, inputs: np.ndarray, offsets: I64E1) -> F64T:
        """Return g_t of each row, (T,)."""
        rows, lengths = self.standardized(inputs), np.diff(offsets)
        estimates = np.zeros(len(inputs))
        filled = np.flatnonzero(lengths)
        for first in range(0, len(filled), _EPISODES_AT_ONCE):
            part = filled[first : first + _EPISODES_AT_ONCE]
            index = self._padded(offsets[part], lengths[part])
            with torch.no_grad():
                values = self.unscaled(self.net[1](rows[index])[0])
            valid = np.arange(index.shape[1]) < lengths[part, None]
            estimates[index.cpu().numpy()[valid]] = values[valid]
        return estimates

    def returns(self, inputs: np.ndarray, offsets: I64E1) -> F64T:
        """See `ReturnModel.returns`: the predictions after the last steps."""
        return self.estimates(inputs, offsets)[offsets[1:] - 1]

    def start(self, num_slots: int) -> torch.Tensor:
        """Return the (1, N, H) hidden state before any step."""
        return torch.zeros(1, num_slots, self.settings.hidden[-1], device=self.device)

    def clear(self, hidden: torch.Tensor, slots: BoolN) -> None:
        """Set the hidden state of some slots to that before any step."""
        hidden[:, torch.from_numpy(slots).to(hidden.device)] = 0.0

    def advance(
        self, inputs: np.ndarray, hidden: torch.Tensor, active: BoolN
    ) -> tuple[np.ndarray, torch.Tensor]:
        """Return g_t (N,) of one tick and the next hidden state; inactive slots keep theirs."""
        with torch.no_grad():
            outputs, reached = self.net[1](self.standardized(inputs)[:, None], hidden)
            if not active.all():
                kept = torch.from_numpy(active).to(self.device)[None, :, None]
                reached = torch.where(kept, reached, hidden)
            return self.unscaled(outputs[:, 0]), reached

    def _padded(self, firsts: np.ndarray, lengths: np.ndarray) -> torch.Tensor:
        """Return the (E, L) rows of episodes, the last one repeated past each end."""
        steps = np.minimum(np.arange(int(lengths.max())), lengths[:, None] - 1)
        return torch.from_numpy(firsts[:, None] + steps).to(self.device)
