"""Comfort after CaRL: six metrics, each with a timer of its own.

- `ComfortLimits`: the bounds; `CARLA_LIMITS` and `NUPLAN_LIMITS`.
- `METRICS`: the names of the six.
- `Comfort`: keeps signals and timers of W worlds.
- `PositionDifferences`: accelerations from positions.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from rewardloom.envs.carla.scoring.geometry import wrap_angle
from rewardloom.envs.carla.scoring.memory import Memory
from rewardloom.envs.carla.scoring.smoothing import newest_weights, smoothing_matrix
from rewardloom.envs.carla.scoring.state import F64, I64, Bool

__all__ = [
    "CARLA_LIMITS",
    "METRICS",
    "NUPLAN_LIMITS",
    "Comfort",
    "ComfortLimits",
    "PositionDifferences",
    "filter_weights",
]

METRICS = (
    "longitudinal_acceleration",
    "lateral_acceleration",
    "jerk",
    "longitudinal_jerk",
    "yaw_rate",
    "yaw_acceleration",
)
"""In the order of every axis of 6. `jerk` is that of the acceleration's magnitude."""

SAMPLES = 15
"""Samples of every signal that are kept."""

FEWEST = 8
"""Samples from which on the metrics are judged."""

TIMER = 500
"""Ticks for which a violation lasts, the tick of the violation included."""

_SMOOTHING_WINDOW = 8
_YAW_WINDOW = 5
_LONGITUDINAL, _LATERAL, _MAGNITUDE, _YAW = range(4)
_SIGNAL_OF_METRIC = [_LONGITUDINAL, _LATERAL, _MAGNITUDE, _LONGITUDINAL, _YAW, _YAW]


class ComfortLimits(NamedTuple):
    """Bounds of the six metrics, in SI units; all but the first two bound an absolute value."""

    lowest_longitudinal_acceleration: float
    highest_longitudinal_acceleration: float
    lateral_acceleration: float
    jerk: float
    longitudinal_jerk: float
    yaw_rate: float
    yaw_acceleration: float

    def lowest(self) -> F64:
        """(6,) lower bounds, in the order of `METRICS`."""
        return np.array([self.lowest_longitudinal_acceleration, *(-bound for bound in self[2:])])

    def highest(self) -> F64:
        """(6,) upper bounds."""
        return np.array([self.highest_longitudinal_acceleration, *self[2:]])


CARLA_LIMITS = ComfortLimits(-20.0, 10.0, 9.0, 30.0, 30.0, 1.0, 3.0)
"""CaRL's own for CARLA."""

NUPLAN_LIMITS = ComfortLimits(-4.05, 2.40, 4.89, 8.37, 4.13, 0.95, 1.93)
"""nuPlan's."""


@lru_cache
def filter_weights(step: float) -> F64:
    """Return the weights of the six metrics for every fill of the buffer.

    Accelerations: polynomials of degree 2 over 8 samples. Jerks: the derivative of degree 2 over
    min(15, n) samples of the accelerations so smoothed. Yaw rate: degree 2 over 5, first
    derivative; yaw acceleration: degree 3 over 5, second derivative. Always at the newest sample.

    Args:
        step: Seconds between samples.

    Returns:
        (16, 6, 15): by samples in the buffer, by metric, by place in a buffer that is filled from
        its end. Zero for fewer than 8 samples.
    """
    weights = np.zeros((SAMPLES + 1, len(METRICS), SAMPLES))
    for n in range(FEWEST, SAMPLES + 1):
        smooth = smoothing_matrix(n, _SMOOTHING_WINDOW, 2)
        jerk = newest_weights(n, min(SAMPLES, n), 2, 1, step) @ smooth
        yaw_rate = newest_weights(n, _YAW_WINDOW, 2, 1, step)
        yaw_acceleration = newest_weights(n, _YAW_WINDOW, 3, 2, step)
        rows = [smooth[-1], smooth[-1], jerk, jerk, yaw_rate, yaw_acceleration]
        weights[n, :, SAMPLES - n :] = rows
    weights.setflags(write=False)
    return weights


@dataclass
class ComfortMemory(Memory):
    """Signals (W, 4, 15) filled from the end, their number, and the six timers in ticks.

    The signals are longitudinal and lateral acceleration, magnitude of the acceleration, and yaw
    without jumps.
    """

    signals: F64
    count: I64
    timers: I64


class Comfort:
    """Judges how W egos are driven.

    Args:
        worlds: W.
        limits: Bounds of the metrics.
        period: Seconds between steps.
    """

    def __init__(self, worlds: int, limits: ComfortLimits, period: float) -> None:
        self._weights = filter_weights(period)
        self._lowest, self._highest = limits.lowest(), limits.highest()
        self.memory = ComfortMemory(
            signals=np.zeros((worlds, 4, SAMPLES)),
            count=np.zeros(worlds, np.int64),
            timers=np.zeros((worlds, len(METRICS)), np.int64),
        )

    def update(self, acceleration: F64, yaw: F64) -> I64:
        """Take in one step and return (W,) how many of the six timers are running.

        Args:
            acceleration: (W, 2) in m/s2, in world axes.
            yaw: (W,) in rad.
        """
        memory = self.memory
        self._append(acceleration, yaw)
        memory.count = np.minimum(memory.count + 1, SAMPLES)
        values = self.values()
        violated = (values < self._lowest) | (values > self._highest)
        memory.timers = np.where(violated, TIMER, np.maximum(memory.timers - 1, 0))
        return np.count_nonzero(memory.timers, axis=1)

    def values(self) -> F64:
        """(W, 6) the metrics at the newest sample; 0 where there are fewer than 8."""
        weighted = self._weights[self.memory.count] * self.memory.signals[:, _SIGNAL_OF_METRIC]
        return weighted.sum(axis=-1)

    def _append(self, acceleration: F64, yaw: F64) -> None:
        signals = self.memory.signals
        signals[:, :, :-1] = signals[:, :, 1:]
        ahead, aside = acceleration[:, 0], acceleration[:, 1]
        cos, sin = np.cos(yaw), np.sin(yaw)
        signals[:, _LONGITUDINAL, -1] = ahead * cos + aside * sin
        signals[:, _LATERAL, -1] = aside * cos - ahead * sin
        signals[:, _MAGNITUDE, -1] = np.hypot(ahead, aside)
        before = signals[:, _YAW, -2]
        first = self.memory.count == 0
        signals[:, _YAW, -1] = np.where(first, yaw, before + wrap_angle(yaw - before))


@dataclass
class DifferencesMemory(Memory):
    """Position and velocity of the step before, and whether that velocity is known."""

    position: F64
    velocity: F64
    known: Bool


class PositionDifferences:
    """Accelerations as second differences of positions; 0 until three positions are known.

    Args:
        worlds: W.
        period: Seconds between steps.
    """

    def __init__(self, worlds: int, period: float) -> None:
        self._period = period
        self.memory = DifferencesMemory(
            position=np.zeros((worlds, 2)),
            velocity=np.zeros((worlds, 2)),
            known=np.zeros(worlds, np.bool_),
        )

    def begin(self, mask: Bool, position: F64) -> None:
        """Start the worlds of `mask` (W,) at `position` (W, 2)."""
        self.memory.reset(mask)
        self.memory.position[mask] = position[mask]

    def update(self, position: F64) -> F64:
        """Return (W, 2) the accelerations in m/s2, for egos that are now at `position` (W, 2)."""
        memory = self.memory
        velocity = (position - memory.position) / self._period
        acceleration = (velocity - memory.velocity) / self._period
        known = memory.known
        memory.position, memory.velocity = position.copy(), velocity
        memory.known = np.ones_like(known)
        return np.where(known[:, None], acceleration, 0.0)
