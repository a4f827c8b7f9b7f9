"""What every reward of driving hands out.

- `Payment`: rewards, components and endings of W worlds in one step.
- `DrivingReward`: what a reward has to offer.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

from rewardloom.envs.carla.scoring.route_progress import Progress
from rewardloom.envs.carla.scoring.state import F64, Bool, WorldState
from rewardloom.envs.carla.scoring.terminations import Verdict

__all__ = ["DrivingReward", "Payment"]


class Payment(NamedTuple):
    """What W worlds are paid in a step.

    Attributes:
        reward: (W,).
        components: (W, K), in the order of the reward's `components`.
        causes: (W, E) bool, endings of the reward's own, in the order of its `causes`.
    """

    reward: F64
    components: F64
    causes: Bool


class DrivingReward(Protocol):
    """A reward of W worlds.

    Attributes:
        components: Names of the reward's parts.
        terminal_components: Those that mean something at an episode's last step only.
        causes: Names of endings that come with this reward, beside `terminations.CAUSES`.
    """

    components: tuple[str, ...]
    terminal_components: tuple[str, ...]
    causes: tuple[str, ...]

    def begin(self, mask: Bool, state: WorldState) -> None:
        """Start episodes in the worlds of `mask` (W,), whose first state is in `state`."""
        ...

    def step(self, state: WorldState, progress: Progress, verdict: Verdict) -> Payment:
        """Pay the step that led to `state`."""
        ...
