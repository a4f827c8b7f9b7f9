"""What happened in each training episode, kept in `episodes.csv` and in the log.

- `EpisodeTable`: the file.
- `EpisodeCallback`: adds up returns, the world's metrics and the designs' columns.

Columns:
    step: environment steps taken when the episode ended.
    raw_return: sum of the world's own reward.
    shaped_return: sum of what the agent was paid.
    length: steps of the episode.
    metric_<name>: the world's `info["episode_metrics"]`, and `is_success`.
    design_<name>_<column>: sum over the episode of a design's numbers.
"""

from __future__ import annotations

import csv
import io
import os
from collections import deque
from numbers import Real
from pathlib import Path
from typing import Any

import numpy as np
from stable_baselines3.common.callbacks import BaseCallback

__all__ = ["WINDOW", "EpisodeCallback", "EpisodeTable"]

_BASE = ("step", "raw_return", "shaped_return", "length")
WINDOW = 100  # episodes that logged means are taken over, as in SB3


class EpisodeTable:
    """The rows of `episodes.csv`; a reader sees them after `flush`.

    Attributes:
        rows: How many there are.
        recent: The last of those that were kept, at most `WINDOW`.

    Args:
        path: The file; an existing one is continued.
        keep: Rows to keep of an existing file; what follows is cut off.
    """

    def __init__(self, path: Path, *, keep: int = 0):
        self._path = path
        self._columns = list(_BASE)
        rows: list[dict[str, Any]] = []
        if keep and path.is_file():
            with open(path, newline="", encoding="utf-8") as file:
                reader = csv.DictReader(file)
                rows = [row for _, row in zip(range(keep), reader, strict=False)]
                self._columns = list(reader.fieldnames or _BASE)
        self._replace(rows)
        self.rows = len(rows)
        self.recent = [
            {name: float(value) for name, value in row.items() if value} for row in rows[-WINDOW:]
        ]

    def add(self, row: dict[str, Any]) -> None:
        """Append an episode; a column not seen before widens the table."""
        new = [name for name in row if name not in self._columns]
        if new:
            self._widen(new)
        self._writer.writerow(row)
        self.rows += 1

    def flush(self, *, sync: bool = False) -> None:
        """Hand the rows to the operating system; `sync` waits until they are on the disk."""
        self._file.flush()
        if sync:
            os.fsync(self._file.fileno())

    def close(self) -> None:
        """Flush and close."""
        self._file.close()

    def _widen(self, new: list[str]) -> None:
        self._file.close()
        with open(self._path, newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        self._columns += new
        self._replace(rows)

    def _replace(self, rows: list[dict[str, Any]]) -> None:
        """Write the file anew, whole or not at all, and leave it open for appending."""
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, self._columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        temporary = self._path.with_name(f".{self._path.name}.tmp")
        temporary.write_text(text.getvalue(), encoding="utf-8")
        os.replace(temporary, self._path)
        self._file = open(self._path, "a", newline="", encoding="utf-8")  # noqa: SIM115
        self._writer = csv.DictWriter(self._file, self._columns, lineterminator="\n")


class EpisodeCallback(BaseCallback):
    """Accounts for every training episode and logs the means of the last 100.

    Args:
        table: Receives one row per finished episode.
        designs: Info keys of the designs.
    """

    def __init__(self, table: EpisodeTable, designs: tuple[str, ...]):
        super().__init__()
        self._table = table
        self._designs = designs
        self._recent: deque[dict[str, Any]] = deque(table.recent, maxlen=WINDOW)
        self._raw = np.zeros(0)
        self._shaped = np.zeros(0)
        self._length = np.zeros(0, np.int64)
        self._sums: list[dict[str, float]] = []

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
        self._sums = [{} for _ in range(num_envs)]

    def _on_step(self) -> bool:
        infos, rewards = self.locals["infos"], self.locals["rewards"]
        self._shaped += rewards
        self._length += 1
        for slot, info in enumerate(infos):
            self._raw[slot] += info.get("raw_reward", rewards[slot])
            self._add_columns(self._sums[slot], info)
        for slot in np.flatnonzero(self.locals["dones"]):
            self._finish(int(slot), infos[slot])
        return True

    def _add_columns(self, sums: dict[str, float], info: dict[str, Any]) -> None:
        for design in self._designs:
            for column, value in info.get(design, {}).items():
                if isinstance(value, Real):
                    key = f"design_{design}_{column}"
                    sums[key] = sums.get(key, 0.0) + float(value)

    def _finish(self, slot: int, info: dict[str, Any]) -> None:
        metrics = dict(info.get("episode_metrics", {}))
        if "is_success" in info:
            metrics.setdefault("is_success", float(info["is_success"]))
        row: dict[str, Any] = {
            "step": self.num_timesteps,
            "raw_return": float(self._raw[slot]),
            "shaped_return": float(self._shaped[slot]),
            "length": int(self._length[slot]),
        }
        row |= {f"metric_{name}": float(value) for name, value in metrics.items()}
        row |= self._sums[slot]
        self._table.add(row)
        self._recent.append(row)
        self._raw[slot] = self._shaped[slot] = 0.0
        self._length[slot] = 0
        self._sums[slot] = {}

    def _on_rollout_end(self) -> None:
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
            self.logger.record(key, float(np.mean(values)))
