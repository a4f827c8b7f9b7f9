"""Captions of three of Gymnasium's worlds, by import path for `EventCaptions`.

- `frozen_lake`: FrozenLake-v1, the map of 4 x 4.
- `mountain_car`: MountainCar-v0 and MountainCarContinuous-v0.
- `cart_pole`: CartPole-v1.

Each tells an event where one happens and "" elsewhere, from the observations and the ending alone,
never from the reward.
"""

from __future__ import annotations

from rewardloom.wrappers import Transition

__all__ = ["cart_pole", "frozen_lake", "mountain_car"]

_SIDE = 4  # cells along a side of the lake
_VALLEY = -0.5  # position of the lowest point
_MARK = 0.1  # distance between the marks on the slopes
_LEAN = 0.1  # rad; CartPole ends at 0.209
_EDGE = 1.2  # half of the track's 2.4


def frozen_lake(step: Transition) -> str:
    """Return the way that was gone, whatever was tried, or how the episode ended."""
    row, column = divmod(int(step.obs), _SIDE)
    next_row, next_column = divmod(int(step.next_obs), _SIDE)
    if step.terminated:
        return "You are at the goal." if step.next_obs == _SIDE**2 - 1 else "You fall into a hole."
    if next_row != row:
        return "You go down." if next_row > row else "You go up."
    if next_column != column:
        return "You go right." if next_column > column else "You go left."
    return "You stay where you are."


def mountain_car(step: Transition) -> str:
    """Return the mark that was passed going uphill, one every 0.1 from the valley, or the flag."""
    if step.terminated:
        return "You reach the flag."
    before, after = (float(obs[0]) - _VALLEY for obs in (step.obs, step.next_obs))
    mark = int(abs(after) / _MARK)
    if mark == 0 or (before * after > 0 and mark <= int(abs(before) / _MARK)):
        return ""
    return f"You pass mark {mark} on the {'right' if after > 0 else 'left'} slope."


def cart_pole(step: Transition) -> str:
    """Return what the pole did, or that the cart came near an end of its track."""
    lean, next_lean = float(step.obs[2]), float(step.next_obs[2])
    side = "right" if next_lean > 0 else "left"
    if step.terminated:
        fell = abs(next_lean) > 2 * _LEAN
        return f"The pole falls to the {side}." if fell else "You leave the track."
    if abs(step.obs[0]) <= _EDGE < abs(step.next_obs[0]):
        return f"You come near the {'right' if step.next_obs[0] > 0 else 'left'} end."
    if lean * next_lean < 0:
        return "The pole swings through upright."
    if abs(lean) <= _LEAN < abs(next_lean):
        return f"The pole leans far to the {side}."
    return ""
