"""What is carried from step to step: arrays with one row per world, reset by mask.

- `Memory`: base of every such struct.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

from rewardloom.envs.carla.scoring.state import Bool

__all__ = ["Memory"]


@dataclass
class Memory:
    """Arrays that have one row per world; subclasses declare them as fields.

    Every world starts with the first row that each array was made with.
    """

    def __post_init__(self) -> None:
        """Remember what a world starts with."""
        self._start = {f.name: getattr(self, f.name)[:1].copy() for f in fields(self)}

    def reset(self, mask: Bool) -> None:
        """Put the worlds in `mask` (W,) back to their start.

        The arrays are replaced, so that what was handed out before stays as it was.
        """
        for name, start in self._start.items():
            array = getattr(self, name).copy()
            array[mask] = start
            setattr(self, name, array)
