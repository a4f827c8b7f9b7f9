"""`train`: double Q-learning on revived trajectories.

A value is bootstrapped from the decisions at the children of the node (`targets="tree"`), which is
local and stops at leaves, or from the decision n steps later in the order of the search
(`targets="steps"`). The tree's form takes a subtree's size to depend on nothing outside it. That
is exact only if other subtrees find no better solutions, and it is blind to the nodes that are open
when a search is truncated.

Returns are minus the nodes still to come, which vary by orders of magnitude from search to search,
and branching is compared by geometric means. So the network's values are `compress(Q)`, and the
Huber loss is taken there: one error of a factor two costs the same at any size. The map is
monotone, so the greedy choice is that of Q. (The form of the target is that of Pohlen et al. 2018,
arXiv 1805.11593, with a logarithm in place of their square root; TreeDQN, arXiv 2306.05905, learns
in logarithms as well.)
"""

from __future__ import annotations

import copy
import dataclasses
import time
from collections.abc import Callable

import numpy as np
import torch
from torch.nn import functional

from rewardloom.baselines.branching.revived.agent import RevivedAgent
from rewardloom.baselines.branching.revived.batches import Batch, Window
from rewardloom.baselines.branching.revived.graphs import moved
from rewardloom.baselines.branching.revived.network import Encoded, RevivedNetwork
from rewardloom.baselines.branching.revived.recorder import Recorder
from rewardloom.baselines.branching.revived.replay import Replay
from rewardloom.baselines.branching.revived.rewriting import RewardRewriter
from rewardloom.baselines.branching.revived.settings import RevivedConfig
from rewardloom.baselines.branching.revived.trajectories import own_costs
from rewardloom.envs.branching.world import MilpBranching

__all__ = ["RevivedConfig", "compress", "expand", "td_loss", "train"]

_LARGEST = 20.0  # compressed; e^20 nodes


def compress(values: torch.Tensor) -> torch.Tensor:
    """Return sign(x) log(1 + |x|)."""
    return values.sign() * values.abs().log1p()


def expand(values: torch.Tensor) -> torch.Tensor:
    """Return the inverse of `compress`, of values cut to 20."""
    return values.sign() * values.abs().clamp(max=_LARGEST).expm1()


def td_loss(
    network: RevivedNetwork, target: RevivedNetwork, batch: Batch, discount: float
) -> torch.Tensor:
    """Return the mean Huber loss of a batch's heads against double-Q targets.

    Args:
        network: What is trained; it chooses among the successors' candidates.
        target: Values what was chosen.
        batch: Decisions, paths and successors.
        discount: gamma^n, or gamma for the decisions at children.
    """
    encoded = network.encode(batch.graphs)
    summary = network.summarize(encoded, batch.chosen)
    values = _values(network, encoded, summary, batch, batch.heads)[batch.taken]
    with torch.no_grad():
        future = torch.zeros_like(values)
        if len(batch.successors.length):
            ranked = _values(network, encoded, summary, batch, batch.successors)
            best = _best(ranked, batch.successors)
            frozen = target.encode(batch.graphs)
            kept = target.summarize(frozen, batch.chosen)
            judged = _values(target, frozen, kept, batch, batch.successors)
            future = future.index_add(0, batch.followed, expand(judged[best]))
        wanted = compress(batch.reward + discount * future)
    return functional.smooth_l1_loss(values, wanted)


def _values(
    network: RevivedNetwork, encoded: Encoded, summary: torch.Tensor, batch: Batch, window: Window
) -> torch.Tensor:
    steps = window.steps(summary, batch.depth)
    return network.values(encoded, window.asked, network.context(steps))


def _best(values: torch.Tensor, window: Window) -> torch.Tensor:
    """Return for each decision the position of its largest value among all (C,)."""
    owner, slot = window.asked.owner, window.slot
    table = values.new_full((len(window.length), int(slot.max()) + 1), -torch.inf)
    table[owner, slot] = values
    firsts = torch.searchsorted(owner, torch.arange(len(table), device=owner.device))
    return firsts + table.argmax(1)


class _Learner:
    """Networks, memory and random numbers of one training."""

    def __init__(self, config: RevivedConfig):
        self.config = config
        self.device = torch.device(config.device)
        self.agent = RevivedAgent(
            config.history, config.width, config.heads, config.path, config.seed
        )
        self.network = self.agent.network.to(self.device)
        self.target = copy.deepcopy(self.network)
        self.optimizer = torch.optim.Adam(self.network.parameters(), config.learning_rate)
        self.replay = Replay(
            config.capacity,
            history=config.path if config.history else 0,
            n_steps=config.n_steps if config.targets == "steps" else None,
            gamma=config.gamma,
        )
        self.discount = config.gamma ** (config.n_steps if config.targets == "steps" else 1)
        options = config.redistribution
        self.rewriter = None if options is None else RewardRewriter(options)
        self.rng = np.random.default_rng(config.seed)
        self.decisions = self.gradient_steps = 0
        self.losses: list[float] = []

    def play(self, env: MilpBranching, seed: int | None) -> dict[str, float]:
        """Search one instance and keep the trajectory; return what is logged."""
        env.reset(seed=seed)
        self.agent.begin()
        recorder, over, truncated = Recorder(), False, False
        while not over:
            decision = env.decision
            assert decision is not None
            choice = self._choose(self.agent.values(decision))
            self.agent.take(choice)
            assert self.agent.graph is not None
            recorder.add(self.agent.graph, decision, choice)
            _, reward, terminated, truncated, _ = env.step(decision.candidates[choice])
            recorder.pay(float(reward))
            over = terminated or truncated
            self.decisions += 1
            self._learn_if_due()
        trajectory, record = recorder.finish(), env.last_episode
        assert record is not None
        raw = float(trajectory.reward.sum())
        if self.config.targets == "tree":
            costs = own_costs(trajectory.node, record.result.tree)
            trajectory = dataclasses.replace(trajectory, reward=costs)
        if self.rewriter is not None:
            trajectory = self.rewriter.rewrite(trajectory, record.result, truncated=truncated)
        self.replay.add(trajectory)
        return self._numbers(len(trajectory), record.result.nodes, raw)

    def _choose(self, values: np.ndarray) -> int:
        if self.rng.random() < self.config.explores(self.decisions):
            return int(self.rng.integers(len(values)))
        return int(values.argmax())

    def _learn_if_due(self) -> None:
        config = self.config
        if self.decisions < config.warmup or not len(self.replay):
            return
        if self.decisions % config.train_every == 0:
            self.learn()

    def learn(self) -> None:
        """Make one gradient step."""
        config = self.config
        batch = self.replay.sample(self.rng, config.stretches, config.stretch)
        batch = moved(batch, self.device)
        loss = td_loss(self.network, self.target, batch, self.discount)
        self.optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), config.max_gradient)
        self.optimizer.step()
        self.losses.append(float(loss.detach()))
        self.gradient_steps += 1
        if self.gradient_steps % config.target_every == 0:
            self.target.load_state_dict(self.network.state_dict())

    def _numbers(self, length: int, nodes: int, raw: float) -> dict[str, float]:
        losses, self.losses = self.losses, []
        return {
            "decisions": float(self.decisions),
            "gradient_steps": float(self.gradient_steps),
            "episode_decisions": float(length),
            "episode_nodes": float(nodes),
            "episode_return": raw,
            "epsilon": self.config.explores(self.decisions),
            "loss": float(np.mean(losses)) if losses else float("nan"),
            "memory": float(len(self.replay)),
        }


def train(
    config: RevivedConfig, log: Callable[[dict[str, float]], None] | None = None
) -> RevivedAgent:
    """Learn to branch; the same configuration gives the same agent, unless `minutes` ends it.

    Args:
        config: The world, the budget and the learner's numbers.
        log: Called after every search with `decisions` and `gradient_steps` so far,
            `episode_decisions`, `episode_nodes`, `episode_return` (of the world's own rewards),
            `epsilon`, `loss` (mean since the last search; nan without a gradient step) and
            `memory` (decisions kept).

    Raises:
        ConfigError: The world or the redistribution refuses an argument.
    """
    learner = _Learner(config)
    world = {"horizon": config.capacity, **config.world_kwargs}
    env = MilpBranching(**world, observation="graph", reward=config.reward)
    ends = float("inf") if config.minutes is None else time.monotonic() + 60 * config.minutes
    try:
        seed: int | None = config.seed
        while learner.decisions < config.decisions and time.monotonic() < ends:
            numbers = learner.play(env, seed)
            seed = None
            if log is not None:
                log(numbers)
    finally:
        env.close()
    learner.agent.begin()
    learner.network.cpu()
    return learner.agent
