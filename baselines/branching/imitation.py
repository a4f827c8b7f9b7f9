"""Imitation of strong branching: a network learns which candidate it would take.

- `ImitationConfig`: what is learned, from how much.
- `train`: collects decisions, fits a `ScorerAgent` to them and returns it.
- `targets`: what the network is to give for a decision's scores.
- `rate`: accuracy and the like.

Gasse et al. (2019) collect decisions along searches in which a weaker rule mostly decides, so that
the learner sees nodes that the expert would avoid, and train by cross-entropy. Targets with a
temperature are our formulation. So is the network: an MLP over candidates instead of a graph
network.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from rewardloom.baselines.branching.demonstrations import Collector, Demonstrations
from rewardloom.baselines.branching.scorer import Ragged, ScorerAgent, argmax, log_softmax
from rewardloom.rewards.numbers import check_integer, check_number

__all__ = ["ImitationConfig", "Labelled", "fit", "rate", "targets", "train"]

Log = Callable[[dict[str, float]], None]

_EQUAL = 1e-6  # relative difference up to which scores tie
_LEAST_SCORE = 1e-12


@dataclass(frozen=True, kw_only=True)
class ImitationConfig:
    """How to imitate strong branching.

    Attributes:
        world_kwargs: Arguments of `MilpBranching` that choose instances and how SCIP searches.
        seed: Of instances, of what is labelled, of the network and its training.
        decisions: Decisions that are labelled.
        expert_share: Probability that a decision is labelled, and made by strong branching; SCIP's
            rule `pscost` makes the others.
        held_out_share: Share of the decisions that tells when to stop, the last ones.
        temperature: Of the targets; see `targets`.
        epochs: Most passes over the data.
        patience: Passes without a better held-out loss after which training ends.
        batch_size: Decisions in a batch.
        learning_rate: Of Adam.
        width: Units of the network's hidden layers.
        device: Where the network is trained and left.
    """

    world_kwargs: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0
    decisions: int = 1500
    expert_share: float = 0.1
    held_out_share: float = 0.15
    temperature: float = 0.3
    epochs: int = 100
    patience: int = 10
    batch_size: int = 32
    learning_rate: float = 1e-3
    width: int = 64
    device: str = "cpu"

    def __post_init__(self) -> None:
        """Refuse what cannot be trained with."""
        check_integer("seed", self.seed, least=0)
        check_integer("decisions", self.decisions, least=2)
        for name in ("epochs", "patience", "batch_size", "width"):
            check_integer(name, getattr(self, name))
        check_number("expert_share", self.expert_share, above=0, most=1)
        check_number("held_out_share", self.held_out_share, above=0, most=0.9)
        check_number("temperature", self.temperature, least=0)
        check_number("learning_rate", self.learning_rate, above=0)


def targets(scores: Tensor, segments: Tensor, temperature: float) -> Tensor:
    """Return the probabilities that the network is to give to candidates, (N,) float32.

    They go with `score ** (1 / temperature)`, which does not depend on the unit of the scores, and
    sum to 1 in each decision. A temperature of 0 leaves the best, with equal chances.

    Args:
        scores: (N,) float64 strong-branching scores, 0 or more.
        segments: (N,) each candidate's decision, ascending from 0 without gaps.
        temperature: 0 or more.
    """
    logs = scores.clamp_min(_LEAST_SCORE).log()
    below = logs[argmax(scores, segments)][segments] - logs
    if temperature:
        logits = -below / temperature
    else:
        logits = torch.where(below <= _EQUAL, 0.0, -torch.inf).to(logs.dtype)
    return log_softmax(logits, segments).exp().float()


class Labelled(NamedTuple):
    """Decisions with what the network is to give for them.

    Attributes:
        batch: The decisions.
        scores: (N,) float64 strong-branching scores.
        targets: (N,) float32 probabilities.
        sizes: (D,) int64 numbers of candidates.
    """

    batch: Ragged
    scores: Tensor
    targets: Tensor
    sizes: Tensor

    @classmethod
    def of(cls, found: Demonstrations, temperature: float, device: str = "cpu") -> Labelled:
        """Prepare demonstrations for training."""
        sizes = torch.as_tensor(found.sizes, device=device)
        segments = torch.repeat_interleave(sizes)
        candidates = torch.as_tensor(found.candidates, device=device)
        batch = Ragged(candidates, torch.as_tensor(found.nodes, device=device), segments)
        scores = torch.as_tensor(found.scores, device=device)
        return cls(batch, scores, targets(scores, segments, temperature), sizes)

    def take(self, decisions: Tensor) -> Labelled:
        """Return some of the decisions, in the order asked for."""
        sizes = self.sizes[decisions]
        segments = torch.repeat_interleave(sizes)
        first = (self.sizes.cumsum(0) - self.sizes)[decisions] - (sizes.cumsum(0) - sizes)
        rows = first[segments] + torch.arange(len(segments), device=segments.device)
        batch = Ragged(self.batch.candidates[rows], self.batch.nodes[decisions], segments)
        return Labelled(batch, self.scores[rows], self.targets[rows], sizes)


@torch.no_grad()
def rate(agent: ScorerAgent, held_out: Labelled) -> dict[str, float]:
    """Return how well an agent's scores agree with strong branching's.

    Of candidates that the agent scores alike it takes the first, and so do these numbers.

    Returns:
        `held_out_loss`: cross-entropy above the least possible.
        `accuracy`: share of decisions where the agent's first is one of the best.
        `top_5_accuracy`: share where one of the best is among the agent's first five.
        `score_ratio`: mean score of the agent's first over the best score; 1 where that is 0.
    """
    batch, scores, segments = held_out.batch, held_out.scores, held_out.batch.segments
    mine = agent.network(batch)
    best = scores[argmax(scores, segments)]
    chosen = scores[argmax(mine, segments)]
    is_best = scores >= best[segments] * (1 - _EQUAL)
    first_best = argmax(mine.masked_fill(~is_best, -torch.inf), segments)[segments]
    earlier = torch.arange(len(mine), device=mine.device) < first_best
    before = (mine > mine[first_best]) | ((mine == mine[first_best]) & earlier)
    ahead = torch.bincount(segments, before, minlength=len(best))
    ratio = torch.where(best > 0, chosen / best.clamp_min(_LEAST_SCORE), 1.0)
    return {
        "held_out_loss": float(_loss(mine, held_out)),
        "accuracy": float((ahead == 0).double().mean()),
        "top_5_accuracy": float((ahead < 5).double().mean()),
        "score_ratio": float(ratio.mean()),
    }


def fit(
    agent: ScorerAgent,
    training: Labelled,
    held_out: Labelled,
    config: ImitationConfig,
    log: Log | None = None,
) -> None:
    """Train until the held-out loss stops falling, and leave the agent with its best weights.

    Args:
        agent: The learner.
        training: What it learns from.
        held_out: What tells when to stop.
        config: Epochs, patience, batch size, learning rate and seed.
        log: Called after every epoch, with `epoch`, `loss` and what `rate` returns.
    """
    network = agent.network
    optimizer = torch.optim.Adam(network.parameters(), config.learning_rate)
    generator = torch.Generator().manual_seed(config.seed)
    best, kept, kept_at = np.inf, copy.deepcopy(network.state_dict()), 0
    for epoch in range(1, config.epochs + 1):
        losses = []
        for part in _batches(training, config.batch_size, generator):
            loss = _loss(network(part.batch), part)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.detach())
        rated = rate(agent, held_out)
        if log is not None:
            log({"epoch": float(epoch), "loss": float(torch.stack(losses).mean()), **rated})
        if rated["held_out_loss"] < best:
            best, kept, kept_at = rated["held_out_loss"], copy.deepcopy(network.state_dict()), epoch
        if epoch - kept_at >= config.patience:
            break
    network.load_state_dict(kept)


def train(config: ImitationConfig, log: Log | None = None) -> ScorerAgent:
    """Collect decisions, label them by strong branching, and train an agent on them.

    Args:
        config: What to learn.
        log: Called after every search with `labelled`, then after every epoch with `epoch`, `loss`
            and what `rate` returns.

    Raises:
        ConfigError: World arguments that do not fit, or instances without a decision.
    """
    rng = np.random.default_rng(config.seed)
    collector = Collector(config.world_kwargs, rng, expert_share=config.expert_share)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        agent = ScorerAgent(config.width)
    agent.network.to(config.device)
    found = collector.collect(config.decisions, log)
    kept = round(config.decisions * (1 - config.held_out_share))
    kept = min(max(kept, 1), config.decisions - 1)
    known, rest = (
        Labelled.of(part, config.temperature, config.device)
        for part in (found[:kept], found[kept:])
    )
    agent.network.fit_units(known.batch)
    fit(agent, known, rest, config, log)
    return agent


def _loss(scores: Tensor, part: Labelled) -> Tensor:
    """Return the mean over decisions of the divergence of the network's choice from the targets."""
    expected = torch.special.xlogy(part.targets, part.targets)
    given = part.targets * log_softmax(scores, part.batch.segments)
    return (expected - given).sum() / len(part.sizes)


def _batches(data: Labelled, size: int, generator: torch.Generator) -> Iterator[Labelled]:
    order = torch.randperm(len(data.sizes), generator=generator).to(data.sizes.device)
    return (data.take(part) for part in order.split(size))
