"""REINFORCE on the search tree: a decision answers for the nodes below it and for no others.

- `ReinforceConfig`: what is learned, for how long.
- `train`: searches with sampled decisions and returns the `ScorerAgent` that they improved.
- `Episode`, `update`: a search, and one step of learning from some of them.
- `subtree_returns`, `advantages`: what a decision is worth.

Scavuzzo et al. (2022) take minus the size of the subtree as the return of a decision. It is exact
where subtrees do not influence each other: with `node_selection="dfs"` or `objective_limit=
"optimal"` in the world's arguments. Sizes spread over orders of magnitude, so that by default the
logarithm stands for them; that, and the baseline, are our formulation.
"""

from __future__ import annotations

import copy
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from rewardloom.baselines.branching.agents import load_agent
from rewardloom.baselines.branching.scorer import Ragged, ScorerAgent, log_softmax
from rewardloom.envs.branching.observations import node_features
from rewardloom.envs.branching.tree import TreeTable
from rewardloom.envs.branching.world import MilpBranching
from rewardloom.errors import ConfigError
from rewardloom.rewards.numbers import check_integer, check_number

__all__ = ["Episode", "ReinforceConfig", "advantages", "subtree_returns", "train", "update"]

Log = Callable[[dict[str, float]], None]

_RIDGE = 1e-3
_LEAST_SPREAD = 1e-6
_FEWEST = 30  # decisions for the fit of advantages


@dataclass(frozen=True, kw_only=True)
class ReinforceConfig:
    """How to learn from subtree sizes.

    Attributes:
        world_kwargs: Arguments of `MilpBranching`; it observes candidates and no scores.
        seed: Of the world, of the network and of its decisions.
        start: The agent to begin with, or its folder; None: a new one.
        episodes: Searches in all. A new agent's first `episodes_per_update` only tell the units of
            the features.
        episodes_per_update: Searches for one step of Adam.
        logarithm: Whether returns are minus the logarithm of the size instead of minus the size.
        entropy: Factor of the entropy bonus.
        learning_rate: Of Adam.
        max_gradient: Norm to which gradients are cut.
        width: Units of a new network's hidden layers.
        device: Where the network is trained and left.
    """

    world_kwargs: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0
    start: ScorerAgent | str | os.PathLike[str] | None = None
    episodes: int = 300
    episodes_per_update: int = 4
    logarithm: bool = True
    entropy: float = 0.003
    learning_rate: float = 3e-3
    max_gradient: float = 1.0
    width: int = 64
    device: str = "cpu"

    def __post_init__(self) -> None:
        """Refuse what cannot be trained with."""
        check_integer("seed", self.seed, least=0)
        for name in ("episodes", "episodes_per_update", "width"):
            check_integer(name, getattr(self, name))
        check_number("entropy", self.entropy, least=0)
        check_number("learning_rate", self.learning_rate, above=0)
        check_number("max_gradient", self.max_gradient, above=0)
        if self.world_kwargs.get("observation", "candidates") != "candidates":
            raise ConfigError("world_kwargs: REINFORCE observes 'candidates' only.")
        if self.world_kwargs.get("candidate_features", "gasse") != "gasse":
            raise ConfigError(
                "world_kwargs: REINFORCE reads candidate_features='gasse' only; leave them out."
            )
        if self.world_kwargs.get("scores") is not None:
            raise ConfigError("world_kwargs: REINFORCE takes no scores; leave them out.")


class Episode(NamedTuple):
    """One search of T decisions.

    Attributes:
        candidates: T arrays (K, 23) float32.
        nodes: T arrays (8,) float32.
        chosen: (T,) int64 indices of the candidates that were taken.
        returns: (T,) float64 of `subtree_returns`.
        size: Nodes of the whole search.
    """

    candidates: list[npt.NDArray[np.float32]]
    nodes: list[npt.NDArray[np.float32]]
    chosen: npt.NDArray[np.int64]
    returns: npt.NDArray[np.float64]
    size: int


def subtree_returns(
    tree: TreeTable, decided: npt.ArrayLike, *, logarithm: bool
) -> npt.NDArray[np.float64]:
    """Return minus the subtree size, or its logarithm, of each decision, (T,).

    A subtree counts processed nodes, that of the decision included; where a search was stopped at a
    limit, those that were processed until then.

    Args:
        tree: The search tree.
        decided: (T,) numbers of the nodes where the decisions were made; all are in the tree.
        logarithm: Whether to take the logarithm of the sizes.
    """
    order = np.argsort(tree.node)
    rows = order[np.searchsorted(tree.node, np.asarray(decided), sorter=order)]
    sizes = tree.subtree_size[rows].astype(np.float64)
    return -np.log(sizes) if logarithm else -sizes


def advantages(
    returns: npt.NDArray[np.float64], nodes: npt.NDArray[np.float32]
) -> npt.NDArray[np.float64]:
    """Return by how much returns exceed what their nodes let expect, in standard deviations, (T,).

    What is expected is linear in the node's features (depth, gaps, candidates, ...), by least
    squares with a small ridge over these T decisions. Below 30 decisions it is their mean: eight
    features fit about 8 / (T - 1) of whatever varies, luck and merit alike, all of it at T = 9.

    Args:
        returns: (T,).
        nodes: (T, 8) features of the nodes.
    """
    rest = returns - returns.mean()
    if len(returns) >= _FEWEST:
        known = nodes.astype(np.float64)
        known = (known - known.mean(0)) / np.maximum(known.std(0), _LEAST_SPREAD)
        ridge = _RIDGE * len(returns) * np.eye(known.shape[1])
        rest = rest - known @ np.linalg.solve(known.T @ known + ridge, known.T @ rest)
    return rest / max(float(rest.std()), _LEAST_SPREAD)


def train(config: ReinforceConfig, log: Log | None = None) -> ScorerAgent:
    """Search with sampled decisions and make those likelier that led to small subtrees.

    Args:
        config: What to learn.
        log: Called after every update, with `episodes` so far, `nodes` (geometric mean of the
            update's searches), `decisions`, `entropy` (mean over decisions, nats) and
            `gradient_norm`.

    Raises:
        ConfigError: World arguments or a start that do not fit.
    """
    agent = _first_agent(config)
    optimizer = torch.optim.Adam(agent.network.parameters(), config.learning_rate)
    rng = np.random.default_rng(config.seed)
    world = MilpBranching(**config.world_kwargs)
    try:
        world.reset(seed=config.seed)
        done = 0
        while done < config.episodes:
            count = min(config.episodes_per_update, config.episodes - done)
            episodes = [_search(world, agent, rng, config.logarithm) for _ in range(count)]
            if config.start is None and done == 0:
                agent.network.fit_units(_batch(episodes, config.device))
            else:
                learned = update(agent, optimizer, episodes, config)
                if log is not None:
                    log({"episodes": float(done + count), **_summary(episodes), **learned})
            done += count
    finally:
        world.close()
    return agent


def _first_agent(config: ReinforceConfig) -> ScorerAgent:
    """Return a new agent, or a copy of the one to begin with."""
    start = config.start
    if start is None:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            agent = ScorerAgent(config.width)
    else:
        given = load_agent(start) if isinstance(start, str | os.PathLike) else start
        if not isinstance(given, ScorerAgent):
            raise ConfigError(
                f"start is a {type(given).__name__}; REINFORCE begins with a ScorerAgent, as "
                "imitation and REINFORCE return it."
            )
        agent = copy.deepcopy(given)
    agent.network.to(config.device)
    return agent


def _search(
    world: MilpBranching, agent: ScorerAgent, rng: np.random.Generator, logarithm: bool
) -> Episode:
    """Run one search, each decision drawn from the softmax of the agent's scores."""
    world.reset()
    candidates, nodes, chosen, decided = [], [], [], []
    while (decision := world.decision) is not None:
        node = node_features(decision)
        scores = agent.score(decision.observation, node)
        choice = int(np.argmax(scores + rng.gumbel(size=len(scores))))
        candidates.append(decision.observation)
        nodes.append(node)
        chosen.append(choice)
        decided.append(decision.node)
        world.step(np.int64(decision.candidates[choice]))
    assert world.last_episode is not None
    tree = world.last_episode.result.tree
    returns = subtree_returns(tree, decided, logarithm=logarithm)
    return Episode(candidates, nodes, np.array(chosen), returns, len(tree))


def _batch(episodes: list[Episode], device: str) -> Ragged:
    return Ragged.of(
        [part for episode in episodes for part in episode.candidates],
        [node for episode in episodes for node in episode.nodes],
        device,
    )


def update(
    agent: ScorerAgent,
    optimizer: torch.optim.Optimizer,
    episodes: list[Episode],
    config: ReinforceConfig,
) -> dict[str, float]:
    """Take one step along the policy gradient of searches that the agent has just made.

    Args:
        agent: The learner.
        optimizer: Of its network.
        episodes: The searches.
        config: Entropy bonus, largest gradient and device.

    Returns:
        `entropy` and `gradient_norm`, as `train` logs them.
    """
    batch = _batch(episodes, config.device)
    segments = batch.segments
    returns = np.concatenate([episode.returns for episode in episodes])
    worth = torch.as_tensor(advantages(returns, batch.nodes.cpu().numpy()), device=segments.device)
    sizes = torch.bincount(segments)
    chosen = torch.as_tensor(np.concatenate([e.chosen for e in episodes]), device=segments.device)
    logs = log_softmax(agent.network(batch), segments)
    taken = logs[sizes.cumsum(0) - sizes + chosen]
    entropy = -(logs.exp() * logs).sum() / len(sizes)
    loss = -(worth.float() * taken).mean() - config.entropy * entropy
    optimizer.zero_grad()
    loss.backward()
    norm = torch.nn.utils.clip_grad_norm_(agent.network.parameters(), config.max_gradient)
    optimizer.step()
    return {"entropy": float(entropy.detach()), "gradient_norm": float(norm)}


def _summary(episodes: list[Episode]) -> dict[str, float]:
    return {
        "nodes": float(np.exp(np.mean(np.log([episode.size for episode in episodes])))),
        "decisions": float(sum(len(episode.chosen) for episode in episodes)),
    }
