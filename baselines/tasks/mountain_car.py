"""Components of Gymnasium's MountainCarContinuous-v0."""

from __future__ import annotations

from rewardloom.wrappers import Transition

__all__ = ["effort", "goal", "speed"]


def goal(step: Transition) -> float:
    """Return 1 at the step that reaches the flag, else 0; a time limit is no success."""
    return float(step.terminated)


def speed(step: Transition) -> float:
    """Return the absolute velocity after the step."""
    return abs(float(step.next_obs[1]))


def effort(step: Transition) -> float:
    """Return minus the squared action."""
    return -float(step.action[0] ** 2)
