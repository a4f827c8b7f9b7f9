"""What designs say of what they learn, kept in `designs.csv` and in the log.

- `DiagnosticsCallback`: asks a design after each of its refits, or after each rollout.

Columns of `designs.csv`:
    step: environment steps taken when the design was asked.
    design: info key of the design.
    <key>: what its `diagnostics()` call so; empty for designs without it.
    whole_episode_share: share of a rollout's steps that lie in whole episodes, one row per rollout,
        of a design on the training buffer that pays whole episodes only.
"""

from __future__ import annotations

from collections.abc import Mapping

from stable_baselines3.common.callbacks import BaseCallback

from rewardloom.baselines.plugs.relabel_on_policy import OnPolicyRelabeller
from rewardloom.baselines.training.tables import CsvTable
from rewardloom.rewards.design import RewardDesign, SpeakingDesign

__all__ = ["DiagnosticsCallback", "speaking_designs"]


def speaking_designs(designs: Mapping[str, RewardDesign]) -> dict[str, SpeakingDesign]:
    """Return the designs that have diagnostics."""
    return {name: d for name, d in designs.items() if isinstance(d, SpeakingDesign)}


class DiagnosticsCallback(BaseCallback):
    """Writes a row after each refit of a learned design, and after each rollout for the others.

    Args:
        table: `designs.csv`, or None where no design speaks.
        designs: info key -> design.
        relabellers: info key -> what pays whole episodes of a rollout in the training buffer.
    """

    def __init__(
        self,
        table: CsvTable | None,
        designs: Mapping[str, SpeakingDesign],
        relabellers: Mapping[str, OnPolicyRelabeller],
    ):
        super().__init__()
        self._table = table
        self._relabellers = relabellers
        self._learned = {name: d for name, d in designs.items() if d.memory == "model"}
        self._others = {name: d for name, d in designs.items() if d.memory != "model"}
        self._seen: dict[str, int] = {}

    def begin(self) -> None:
        """Take what the designs have learned so far as known; a segment starts."""
        self._seen = {name: design.refits for name, design in self._learned.items()}

    def _on_step(self) -> bool:
        self._ask_refitted()
        return True

    def _on_rollout_end(self) -> None:
        self._ask_refitted()  # a design on the buffer learns after the last step
        for name, design in self._others.items():
            self._write(name, design)
        for name, relabeller in self._relabellers.items():
            self._add(name, {"whole_episode_share": relabeller.whole_episode_share})
        if self._table is not None:
            self._table.flush()

    def _ask_refitted(self) -> None:
        for name, design in self._learned.items():
            if design.refits != self._seen[name]:
                self._seen[name] = design.refits
                self._write(name, design)

    def _write(self, name: str, design: SpeakingDesign) -> None:
        facts = design.diagnostics()
        for key, value in facts.items():
            self.logger.record(f"design/{name}/{key}", value)
        if facts:
            self._add(name, facts)

    def _add(self, name: str, facts: Mapping[str, float]) -> None:
        if self._table is not None:
            self._table.add({"step": self.num_timesteps, "design": name, **facts})
