"""`RevivedConfig`: how the revived-trajectory learner learns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from rewardloom.envs.branching.arguments import check_choice
from rewardloom.errors import ConfigError
from rewardloom.rewards.learning.device import check_device
from rewardloom.rewards.numbers import check_integer, check_number

__all__ = ["RevivedConfig"]

_OWN = ("observation", "reward", "default_action", "illegal_action", "scores", "render_mode")
_COUNTS = (
    "decisions",
    "capacity",
    "path",
    "n_steps",
    "stretches",
    "stretch",
    "train_every",
    "warmup",
    "target_every",
    "width",
    "heads",
)


@dataclass(frozen=True)
class RevivedConfig:
    """How the revived-trajectory learner learns.

    Args:
        world_kwargs: Arguments of `MilpBranching`. Without `horizon`, a search is truncated after
            `capacity` decisions.
        seed: Of instances, weights, exploration and samples.
        decisions: The budget; a search that has begun is played to its end.
        minutes: Also stop after this time, so that a run depends on the machine; None for no limit.
        history: Whether the network sees the path to a node.
        targets: What a value is learned from. "tree": the decision's own reward and the values of
            the decisions at the children of its node, so the rewards of the subtree below it (after
            TreeDQN, arXiv 2306.05905). "steps": the rewards of `n_steps` decisions in the order of
            the search and the value of the next, so all rewards still to come.
        redistribution: Arguments of `RedistributeDesign` that rewrite a search's rewards when it
            ends, see `RewardRewriter`; None keeps them. Their sum stays. Both kinds of targets
            read the rewritten rewards.
        reward: With "steps", the world's component that is learned from. The default, the size of
            the tree at the end, says nothing before the end. "nodes" pays the same as the search
            goes on. With "log_tree_size" shares of one return would be shares of a logarithm,
            which are not nodes. "tree" targets do not read it: there a decision's reward is minus
            the processed nodes that are its own, see `own_costs`; their sum is minus the tree's
            size.
        learning_rate: Of Adam.
        capacity: Decisions in memory, at most. One takes 55 kB with 500 columns, 300 rows
            and 100 candidates.
        path: K, decisions of a path.
        n_steps: n, decisions from one value to the next with "steps".
        gamma: Discount for each decision of the search, or each level of the tree.
        stretches: Stretches of trajectories in a gradient step.
        stretch: Decisions of a stretch.
        train_every: Decisions between two gradient steps.
        warmup: Decisions before the first.
        target_every: Gradient steps between two copies to the target network.
        exploration: Decisions over which the share of random choices falls in a straight line.
        epsilon: That share at the start and after it.
        max_gradient: Norm to which gradients are clipped.
        width: Of the network.
        heads: Attention heads.
        device: "cpu", or a GPU such as "cuda".

    Raises:
        ConfigError: A value is out of range, the device does not exist, or `world_kwargs` holds
            what the learner sets itself.
    """

    world_kwargs: Mapping[str, Any] = field(default_factory=dict[str, Any])
    seed: int = 0
    decisions: int = 10_000
    minutes: float | None = None
    history: bool = True
    targets: str = "tree"
    redistribution: Mapping[str, Any] | None = None
    reward: str = "tree_size"
    learning_rate: float = 1e-3
    capacity: int = 20_000
    path: int = 16
    n_steps: int = 3
    gamma: float = 1.0
    stretches: int = 2
    stretch: int = 16
    train_every: int = 4
    warmup: int = 300
    target_every: int = 50
    exploration: int = 1_000
    epsilon: tuple[float, float] = (1.0, 0.05)
    max_gradient: float = 10.0
    width: int = 64
    heads: int = 4
    device: str = "cpu"

    def __post_init__(self) -> None:
        for name in _COUNTS:
            check_integer(name, getattr(self, name))
        check_integer("seed", self.seed, least=0)
        check_choice("targets", self.targets, ("tree", "steps"))
        check_integer("exploration", self.exploration, least=0)
        for name in ("learning_rate", "max_gradient"):
            check_number(name, getattr(self, name), above=0.0)
        check_number("gamma", self.gamma, above=0.0, most=1.0)
        if self.minutes is not None:
            check_number("minutes", self.minutes, above=0.0)
        for share in self.epsilon:
            check_number("epsilon", share, least=0.0, most=1.0)
        if self.width % self.heads:
            raise ConfigError(f"heads={self.heads} must divide width={self.width}.")
        for name in _OWN:
            if name in self.world_kwargs:
                raise ConfigError(f"The learner sets {name} itself; leave it out of world_kwargs.")
        check_device(self.device)

    def explores(self, decision: int) -> float:
        """Return the share of random choices at a decision, counted from 0."""
        first, last = self.epsilon
        passed = min(1.0, decision / self.exploration) if self.exploration else 1.0
        return first + passed * (last - first)
