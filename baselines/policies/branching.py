"""PPO on branching worlds: one network scores every candidate.

- `BranchingPolicy`: the policy of MaskablePPO, or PPO.
- `PpoAgent`: what a training run learned, as an agent that branches.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from gymnasium import spaces
from sb3_contrib.common.maskable.policies import MaskableMultiInputActorCriticPolicy
from stable_baselines3.common.type_aliases import Schedule
from torch import Tensor, nn

from rewardloom.baselines.policies.branching_network import (
    CandidateFeatures,
    CandidateHeads,
    space_sizes,
)
from rewardloom.baselines.training.algorithms import algorithm_class
from rewardloom.baselines.training.folder import RunFolder
from rewardloom.envs.branching.observations import (
    NODE_FEATURES,
    CandidateObservations,
    node_features,
)
from rewardloom.envs.branching.records import Decision
from rewardloom.errors import ConfigError, RunError, unknown_name
from rewardloom.rewards.numbers import check_integer, check_number

__all__ = ["BranchingPolicy", "PpoAgent"]

_OBSERVED = {"gasse": "candidates", "khalil": "khalil"}  # candidate_features -> observer's kind


class _Scaled(nn.Module):
    """A linear layer with one output in a unit of its own."""

    def __init__(self, width: int, unit: float):
        super().__init__()
        self.linear = nn.Linear(width, 1)
        self.unit = unit

    def forward(self, values: Tensor) -> Tensor:
        return self.unit * self.linear(values)


class BranchingPolicy(MaskableMultiInputActorCriticPolicy):
    """Scores every candidate with one network, whatever its column and however many there are.

    Logits follow columns that change places and do not depend on padding. Candidates are found in
    the observation's own mask, so that illegal actions have probability 0 with and without
    `action_masks`. The value is read from the mean over candidates and the node's features.

    A sum of nodes is far from 1, and its squared error would drown the policy's gradient. The
    value is therefore learned in units of `return_unit`: with `vf_coef = c / return_unit ** 2`
    PPO learns as if rewards were divided by it and `vf_coef` were c.

    Args:
        observation_space: Of a branching world with `observation="candidates"`.
        action_space: Its columns, and perhaps the default action.
        lr_schedule: Learning rate by remaining progress.
        width: Units of each layer.
        return_unit: What one unit of the value head's output is worth, > 0.
        use_sde: PPO passes it; must be False, for there is no noise in Discrete actions.
        optimizer_class: Of the weights.
        optimizer_kwargs: Its other arguments; None takes SB3's.

    Raises:
        ConfigError: Other spaces, or a number out of range.
    """

    def __init__(
        self,
        observation_space: spaces.Space[Any],
        action_space: spaces.Space[Any],
        lr_schedule: Schedule,
        *,
        width: int = 64,
        return_unit: float = 1.0,
        use_sde: bool = False,
        optimizer_class: type[torch.optim.Optimizer] = torch.optim.Adam,
        optimizer_kwargs: dict[str, Any] | None = None,
    ):
        self.width = check_integer("width", width)
        self.return_unit = check_number("return_unit", return_unit, above=0)
        if use_sde:
            raise ConfigError("use_sde is for continuous actions; branching is a choice. Leave it.")
        self.default_action = _has_default(observation_space, action_space)
        super().__init__(
            cast("spaces.Dict", observation_space),
            action_space,
            lr_schedule,
            net_arch=[],
            features_extractor_class=CandidateFeatures,
            features_extractor_kwargs={"width": width},
            optimizer_class=optimizer_class,
            optimizer_kwargs=optimizer_kwargs,
        )

    def _build_mlp_extractor(self) -> None:
        self.mlp_extractor: Any = CandidateHeads(
            self.width,
            space_sizes(self.observation_space).nodes,
            default_action=self.default_action,
        )

    def _build(self, lr_schedule: Schedule) -> None:
        """Build heads and optimizer; the first policy takes all candidates about equally."""
        self._build_mlp_extractor()
        heads = self.mlp_extractor
        self.action_net = nn.Identity()  # the heads' scores are the logits
        self.value_net: Any = _Scaled(self.width, self.return_unit)
        for module in (self.features_extractor, heads):
            module.apply(lambda part: self.init_weights(part, gain=np.sqrt(2)))
        for last in filter(None, (heads.score, heads.default)):
            self.init_weights(last, gain=0.01)
        self.init_weights(self.value_net.linear, gain=0.1)
        self.optimizer = self.optimizer_class(
            self.parameters(),
            lr=lr_schedule(1),  # pyright: ignore[reportCallIssue]  # every torch optimizer has it
            **self.optimizer_kwargs,
        )

    def _get_constructor_parameters(self) -> dict[str, Any]:
        wanted = ("observation_space", "action_space", "lr_schedule")
        wanted += ("optimizer_class", "optimizer_kwargs")
        data = super()._get_constructor_parameters()
        own = {"width": self.width, "return_unit": self.return_unit}
        return {name: data[name] for name in wanted} | own


def _has_default(observation_space: spaces.Space[Any], action_space: spaces.Space[Any]) -> bool:
    columns = space_sizes(observation_space).columns
    if isinstance(action_space, spaces.Discrete) and action_space.n in (columns, columns + 1):
        return bool(action_space.n > columns)
    raise ConfigError(
        f"BranchingPolicy needs Discrete({columns}) actions, one for each row of 'candidates', or "
        f"one more for SCIP's own rule; got {action_space}."
    )


class PpoAgent:
    """Branches as a trained `BranchingPolicy` does; only the candidates are computed.

    Args:
        width: Units of each layer.
        default_action: Whether SCIP's own rule is one of the actions.
        candidate_features: "gasse" or "khalil", as the world had them.

    Attributes:
        observation: "candidates" for features after Gasse et al., or "khalil".
        network: Extractor and heads, untrained until weights are loaded into it.

    Raises:
        ConfigError: Other features, or a width out of range.
    """

    def __init__(
        self, width: int = 64, default_action: bool = False, candidate_features: str = "gasse"
    ):
        if candidate_features not in _OBSERVED:
            raise ConfigError(unknown_name("candidate_features", candidate_features, _OBSERVED))
        self.settings: dict[str, Any] = {
            "width": check_integer("width", width),
            "default_action": bool(default_action),
            "candidate_features": candidate_features,
        }
        self.observation = _OBSERVED[candidate_features]
        space = CandidateObservations(1, khalil=self.observation == "khalil").space
        heads = CandidateHeads(width, len(NODE_FEATURES), default_action=default_action)
        self.network = nn.ModuleDict({"features": CandidateFeatures(space, width), "heads": heads})

    @classmethod
    def load(cls, run_folder: str | os.PathLike[str]) -> PpoAgent:
        """Return what a run of `rewardloom train` learned.

        Args:
            run_folder: The run's folder.

        Raises:
            RunError: The run is not there or has not ended.
            ConfigError: It learned another policy.
        """
        folder = RunFolder(Path(run_folder))
        config = folder.read_config(designs=False)
        if not folder.model.is_file():
            raise RunError(f"{folder.path} has no model.zip yet; finish it with --resume.")
        policy = algorithm_class(config, masked=True).load(folder.model, device="cpu").policy
        if not isinstance(policy, BranchingPolicy):
            raise ConfigError(
                f"{folder.path} learned a {type(policy).__name__}, no BranchingPolicy."
            )
        features = config.world_kwargs.get("candidate_features", "gasse")
        agent = cls(policy.width, policy.default_action, features)
        agent.network["features"].load_state_dict(policy.features_extractor.state_dict())
        agent.network["heads"].load_state_dict(policy.mlp_extractor.state_dict())
        agent.network.eval()
        return agent

    def begin(self) -> None:
        """Do nothing: no search is remembered."""

    @torch.no_grad()
    def choose(self, decision: Decision) -> int | None:
        """Return the most probable candidate, or None where SCIP's own rule is more probable."""
        observation = {
            "candidates": torch.as_tensor(decision.observation)[None],
            "mask": torch.ones(1, len(decision)),
            "node": torch.as_tensor(node_features(decision))[None],
        }
        heads = cast("CandidateHeads", self.network["heads"])
        best = int(heads.forward_actor(self.network["features"](observation)).argmax())
        return best if best < len(decision) else None
