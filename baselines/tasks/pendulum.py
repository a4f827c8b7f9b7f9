"""Components of Gymnasium's Pendulum-v1, whose reward is -(angle^2 + .1 speed^2 + .001 torque^2).

Each is <= 0 and 0 at best; the state is the one acted upon, as in the reward.
"""

from __future__ import annotations

import numpy as np

from rewardloom.wrappers import Transition

__all__ = ["angle", "speed", "torque"]


def angle(step: Transition) -> float:
    """Return minus the squared angle from upright (rad^2)."""
    return -float(np.arctan2(step.obs[1], step.obs[0]) ** 2)


def speed(step: Transition) -> float:
    """Return minus the squared angular speed (rad^2 / s^2)."""
    return -float(step.obs[2] ** 2)


def torque(step: Transition) -> float:
    """Return minus the squared torque that was applied (N^2 m^2)."""
    return -float(np.clip(step.action, -2.0, 2.0)[0] ** 2)
