"""What learned designs say of their training, kept in `designs.csv` and in the log.

- `DiagnosticsCallback`: asks a design after each of its refits.

Columns of `designs.csv`:
    step: environment steps taken when the refit was seen.
    design: info key of the design.
    <key>: what its `diagnostics()` call so; empty for designs without it.
"""

from __future__ import annotations

from collections.abc import Mapping

from stable_baselines3.common.callbacks import BaseCallback

from rewardloom.baselines.training.tables import CsvTable
from rewardloom.rewards.design import LearnedDesign, RewardDesign

__all__ = ["DiagnosticsCallback", "learned_designs"]


def learned_designs(designs: Mapping[str, RewardDesign]) -> dict[str, LearnedDesign]:
    """Return the designs that train a model."""
    return {
        name: design
        for name, design in designs.items()
        if design.memory == "model" and isinstance(design, LearnedDesign)
    }


class DiagnosticsCallback(BaseCallback):
    """Writes a row whenever the number of a design's refits has changed.

    Args:
        table: `designs.csv`, or None where no design learns.
        designs: info key -> learned design.
    """

    def __init__(self, table: CsvTable | None, designs: Mapping[str, LearnedDesign]):
        super().__init__()
        self._table = table
        self._designs = designs
        self._seen: dict[str, int] = {}

    def begin(self) -> None:
        """Take what the designs have learned so far as known; a segment starts."""
        self._seen = {name: design.refits for name, design in self._designs.items()}

    def _on_step(self) -> bool:
        self._ask()
        return True

    def _on_rollout_end(self) -> None:
        self._ask()  # a design on the buffer learns after the last step
        if self._table is not None:
            self._table.flush()

    def _ask(self) -> None:
        for name, design in self._designs.items():
            if design.refits == self._seen[name]:
                continue
            self._seen[name] = design.refits
            facts = design.diagnostics()
            for key, value in facts.items():
                self.logger.record(f"design/{name}/{key}", value)
            if facts and self._table is not None:
                self._table.add({"step": self.num_timesteps, "design": name, **facts})
