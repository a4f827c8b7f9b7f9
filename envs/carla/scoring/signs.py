"""Red lights and stop signs.

- `RedLightRule`: stop lines crossed at red.
- `StopSignRule`: stop signs passed without a stop.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rewardloom.envs.carla.scoring.geometry import boxes_overlap, crosses_line
from rewardloom.envs.carla.scoring.memory import Memory
from rewardloom.envs.carla.scoring.state import F64, I64, RED, Bool, Ego, Lights, StopSigns

__all__ = ["NO_SIGN", "RedLightRule", "StopSignRule"]

LIGHT_RANGE = 30.0
"""m from the ego's center to a stop line within which it is judged."""

MOVING = 0.001
"""m/s above which an ego can run a red light."""

LIGHT_LINE = 0.6
"""Lane widths to each side that a light's line covers: a lane, lengthened by a fifth."""

LOOK_AHEAD = 20.0
"""m of lane ahead in which stop signs are looked for."""

BOX_SCALE = 1.2
"""Factor on the size of a stop sign's box."""

STANDING = 0.1
"""m/s below which the ego stands."""

STOP_LINE = 5.0
"""Lane widths to each side that a stop sign's line covers."""

STOP_RANGE = 30.0
"""m from the ego's center beyond which a stop sign is let go (our formulation)."""

NO_SIGN = -1
"""The id where there is no light or sign."""


@dataclass
class LightMemory(Memory):
    """Id of the light that was run last."""

    last: I64


class RedLightRule:
    """A red light is run when the ego's long axis, bumper to bumper, lies across its stop line.

    The line is that of a lane, lengthened to 0.6 lane widths to each side; it must be within 30 m,
    the ego must head along the lane and move faster than 0.001 m/s. Yellow is free. The light that
    was run last does not count again.

    Args:
        worlds: W.
    """

    def __init__(self, worlds: int) -> None:
        self.memory = LightMemory(last=np.full(worlds, NO_SIGN))

    def update(self, ego: Ego, lights: Lights) -> Bool:
        """Return (W,) whether a red light is run in this step."""
        red = lights.mask & (lights.state == RED) & (ego.speed > MOVING)[:, None]
        red &= lights.id != self.memory.last[:, None]
        world, light = np.nonzero(red)
        run = np.zeros(len(ego.yaw), np.bool_)
        if len(world):
            offset = ego.position[world] - lights.position[world, light]
            yaw = lights.yaw[world, light]
            length = ego.extent[world, 0]
            crossed = np.hypot(offset[:, 0], offset[:, 1]) <= LIGHT_RANGE
            crossed &= crosses_line(
                offset,
                ego.yaw[world] - yaw,
                yaw,
                LIGHT_LINE * lights.width[world, light],
                -length,
                length,
            )
            run[world[crossed]] = True
            self.memory.last[world[crossed]] = lights.id[world[crossed], light[crossed]]
        return run


@dataclass
class StopMemory(Memory):
    """Id of the sign ahead, whether the ego stood in its box, id of the sign passed last."""

    target: I64
    cleared: Bool
    passed: I64


class StopSignRule:
    """A stop sign is run when its line is crossed before the ego stood in its box.

    The sign ahead is the nearest whose box, 1.2 times its size, reaches into the next 20 m of the
    ego's lane. The ego clears it by being slower than 0.1 m/s while its own box overlaps that box.
    The line goes through the box's center, 5 lane widths to each side; it is crossed when the rear
    half of the ego's long axis lies across it. A sign that was passed is not ahead again until it
    is out of the ego's lane or behind; one that is more than 30 m away or no longer reported is let
    go (the last sentence, and what "rear half" means, are our formulation).

    Args:
        worlds: W.
    """

    def __init__(self, worlds: int) -> None:
        self._rows = np.arange(worlds)
        self.memory = StopMemory(
            target=np.full(worlds, NO_SIGN),
            cleared=np.zeros(worlds, np.bool_),
            passed=np.full(worlds, NO_SIGN),
        )

    def update(self, ego: Ego, stops: StopSigns) -> Bool:
        """Return (W,) whether a stop sign is run in this step."""
        memory = self.memory
        run = np.zeros(len(self._rows), np.bool_)
        column = self._choose(stops, ego)
        world = np.flatnonzero(memory.target != NO_SIGN)
        if not len(world):
            return run
        column = column[world]
        offset = ego.position[world] - stops.position[world, column]
        yaw, own_yaw = stops.yaw[world, column], ego.yaw[world]
        box = BOX_SCALE * stops.extent[world, column]
        inside = boxes_overlap(-offset, own_yaw, ego.extent[world], yaw, box)
        cleared = memory.cleared[world] | (inside & (ego.speed[world] < STANDING))
        half_width = STOP_LINE * stops.width[world, column]
        rear = -ego.extent[world, 0]
        crossed = crosses_line(offset, own_yaw - yaw, yaw, half_width, rear, 0.0)
        run[world] = crossed & ~cleared
        memory.cleared[world] = cleared & ~crossed
        over = world[crossed]
        memory.passed[over] = memory.target[over]
        memory.target[over] = NO_SIGN
        return run

    def _choose(self, stops: StopSigns, ego: Ego) -> I64:
        """Keep or find the sign ahead; return (W,) its column, any where there is none."""
        memory, rows = self.memory, self._rows
        half = BOX_SCALE * stops.extent[..., 0]
        ahead = stops.mask & (stops.distance - half <= LOOK_AHEAD) & (stops.distance + half >= 0)
        if not (ahead.any() or (memory.target != NO_SIGN).any()):
            memory.passed = np.full(len(rows), NO_SIGN)
            return rows
        passed = stops.id == memory.passed[:, None]
        memory.passed = np.where((ahead & passed).any(axis=1), memory.passed, NO_SIGN)

        offset = stops.position - ego.position[:, None]
        near = stops.mask & (np.hypot(offset[..., 0], offset[..., 1]) <= STOP_RANGE)
        kept = near & (stops.id == memory.target[:, None])
        held = kept.any(axis=1)
        distance: F64 = np.where(ahead & ~passed, stops.distance, np.inf)
        nearest = distance.argmin(axis=1)
        found = np.isfinite(distance[rows, nearest])
        new = np.where(found, stops.id[rows, nearest], NO_SIGN)
        memory.target = np.where(held, memory.target, new)
        memory.cleared = memory.cleared & held
        return np.where(held, kept.argmax(axis=1), nearest)
