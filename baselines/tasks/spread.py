"""Components of MPE2's simple_spread_v3, read from each agent's own observation.

With N agents and N landmarks, each agent observes 6 N numbers: its velocity (2), its position (2),
the landmarks relative to it (2 N), the other agents relative to it (2 (N - 1)) and their messages
(2 (N - 1), which are zeros). So it sees everything that its reward is made of, which is

    (1 - local_ratio) * near + local_ratio * apart

The world must be fully observed: `num_agent_neighbors` and `num_landmark_neighbors` are None.
"""

from __future__ import annotations

import numpy as np

from rewardloom.wrappers import Transition

__all__ = ["apart", "near"]

_TOUCH = 0.3  # two radii of 0.15: agents whose centers are nearer collide


def near(step: Transition) -> float:
    """Return minus the sum over landmarks of the distance to the agent closest to each.

    It is the same for all agents, <= 0, and 0 where every landmark has an agent on it.
    """
    landmarks, others = _positions(step)
    agents = np.append(others, 0.0)
    return -float(np.abs(landmarks[:, None] - agents).min(axis=1).sum())


def apart(step: Transition) -> float:
    """Return minus the number of agents that this one collides with after the step."""
    _, others = _positions(step)
    return -float(np.count_nonzero(np.abs(others) < _TOUCH))


def _positions(step: Transition) -> tuple[np.ndarray, np.ndarray]:
    """Return landmarks (N,) and other agents (N - 1,) relative to the agent, as x + iy."""
    count = len(step.next_obs) // 6
    relative = step.next_obs[4 : 4 * count + 2].astype(np.float64).view(np.complex128)
    return relative[:count], relative[count:]
