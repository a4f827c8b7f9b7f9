"""A small character network of captions, and its training; importing this module needs torch.

- `CaptionNet`: bytes to one number.
- `CaptionLearner`: the network with its optimizer and random numbers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from rewardloom.errors import ConfigError
from rewardloom.rewards.intrinsic.models.caption_data import PAD, Key, padded
from rewardloom.rewards.intrinsic.models.settings import CaptionLearning
from rewardloom.rewards.learning.device import torch_device
from rewardloom.rewards.learning.networks import seeded, to_cpu

__all__ = ["CaptionLearner", "CaptionNet"]

_POOLED = 2  # convolutions that are followed by a pooling
_CHUNK = 256  # captions scored at once
_LARGEST_GRADIENT = 10.0


class CaptionNet(nn.Module):
    """Convolutions over the bytes of captions, their maxima, and a perceptron.

    A caption's score does not depend on how far it is padded: padding stays 0 in every layer, as
    if each caption stood alone.

    Args:
        settings: Sizes.
    """

    def __init__(self, settings: CaptionLearning):
        super().__init__()
        self.embedding = nn.Embedding(256, settings.embedding, padding_idx=PAD)
        self.convolutions = nn.ModuleList()
        inputs = settings.embedding
        for layer, channels in enumerate(settings.channels):
            kernel = settings.kernel if layer < _POOLED else 3
            self.convolutions.append(nn.Conv1d(inputs, channels, kernel, padding=kernel // 2))
            inputs = channels
        self.hidden = nn.ModuleList()
        for width in settings.hidden:
            self.hidden.append(nn.Linear(inputs, width))
            inputs = width
        self.output = nn.Linear(inputs, 1)

    def forward(self, rows: torch.Tensor, kept: torch.Tensor | None = None) -> torch.Tensor:
        """Return scores.

        Args:
            rows: (B, W) uint8, as `padded` made them.
            kept: (B, last hidden width), the factors of dropout; None leaves it out.

        Returns:
            (B,) float32.
        """
        mask = (rows != PAD)[:, None].float()
        signal = self.embedding(rows.int()).transpose(1, 2)
        for layer, convolution in enumerate(self.convolutions):
            signal = functional.relu(convolution(signal)) * mask
            if layer < _POOLED:
                signal = functional.max_pool1d(signal, 3, ceil_mode=True)
                mask = functional.max_pool1d(mask, 3, ceil_mode=True)
        features = signal.amax(2)
        for layer in self.hidden:
            features = functional.relu(layer(features))
        if kept is not None:
            features = features * kept
        return self.output(features)[:, 0]


class CaptionLearner:
    """Scores captions and takes gradient steps; equal seeds and labels give equal networks.

    Args:
        settings: Sizes, rates, seed, device.

    Attributes:
        net: The network, on its device.
    """

    def __init__(self, settings: CaptionLearning):
        self._settings = settings
        self._device = torch_device(settings.device)
        with seeded(settings.seed):
            self.net = CaptionNet(settings)
        self.net.to(self._device)
        self._optimizer = torch.optim.Adam(self.net.parameters(), lr=settings.learning_rate)
        self._rng = np.random.default_rng(settings.seed)

    def scores(self, keys: Sequence[bytes]) -> NDArray[np.float64]:
        """Return the network's scores of captions, (len(keys),) float64.

        Captions of like length are computed together.
        """
        order = np.argsort([len(key) for key in keys], kind="stable")
        scores = np.zeros(len(keys))
        with torch.inference_mode():
            for first in range(0, len(keys), _CHUNK):
                chunk = order[first : first + _CHUNK]
                scores[chunk] = self.net(self._rows([keys[k] for k in chunk])).cpu().numpy()
        return scores

    def logits(self, keys: Sequence[Key]) -> NDArray[np.float64]:
        """Return the log-odds of the label 1: a caption's score, or the first's less the second's.

        Args:
            keys: Captions, or pairs of captions.
        """
        scores = self.scores([caption for key in keys for caption in key])
        return _log_odds(scores.reshape(len(keys), -1))

    def fit(self, keys: Sequence[Key], labels: NDArray[np.float64], steps: int) -> float:
        """Take gradient steps on the cross-entropy to labels, drawn with replacement.

        Args:
            keys: Captions, or pairs of captions; at least one.
            labels: (len(keys),) float64 in [0, 1].
            steps: How many.

        Returns:
            The mean loss over the steps.
        """
        settings, total = self._settings, torch.zeros((), device=self._device)
        for _ in range(steps):
            chosen = self._rng.integers(0, len(keys), settings.batch_size)
            captions = [caption for row in chosen.tolist() for caption in keys[row]]
            targets = torch.from_numpy(labels[chosen].astype(np.float32)).to(self._device)
            scores = self.net(self._rows(captions), self._kept(len(captions)))
            logits = _log_odds(scores.view(len(chosen), -1))
            loss = functional.binary_cross_entropy_with_logits(logits, targets)
            self._optimizer.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(self.net.parameters(), _LARGEST_GRADIENT)
            self._optimizer.step()
            total += loss.detach()
        return float(total) / steps

    def state_dict(self) -> dict[str, Any]:
        """Return network, optimizer and random numbers, on the CPU."""
        return {
            "network": to_cpu(dict(self.net.state_dict())),
            "optimizer": to_cpu(self._optimizer.state_dict()),
            "generator": self._rng.bit_generator.state,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned.

        Raises:
            ConfigError: the network has other sizes.
        """
        own = {name: tuple(part.shape) for name, part in self.net.state_dict().items()}
        other = {name: tuple(part.shape) for name, part in state["network"].items()}
        if own != other:
            raise ConfigError(
                f"The saved network of captions has layers {other}, this one {own}. Use the same "
                "embedding, channels, kernel and hidden."
            )
        self.net.load_state_dict(state["network"])
        self._optimizer.load_state_dict(to_cpu(state["optimizer"]))  # which would share it
        self._rng.bit_generator.state = state["generator"]

    def _rows(self, keys: Sequence[bytes]) -> torch.Tensor:
        return torch.from_numpy(padded(keys).copy()).to(self._device)

    def _kept(self, count: int) -> torch.Tensor | None:
        """Return the factors of dropout, drawn on the CPU so that a state holds their source."""
        share = self._settings.dropout
        if not share:
            return None
        drawn = self._rng.random((count, self._settings.hidden[-1]), np.float32) >= share
        return torch.from_numpy(drawn / np.float32(1 - share)).to(self._device)


def _log_odds(scores: Any) -> Any:
    """Return (B,) log-odds from (B, 1) scores of captions or (B, 2) of pairs."""
    return scores[:, 0] if scores.shape[1] == 1 else scores[:, 0] - scores[:, 1]
