"""What happened in each training episode, kept in `episodes.csv` and in the log.

- `EpisodeCallback`: adds up returns, the world's metrics and the designs' columns.

Columns:
    step: environment steps taken when the episode ended.
    raw_return: sum of the world's own reward.
    shaped_return: sum of what the agent was paid; empty for episodes of a rollout that was broken
        off before a design on the training buffer had paid it.
    length: steps of the episode.
    metric_<name>: the world's `info["episode_metrics"]`, and `is_success`.
    design_<name>_<column>: sum over the episode of a design's numbers; with "_mean" or "_last"
        behind it what else the design's `reductions` ask for.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from numbers import Real
from typing import Any

import numpy as np
from stable_baselines3.common.callbacks import BaseCallback

from rewardloom.baselines.plugs.relabel_on_policy import OnPolicyRelabeller
from rewardloom.baselines.training.tables import WINDOW, CsvTable
from rewardloom.rewards.design import RewardDesign, reductions

__all__ = ["EpisodeCallback"]


class EpisodeCallback(BaseCallback):
    """Accounts for every training episode and logs the means of the last 100.

    Args:
        table: Receives one row per finished episode.
        designs: info key -> design.
        relabeller: What decides in the training buffer what the agent is paid, or None.
    """

    def __init__(
        self,
        table: CsvTable,
        designs: Mapping[str, RewardDesign],
        *,
        relabeller: OnPolicyRelabeller | None = None,
    ):
        super().__init__()
        self._table = table
        self._reductions = {name: reductions(design) for name, design in designs.items()}
        self._relabeller = relabeller
        self._unpaid: list[tuple[int, int, dict[str, Any]]] = []  # tick, slot, row
        self._tick = 0
        kept = ({key: float(text) for key, text in row.items() if text} for row in table.recent)
        self._recent: deque[dict[str, Any]] = deque(kept, maxlen=WINDOW)
        self._raw = np.zeros(0)
        self._shaped = np.zeros(0)
        self._length = np.zeros(0, np.int64)
        self._columns: list[dict[tuple[str, str], float]] = []

    @property
    def mean_raw_return(self) -> float | None:
        """Mean raw return of the last 100 episodes; None before the first."""
        if not self._recent:
            return None
        return float(np.mean([row["raw_return"] for row in self._recent]))

    def begin(self, num_envs: int) -> None:
        """Drop what is open: every environment starts a new episode."""
        self._raw = np.zeros(num_envs)
        self._shaped = np.zeros(num_envs)
        self._length = np.zeros(num_envs, np.int64)
        self._columns = [{} for _ in range(num_envs)]

    def _on_step(self) -> bool:
        infos, rewards = self.locals["infos"], self.locals["rewards"]
        if self._relabeller is None:
            self._shaped += rewards
        for slot, info in enumerate(infos):
            if "inactive" in info:  # the seat of an agent that left a game that goes on
                continue
            self._length[slot] += 1
            self._raw[slot] += info.get("raw_reward", rewards[slot])
            self._add_columns(self._columns[slot], info)
        for slot in np.flatnonzero(self.locals["dones"]):
            self._finish(int(slot), infos[slot])
        self._tick += 1
        return True

    def _add_columns(self, found: dict[tuple[str, str], float], info: dict[str, Any]) -> None:
        for design, how in self._reductions.items():
            for column, value in info.get(design, {}).items():
                if isinstance(value, Real):
                    key = (design, column)
                    before = 0.0 if how.get(column) == "last" else found.get(key, 0.0)
                    found[key] = before + float(value)

    def _reduced(self, slot: int) -> dict[str, float]:
        """Return what the columns of an ended episode came to."""
        row = {}
        for (design, column), value in self._columns[slot].items():
            how = self._reductions[design].get(column, "sum")
            name = f"design_{design}_{column}"
            if how == "mean":
                value /= self._length[slot]
            row[name if how == "sum" else f"{name}_{how}"] = value
        return row

    def _finish(self, slot: int, info: dict[str, Any]) -> None:
        metrics = dict(info.get("episode_metrics", {}))
        if "is_success" in info:
            metrics.setdefault("is_success", float(info["is_success"]))
        row: dict[str, Any] = {
            "step": self.num_timesteps,
            "raw_return": float(self._raw[slot]),
            "length": int(self._length[slot]),
        }
        row |= {f"metric_{name}": float(value) for name, value in metrics.items()}
        row |= self._reduced(slot)
        if self._relabeller is None:
            row["shaped_return"] = float(self._shaped[slot])
            self._shaped[slot] = 0.0
            self._table.add(row)
        else:
            self._unpaid.append((self._tick, slot, row))
        self._recent.append(row)
        self._raw[slot] = 0.0
        self._length[slot] = 0
        self._columns[slot] = {}

    def _take_payments(self, paid: np.ndarray) -> None:
        """Give the rows of a rollout what its steps were paid; paid is (steps, N)."""
        first = np.zeros(len(self._shaped), np.int64)
        for tick, slot, row in self._unpaid:
            row["shaped_return"] = self._shaped[slot] + float(
                paid[first[slot] : tick + 1, slot].sum()
            )
            self._shaped[slot], first[slot] = 0.0, tick + 1
        for slot, start in enumerate(first):
            self._shaped[slot] += paid[start:, slot].sum()

    def _add_unpaid(self) -> None:
        for _, _, row in self._unpaid:
            self._table.add(row)
        self._unpaid = []
        self._tick = 0

    def _on_training_end(self) -> None:
        self._add_unpaid()  # of a rollout that was broken off

    def _on_rollout_end(self) -> None:
        if self._relabeller is not None:
            self._take_payments(self._relabeller.paid)
        self._add_unpaid()
        self._table.flush()
        if not self._recent:
            return
        names = {
            "rollout/ep_raw_rew_mean": "raw_return",
            "rollout/ep_rew_mean": "shaped_return",
            "rollout/ep_len_mean": "length",
        }
        for column in self._recent[-1]:
            if column.startswith(("metric_", "design_")):
                kind, _, name = column.partition("_")
                names[f"{kind}/{name}"] = column
        for key, column in names.items():
            values = [row[column] for row in self._recent if column in row]
            if values:
                self.logger.record(key, float(np.mean(values)))
