"""Components of MiniGrid's DoorKey worlds, read from the agent's view (`ImgObsWrapper`).

An entry of the view is (object, color, state); the agent stands at [3, 6] and sees there what it
carries, with the cell before it at [3, 5].
"""

from __future__ import annotations

from rewardloom.wrappers import Transition

__all__ = ["goal", "milestone", "opens_door", "picks_key"]

_KEY, _DOOR, _OPEN = 5, 4, 0


def goal(step: Transition) -> float:
    """Return the world's own reward: 1 - 0.9 t / max_steps at the goal, else 0."""
    return float(step.reward)


def picks_key(step: Transition) -> float:
    """Return 1 at a step that picks the key up; dropping it and picking it again counts again."""
    return float(step.next_obs[3, 6, 0] == _KEY and step.obs[3, 6, 0] != _KEY)


def opens_door(step: Transition) -> float:
    """Return 1 at a step that opens the door; closing it and opening it again counts again."""
    before, after = step.obs[3, 5], step.next_obs[3, 5]
    toggled = before[0] == _DOOR and after[0] == _DOOR
    return float(toggled and before[2] != _OPEN and after[2] == _OPEN)


def milestone(step: Transition) -> float:
    """Return 1 at a step that picks the key up, opens the door or reaches the goal, else 0."""
    return max(picks_key(step), opens_door(step), float(step.reward > 0))
