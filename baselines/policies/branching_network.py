"""The network that scores branching candidates, in the two parts that SB3's policies have.

- `CandidateFeatures`: the features extractor, which looks at the candidates alone.
- `CandidateHeads`: scores and value from what the extractor found.
- `Embedded`: what passes between the two.
- `space_sizes`: the sizes of an observation space, which is refused if it is another one.
"""

from __future__ import annotations

from typing import Any, NamedTuple, cast

import torch
from gymnasium import spaces
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from torch import Tensor, nn

from rewardloom.baselines.branching.normalization import logarithmic, segment_means, standardized
from rewardloom.errors import ConfigError

__all__ = ["CandidateFeatures", "CandidateHeads", "Embedded", "Sizes", "space_sizes"]

_NEVER = -1e8  # sb3-contrib's logit of a masked action


class Sizes(NamedTuple):
    """Sizes of an observation space.

    Attributes:
        columns: Number n of columns, padding included.
        features: Number F of a candidate's features.
        nodes: Number G of a node's features.
    """

    columns: int
    features: int
    nodes: int


def space_sizes(space: spaces.Space[Any]) -> Sizes:
    """Return the sizes of the observations of a branching world with `observation="candidates"`.

    Raises:
        ConfigError: Another space.
    """
    parts = space.spaces if isinstance(space, spaces.Dict) else {}
    shapes = {name: part.shape or () for name, part in parts.items()}
    candidates, mask, node = (shapes.get(name, ()) for name in ("candidates", "mask", "node"))
    if len(candidates) != 2 or mask != candidates[:1] or len(node) != 1:
        found = ", ".join(shapes) or repr(space)
        raise ConfigError(
            "BranchingPolicy reads the observation 'candidates' (n, F) with 'mask' (n,) and "
            f"'node' (G,), got {found}. Make the world with observation='candidates', without "
            "wrappers that change it, or name another policy."
        )
    return Sizes(*candidates, node[0])


class Embedded(NamedTuple):
    """A batch of B decisions with N candidates in all.

    Attributes:
        candidates: (N, W) embeddings, decision after decision.
        context: (B, W + G) mean embedding of each decision and its node's features; zeros for the
            mean of a decision without candidates, as after the end of a search.
        decisions: (N,) int64, each candidate's decision.
        columns: (N,) int64, each candidate's column.
        width: Number of columns, padding included.
    """

    candidates: Tensor
    context: Tensor
    decisions: Tensor
    columns: Tensor
    width: int


class CandidateFeatures(BaseFeaturesExtractor):
    """Embeds the candidates of decisions, each with the same MLP.

    Features range over many orders of magnitude and are taken as signed logarithms. Beside them
    stands how many standard deviations each lies from the mean of its decision, and the node's
    features. Nothing is estimated from earlier data, so that a policy is the same function when it
    acts and when it learns. Only rows under the mask are computed. Our formulation.

    Args:
        observation_space: Of a branching world with `observation="candidates"`; its entry `scores`
            is not read.
        width: Units of each layer.

    Raises:
        ConfigError: Another observation space.
    """

    def __init__(self, observation_space: spaces.Dict, width: int = 64):
        _, features, nodes = space_sizes(observation_space)
        super().__init__(observation_space, width)
        self.embed = nn.Sequential(
            nn.Linear(2 * features + nodes, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU()
        )

    def forward(self, observations: dict[str, Tensor]) -> Embedded:
        """Embed `candidates` (B, n, F) under `mask` (B, n), with `node` (B, G)."""
        mask = observations["mask"] > 0
        nodes = logarithmic(observations["node"])
        decisions, columns = mask.nonzero(as_tuple=True)
        sizes = mask.sum(1, keepdim=True).clamp_min(1)
        values = logarithmic(observations["candidates"][decisions, columns])
        relative = standardized(values, decisions, sizes)
        embedded = self.embed(torch.cat([values, relative, nodes[decisions]], dim=1))
        context = torch.cat([segment_means(embedded, decisions, sizes), nodes], dim=1)
        return Embedded(embedded, context, decisions, columns, mask.shape[1])


class CandidateHeads(nn.Module):
    """Scores candidates and summarizes decisions for the value.

    Args:
        width: Units of each layer, those of the extractor.
        nodes: Number G of a node's features.
        default_action: Also score the action after the last column, SCIP's own rule.
    """

    def __init__(self, width: int, nodes: int, *, default_action: bool):
        super().__init__()
        self.of_candidate = nn.Linear(width, width)
        self.of_context = nn.Linear(width + nodes, width)
        self.score = nn.Linear(width, 1)
        self.default = nn.Linear(width, 1) if default_action else None
        self.critic = nn.Sequential(
            nn.Linear(width + nodes, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU()
        )

    def forward(self, features: Embedded) -> tuple[Tensor, Tensor]:
        """Return the logits and what the value is read from."""
        return self.forward_actor(features), self.forward_critic(features)

    def forward_actor(self, features: Embedded) -> Tensor:
        """Return (B, n) logits, or (B, n + 1) with the default action last.

        Columns that are no candidates have the logit of sb3-contrib's masks.
        """
        context = self.of_context(features.context)
        hidden = torch.relu(self.of_candidate(features.candidates) + context[features.decisions])
        logits = context.new_full((len(context), features.width), _NEVER)
        logits = logits.index_put(
            (features.decisions, features.columns), self.score(hidden).squeeze(1)
        )
        if self.default is None:
            return logits
        return torch.cat([logits, self.default(torch.relu(context))], dim=1)

    def forward_critic(self, features: Embedded) -> Tensor:
        """Return (B, W), what the value is read from."""
        return cast("Tensor", self.critic(features.context))
