"""`SequenceModel`: predicts an episode's return after each of its steps; needs torch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import nn

from rewardloom.rewards.learning.store import StoredEpisodes
from rewardloom.rewards.redistribute.regressor import Regressor, final_and_auxiliary_loss
from rewardloom.typing import F64T, I64E1, BoolN

__all__ = ["SequenceModel"]

_EPISODES_AT_ONCE = 64
_STEPS_AT_ONCE = 1024  # bounds memory; gradients go back as far


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
    Arjona-Medina et al. 2019 (RUDDER) is; smaller, and without its lessons buffer. Gradients go
    back through up to 1024 steps, so that memory does not grow with the length of an episode.

    Args:
        width: Inputs per step.
        settings: Sizes and rates; the last of `hidden` is the width.
    """

    def build(self) -> nn.Module:
        """See `Regressor.build`."""
        return _Sequence(self.width, self.settings.hidden[-1])

    def losses(
        self, held: StoredEpisodes, inputs: torch.Tensor, chosen: np.ndarray, rng: Any
    ) -> Iterator[torch.Tensor]:
        """See `Regressor.losses`: one part per stretch of steps."""
        lengths = np.diff(held.offsets)[chosen]
        ends = torch.from_numpy(lengths).to(self.device)
        targets, count = self.targets(held.returns[chosen]), len(chosen)
        for going, first, outputs in self._stretches(inputs, held.offsets[chosen], lengths):
            yield final_and_auxiliary_loss(
                outputs, ends[going], targets[going], first=first, count=count
            )

    def estimates(self, inputs: np.ndarray, offsets: I64E1) -> F64T:
        """Return g_t of each row, (T,)."""
        rows, lengths = self.standardized(inputs), np.diff(offsets)
        estimates = np.zeros(len(inputs))
        filled = np.flatnonzero(lengths)
        for first in range(0, len(filled), _EPISODES_AT_ONCE):
            part = filled[first : first + _EPISODES_AT_ONCE]
            with torch.no_grad():
                for going, step, outputs in self._stretches(rows, offsets[part], lengths[part]):
                    chosen = part[going.cpu().numpy()]
                    steps = step + np.arange(outputs.shape[1])
                    valid = steps < lengths[chosen, None]
                    index = offsets[chosen, None] + steps
                    estimates[index[valid]] = self.unscaled(outputs)[valid]
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

    def _stretches(
        self, rows: torch.Tensor, firsts: np.ndarray, lengths: np.ndarray
    ) -> Iterator[tuple[torch.Tensor, int, torch.Tensor]]:
        """Run through episodes, all of them `_STEPS_AT_ONCE` steps at a time.

        The hidden state goes on from stretch to stretch, gradients do not.

        Yields:
            The episodes (A,) that are not over, the step their stretch begins with, and the
            predictions (A, L) after its steps.
        """
        hidden, going = None, np.arange(len(lengths))
        for first in range(0, int(lengths.max()), _STEPS_AT_ONCE):
            still = lengths[going] > first
            going = going[still]
            if hidden is not None:
                hidden = hidden.detach()[:, torch.from_numpy(still).to(self.device)]
            stretch = np.minimum(lengths[going] - first, _STEPS_AT_ONCE)
            index = self._padded(firsts[going] + first, stretch)
            outputs, hidden = self.net[1](rows[index], hidden)
            yield torch.from_numpy(going).to(self.device), first, outputs

    def _padded(self, firsts: np.ndarray, lengths: np.ndarray) -> torch.Tensor:
        """Return the (E, L) rows of episodes, the last one repeated past each end."""
        steps = np.minimum(np.arange(int(lengths.max())), lengths[:, None] - 1)
        return torch.from_numpy(firsts[:, None] + steps).to(self.device)
