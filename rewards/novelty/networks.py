"""The networks that tell what is new; importing this module needs torch.

- `NoveltyNetwork`: what a learner trains.
- `Distillation`: a predictor of a fixed random network (RND).
- `new_optimizer`: Adam over what is trained.
"""

from __future__ import annotations

import abc
from collections.abc import Sequence

import numpy as np
import torch
from torch import nn

from rewardloom.rewards.learning.device import torch_device
from rewardloom.rewards.learning.networks import mlp, seeded
from rewardloom.rewards.novelty.settings import NoveltyLearning

__all__ = ["Distillation", "NoveltyNetwork", "Parts", "new_optimizer", "perceptron"]

Parts = dict[str, torch.Tensor]
"""Part of a step ("obs", "action", "next_obs") -> (M, D) float32."""


class NoveltyNetwork(nn.Module, abc.ABC):
    """A network that is trained on steps."""

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        return next(self.parameters()).device

    def prepare(self, parts: Parts) -> None:
        """Look at all steps of a training before it begins."""

    @abc.abstractmethod
    def measure(self, parts: Parts) -> torch.Tensor:
        """Return what a design reads of the network, (M, C)."""

    @abc.abstractmethod
    def loss(self, parts: Parts) -> torch.Tensor:
        """Return the loss of a minibatch of steps, a scalar."""


class Distillation(NoveltyNetwork):
    """A predictor of the features that a fixed random network gives to the state reached.

    Args:
        widths: Width of each part.
        settings: Sizes, seed and device.
    """

    def __init__(self, widths: dict[str, int], settings: NoveltyLearning):
        super().__init__()
        sizes = [widths["next_obs"], *settings.hidden, settings.features]
        self.target = perceptron(sizes, settings.seed, "target").requires_grad_(False)
        self.predictor = perceptron(sizes, settings.seed, "predictor")
        self.to(torch_device(settings.device))

    def measure(self, parts: Parts) -> torch.Tensor:
        """Return the squared distances of prediction and target, (M, 1)."""
        rows = parts["next_obs"]
        return (self.predictor(rows) - self.target(rows)).square().sum(1, keepdim=True)

    def loss(self, parts: Parts) -> torch.Tensor:
        """Return the mean squared distance."""
        return self.measure(parts).mean()


def perceptron(sizes: Sequence[int], seed: int, name: str) -> nn.Sequential:
    """Return a seeded perceptron of orthogonal layers, which keep the scale of their inputs.

    Args:
        sizes: Of its layers, input and output included.
        seed: Of the design.
        name: Of the network in the design: equal seeds give every name weights of its own.
    """
    own = int(np.random.SeedSequence([seed, *name.encode()]).generate_state(1)[0])
    network = mlp(sizes, seed=own)
    with seeded(own):
        for layer in network:
            if isinstance(layer, nn.Linear):
                nn.init.orthogonal_(layer.weight, 2.0**0.5)
                nn.init.zeros_(layer.bias)
    return network


def new_optimizer(network: nn.Module, learning_rate: float) -> torch.optim.Optimizer:
    """Return Adam over the parameters that are trained."""
    trained = [p for p in network.parameters() if p.requires_grad]
    return torch.optim.Adam(trained, lr=learning_rate, fused=True)
