"""`OnlineLearner`: a network that learns from every step once, while it is asked about it."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from rewardloom.errors import ConfigError, MissingDependency
from rewardloom.rewards.learning.device import check_device
from rewardloom.rewards.novelty.running import RunningMoments
from rewardloom.rewards.novelty.settings import NoveltyLearning

if TYPE_CHECKING:
    from rewardloom.rewards.novelty.networks import NoveltyNetwork

__all__ = ["OnlineLearner", "Rows"]

Rows: TypeAlias = dict[str, np.ndarray]
"""Part of a step ("obs", "action", "next_obs") -> (M, D) float32."""

_CLIP = 5.0  # Burda et al. 2018, section 2.4


class OnlineLearner:
    """A network, its optimizer, the normalization of what it reads, and the steps not yet trained.

    Observations are standardized by the running statistics of all observations reached, and
    clipped at +-5; actions are left alone.

    Args:
        settings: Sizes and schedule.
        build: Makes the network from the widths of the parts and the settings.

    Attributes:
        refits: How often it was trained.
        steps: Steps taken in, the warm-up's included.
        loss: Mean loss of the last training.

    Raises:
        ConfigError: `settings.device` does not exist.
        MissingDependency: torch is not installed.
    """

    def __init__(
        self,
        settings: NoveltyLearning,
        build: Callable[[dict[str, int], NoveltyLearning], NoveltyNetwork],
    ):
        if importlib.util.find_spec("torch") is None:
            raise MissingDependency(
                'Novelty networks need torch. Run: pip install "rewardloom[baselines]"'
            )
        check_device(settings.device)
        self._settings = settings
        self._build = build
        self._network: NoveltyNetwork | None = None
        self._optimizer: Any = None
        self._widths: dict[str, int] = {}
        self._order = np.zeros(0)
        self._moments = RunningMoments()
        self._waiting: list[Rows] = []
        self._waiting_steps = 0
        self._rng = np.random.default_rng(settings.seed)
        self.refits = 0
        self.steps = 0
        self.loss = 0.0

    @property
    def warm(self) -> bool:
        """Whether the warm-up is over."""
        return self.steps > self._settings.warmup_steps

    def order(self, rows: Rows) -> np.ndarray:
        """Return an order of the rows of a tick that does not depend on their slots.

        Rounding depends on the order of rows; in this one it does not depend on that of the slots.
        """
        self._require(rows)
        start = 0
        key = np.zeros(len(rows["next_obs"]), np.float32)
        for part, width in self._widths.items():
            key += rows[part] @ self._order[start : start + width]
            start += width
        return np.argsort(key, kind="stable")

    def observe(self, rows: Rows) -> None:
        """Take a tick's rows into the statistics."""
        self._require(rows)
        self._moments.update(rows["next_obs"])
        self.steps += len(rows["next_obs"])

    def ask(self, rows: Rows) -> np.ndarray:
        """Return what the network measures on the parts that it reads for it, (M, C) float64."""
        import torch

        network = self._require(rows)
        with torch.inference_mode():
            answer = network.measure(self._tensors(rows))
        return answer.cpu().numpy().astype(np.float64)

    def learn(self, rows: Rows) -> None:
        """Keep a tick's rows for the next training, and train if it is time."""
        self._waiting.append(rows)
        self._waiting_steps += len(rows["next_obs"])
        if self._waiting_steps >= self._settings.train_every:
            joined = {part: np.concatenate([r[part] for r in self._waiting]) for part in rows}
            self._waiting, self._waiting_steps = [], 0
            self._train(joined)

    def state_dict(self) -> dict[str, Any]:
        """Return all of it; tensors are on the CPU."""
        state: dict[str, Any] = {
            "widths": dict(self._widths),
            "moments": self._moments.state_dict(),
            "waiting": [dict(rows) for rows in self._waiting],
            "generator": self._rng.bit_generator.state,
            "refits": self.refits,
            "steps": self.steps,
            "loss": self.loss,
        }
        if self._network is not None:
            from rewardloom.rewards.learning.networks import to_cpu

            state["network"] = to_cpu(self._network.state_dict())
            state["optimizer"] = to_cpu(self._optimizer.state_dict())
        return state

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` returned, on this learner's device."""
        self._network = None
        if "network" in state:
            from rewardloom.rewards.learning.networks import to_cpu

            network = self._make(dict(state["widths"]))
            network.load_state_dict(state["network"])
            self._optimizer.load_state_dict(to_cpu(state["optimizer"]))  # which would share it
        self._moments.load_state_dict(state["moments"])
        self._waiting = [dict(rows) for rows in state["waiting"]]
        self._waiting_steps = sum(len(rows["next_obs"]) for rows in self._waiting)
        self._rng.bit_generator.state = state["generator"]
        self.refits = int(state["refits"])
        self.steps = int(state["steps"])
        self.loss = float(state["loss"])

    def _train(self, rows: Rows) -> None:
        import torch

        network, optimizer, settings = self._require(rows), self._optimizer, self._settings
        tensors = self._tensors(rows)
        network.prepare(tensors)
        count, losses = len(rows["next_obs"]), []
        for _ in range(settings.epochs):
            order = torch.from_numpy(self._rng.permutation(count)).to(network.device)
            for batch in order.split(settings.batch_size):
                loss = network.loss({part: tensor[batch] for part, tensor in tensors.items()})
                optimizer.zero_grad(set_to_none=True)
                loss.backward()
                optimizer.step()
                losses.append(loss.detach())
        self.loss = float(torch.stack(losses).mean())
        self.refits += 1

    def _tensors(self, rows: Rows) -> dict[str, Any]:
        """Return the parts on the device, observations standardized and clipped."""
        import torch

        network = self._require(rows)
        mean, scale = self._moments.mean, self._moments.deviation
        tensors = {}
        for part, values in rows.items():
            if part != "action":
                values = np.clip((values - mean) / scale, -_CLIP, _CLIP).astype(np.float32)
            tensors[part] = torch.from_numpy(values).to(network.device)
        return tensors

    def _require(self, rows: Rows) -> NoveltyNetwork:
        """Return the network, made at the first rows."""
        widths = {part: values.shape[1] for part, values in rows.items()}
        if self._network is None:
            return self._make(widths)
        if widths != {part: self._widths[part] for part in widths}:
            raise ConfigError(
                f"The network reads {self._widths} numbers per step, but these steps have "
                f"{widths}. One design serves one world."
            )
        return self._network

    def _make(self, widths: dict[str, int]) -> NoveltyNetwork:
        from rewardloom.rewards.novelty.networks import new_optimizer

        self._widths = widths
        rng = np.random.default_rng(0)
        self._order = rng.standard_normal(sum(widths.values())).astype(np.float32)
        self._network = self._build(widths, self._settings)
        self._optimizer = new_optimizer(self._network, self._settings.learning_rate)
        return self._network
