"""Planar geometry in batches.

- `wrap_angle`: an angle in -pi .. pi.
- `boxes_overlap`: whether oriented boxes overlap.
- `crosses_line`: whether a part of a box's long axis crosses a line across a lane.
"""

from __future__ import annotations

import numpy as np

from rewardloom.envs.carla.scoring.state import F64, Bool

__all__ = ["boxes_overlap", "crosses_line", "wrap_angle"]


def wrap_angle(angle: F64) -> F64:
    """Return `angle` plus the multiple of 2 pi that brings it into -pi .. pi."""
    return np.remainder(angle + np.pi, 2 * np.pi) - np.pi


def boxes_overlap(offset: F64, yaw: F64, extent: F64, other_yaw: F64, other_extent: F64) -> Bool:
    """Say whether two oriented boxes share more than an edge, by their four separating axes.

    Args:
        offset: (..., 2) center of the other box minus center of the first, in m.
        yaw: (...) of the first box in rad.
        extent: (..., 2) half length and half width of the first box in m.
        other_yaw: Likewise of the other box.
        other_extent: Likewise of the other box.

    Returns:
        (...) bool, of the shape to which the arguments broadcast.
    """
    dx, dy = offset[..., 0], offset[..., 1]
    length, width = extent[..., 0], extent[..., 1]
    other_length, other_width = other_extent[..., 0], other_extent[..., 1]
    turn = other_yaw - yaw
    along, across = np.abs(np.cos(turn)), np.abs(np.sin(turn))
    cos, sin = np.cos(yaw), np.sin(yaw)
    other_cos, other_sin = np.cos(other_yaw), np.sin(other_yaw)
    return (
        (np.abs(dx * cos + dy * sin) < length + other_length * along + other_width * across)
        & (np.abs(dy * cos - dx * sin) < width + other_length * across + other_width * along)
        & (np.abs(dx * other_cos + dy * other_sin) < other_length + length * along + width * across)
        & (np.abs(dy * other_cos - dx * other_sin) < other_width + length * across + width * along)
    )


def crosses_line(
    offset: F64, turn: F64, line_yaw: F64, half_width: F64, rear: F64, front: F64 | float
) -> Bool:
    """Say whether an axis that points in a lane's direction crosses a line across that lane.

    Args:
        offset: (..., 2) center of the axis minus middle of the line, in m.
        turn: (...) yaw of the axis minus `line_yaw`, in rad.
        line_yaw: (...) direction of the lane in rad; the line is perpendicular to it.
        half_width: (...) half of the line's length in m.
        rear: (...) where the axis begins, in m along it from its center.
        front: (...) where it ends.
    """
    cos, sin = np.cos(line_yaw), np.sin(line_yaw)
    dx, dy = offset[..., 0], offset[..., 1]
    facing = np.cos(turn)
    forward = facing > 0
    reach = -(dx * cos + dy * sin) / np.where(forward, facing, 1.0)
    aside = dy * cos - dx * sin + reach * np.sin(turn)
    return forward & (rear <= reach) & (reach <= front) & (np.abs(aside) <= half_width)
