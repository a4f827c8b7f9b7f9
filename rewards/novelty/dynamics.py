"""Networks of a world's dynamics; importing this module needs torch.

- `InverseDynamics`: an embedding from which the action between two states can be told.
- `Curiosity`: that, and a prediction of the next embedding (ICM).
- `LifelongEmbedding`: that, and a `Distillation` (NGU).
- `categorical_sizes`: which columns of flat actions are one choice.
"""

from __future__ import annotations

from typing import Any

import torch

from rewardloom.rewards.learning.device import torch_device
from rewardloom.rewards.novelty.networks import (
    Distillation,
    NoveltyNetwork,
    Parts,
    perceptron,
)
from rewardloom.rewards.novelty.settings import NoveltyLearning

__all__ = ["Curiosity", "InverseDynamics", "LifelongEmbedding", "categorical_sizes"]


class InverseDynamics(NoveltyNetwork):
    """Embeds states so that the action between two of them can be told, and little else.

    Actions that are choices are told with a cross-entropy, summed over the choices of a
    MultiDiscrete action; all others with a squared error.

    Args:
        widths: Width of each part.
        settings: Sizes, seed and device.
    """

    def __init__(self, widths: dict[str, int], settings: NoveltyLearning):
        super().__init__()
        hidden, features = settings.hidden, settings.features
        self.encoder = perceptron([widths["next_obs"], *hidden, features], settings.seed, "encoder")
        self.head = perceptron(
            [2 * features, *hidden[-1:], widths["action"]], settings.seed, "head"
        )
        self._sizes: tuple[int, ...] | None = None
        self.to(torch_device(settings.device))

    def prepare(self, parts: Parts) -> None:
        """Find out, at the first training, which columns of an action are choices."""
        if self._sizes is None:
            self._sizes = categorical_sizes(parts["action"])

    def measure(self, parts: Parts) -> torch.Tensor:
        """Return the embeddings of the states reached, (M, features)."""
        return self.encoder(parts["next_obs"])

    def loss(self, parts: Parts) -> torch.Tensor:
        """Return how badly the actions are told."""
        return self.action_loss(
            self.encoder(parts["obs"]), self.encoder(parts["next_obs"]), parts["action"]
        )

    def action_loss(
        self, before: torch.Tensor, after: torch.Tensor, action: torch.Tensor
    ) -> torch.Tensor:
        """Return the loss of telling (M, A) actions from two embeddings."""
        told = self.head(torch.cat([before, after], 1))
        if not self._sizes:
            return (told - action).square().sum(1).mean()
        pairs = zip(told.split(self._sizes, 1), action.split(self._sizes, 1), strict=True)
        return sum(
            (-(chosen * scores.log_softmax(1)).sum(1).mean() for scores, chosen in pairs),
            torch.zeros((), device=told.device),
        )

    def get_extra_state(self) -> Any:
        """Return which columns are choices; part of the state."""
        return self._sizes

    def set_extra_state(self, state: Any) -> None:
        """Restore what `get_extra_state` returned."""
        self._sizes = state


class Curiosity(NoveltyNetwork):
    """Inverse dynamics, and a forward model that predicts the next embedding.

    Args:
        widths: Width of each part.
        settings: Sizes, seed and device.
        beta: Weight of the forward model's loss, in [0, 1]; the inverse one's is 1 - beta.
    """

    def __init__(self, widths: dict[str, int], settings: NoveltyLearning, beta: float):
        super().__init__()
        features = settings.features
        self.inverse = InverseDynamics(widths, settings)
        self.forward_model = perceptron(
            [features + widths["action"], *settings.hidden[-1:], features],
            settings.seed,
            "forward",
        )
        self._beta = beta
        self.to(torch_device(settings.device))

    def prepare(self, parts: Parts) -> None:
        """See `InverseDynamics.prepare`."""
        self.inverse.prepare(parts)

    def measure(self, parts: Parts) -> torch.Tensor:
        """Return half the squared errors of the predicted embeddings, (M, 1)."""
        return self._errors(*self._embedded(parts), parts["action"])

    def loss(self, parts: Parts) -> torch.Tensor:
        """Return (1 - beta) * inverse loss + beta * forward loss."""
        before, after = self._embedded(parts)
        inverse = self.inverse.action_loss(before, after, parts["action"])
        forward = self._errors(before, after, parts["action"]).mean()
        return (1.0 - self._beta) * inverse + self._beta * forward

    def _embedded(self, parts: Parts) -> tuple[torch.Tensor, torch.Tensor]:
        both = self.inverse.encoder(torch.cat([parts["obs"], parts["next_obs"]]))
        before, after = both.split(len(parts["obs"]))
        return before, after

    def _errors(
        self, before: torch.Tensor, after: torch.Tensor, action: torch.Tensor
    ) -> torch.Tensor:
        predicted = self.forward_model(torch.cat([before, action], 1))
        return 0.5 * (predicted - after).square().sum(1, keepdim=True)


class LifelongEmbedding(NoveltyNetwork):
    """Inverse dynamics, and a distillation that tells what is new over all of training.

    Args:
        widths: Width of each part.
        settings: Sizes, seed and device.
    """

    def __init__(self, widths: dict[str, int], settings: NoveltyLearning):
        super().__init__()
        self.inverse = InverseDynamics(widths, settings)
        self.distillation = Distillation(widths, settings)

    def prepare(self, parts: Parts) -> None:
        """See `InverseDynamics.prepare`."""
        self.inverse.prepare(parts)

    def measure(self, parts: Parts) -> torch.Tensor:
        """Return the embeddings and the error of the distillation, (M, features + 1)."""
        return torch.cat([self.inverse.measure(parts), self.distillation.measure(parts)], 1)

    def loss(self, parts: Parts) -> torch.Tensor:
        """Return the sum of both losses, which share no weights."""
        return self.inverse.loss(parts) + self.distillation.loss(parts)


def categorical_sizes(actions: torch.Tensor) -> tuple[int, ...]:
    """Return how many neighboring columns make up each choice, () if some are no choices.

    A flat Discrete action has one 1 among zeros, a MultiDiscrete one in each choice. A column
    that no action has used yet counts to the choice before it.

    Args:
        actions: (M, A), the more the surer.
    """
    if actions.shape[1] < 2 or not bool(((actions == 0) | (actions == 1)).all()):
        return ()
    chosen = actions.cumsum(1)
    count = int(chosen[0, -1])
    if not count or not bool((chosen[:, -1] == count).all()):
        return ()
    ends = []
    for choice in range(1, count + 1):
        whole = (chosen == choice).all(0).nonzero()
        if not len(whole):
            return ()
        ends.append(int(whole[-1]) + 1)
    return tuple(end - start for start, end in zip([0, *ends[:-1]], ends, strict=True))
