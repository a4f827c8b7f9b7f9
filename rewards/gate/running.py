"""`RunningGate`: gated accumulation tick by tick, with memory that no episode's length enters."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rewardloom.rewards.gate.plan import GatePlan
from rewardloom.typing import F64N, F64NK, BoolN

__all__ = ["RunningGate"]

F64NL = NDArray[np.float64]


class RunningGate:
    """The open episodes of N slots under L levels.

    Args:
        plan: The levels.
        num_slots: N.
        gamma: Discount of the sums in `refundable`.

    Attributes:
        length: (N,) float64, steps of each open episode.
        value: (N, L) sums of the levels' values, before weights.
        earned: (N, L) sums of what the levels earned, after the gates of each step and the caps.
        refundable: (N, L) sum_t earned_t gamma^(t - now): what a payment now must be to take back
            everything that was earned, discounted to the start.
    """

    def __init__(self, plan: GatePlan, num_slots: int, gamma: float):
        shape = (num_slots, len(plan.levels))
        self._plan = plan
        self._gamma = gamma
        self._gates_steps = plan.gates_steps
        self._how = [level.aggregation for level in plan.levels]
        self._pay = _payments(plan)
        self.length = np.zeros(num_slots)
        self.value = np.zeros(shape)
        self.earned = np.zeros(shape)
        self.refundable = np.zeros(shape) if gamma < 1 else self.earned
        self._now = np.zeros(shape)
        self._highest = np.full(shape, -np.inf)
        self._lowest = np.full(shape, np.inf)
        self._opened = np.zeros(shape)
        self._open_steps = np.zeros(shape)
        self._room = np.tile(plan.cap, (num_slots, 1))
        self._kind_room = np.tile(plan.kind_cap, (num_slots, 1))

    def clear(self, slots: BoolN) -> None:
        """Drop what is open in some slots."""
        for sums in (self.value, self.earned, self.refundable, self._open_steps):
            sums[slots] = 0.0
        self.length[slots] = 0.0
        self._highest[slots] = -np.inf
        self._lowest[slots] = np.inf
        self._room[slots] = self._plan.cap
        self._kind_room[slots] = self._plan.kind_cap

    def add(self, components: F64NK, active: BoolN) -> F64NL:
        """Take in one tick; return what the levels earned in it, 0 in inactive slots."""
        idle = None if np.count_nonzero(active) == len(active) else ~active
        if idle is not None:
            components = np.where(active[:, None], components, 0.0)
        amounts = components @ self._pay.select
        value = amounts[:, : len(self._how)]
        earned = self._earn(amounts, value, idle)
        self.length += 1.0 if idle is None else active
        self.value += value
        self.earned += earned
        if self._gamma < 1:
            sums = self.refundable / self._gamma
            sums += earned
            np.copyto(self.refundable, sums, where=active[:, None])
        self._keep_extremes(value, idle)
        return earned

    def aggregate(self) -> F64NL:
        """Return each level's value over its open episode so far, by its aggregation."""
        found = np.empty_like(self.value)
        for i, how in enumerate(self._how):
            if how == "mean":
                found[:, i] = self.value[:, i] / np.maximum(self.length, 1.0)
            else:
                found[:, i] = self._kept[how][:, i]
        return found

    def end_gates(self) -> tuple[F64NL, BoolN]:
        """Return how open each level is (see `EarnedEpisodes`) and which levels count, (N, L)."""
        plan = self._plan
        passed = self.aggregate() > plan.end_bound
        opened = passed.astype(np.float64)
        if self._gates_steps:
            share = self._open_steps / np.maximum(self.length, 1.0)[:, None]
            opened = np.where(plan.step_bound > -np.inf, share, opened)
        return opened, (~passed @ plan.above) == 0

    def _earn(self, amounts: F64NK, value: F64NL, idle: BoolN | None) -> F64NL:
        plan, pay, levels = self._plan, self._pay, len(self._how)
        earned = amounts * pay.weight
        if self._gates_steps:
            opened = np.greater(value, plan.step_bound, out=self._opened)
            if idle is not None:
                opened[idle] = 0.0
            self._open_steps += opened
            earned *= opened @ pay.above == pay.num_above
        if len(plan.kind_cap):
            earned = earned[:, :levels] + _bounded(earned[:, levels:], self._kind_room) @ pay.add
        if len(plan.cap):
            earned[:, plan.capped] = _bounded(earned[:, plan.capped], self._room)
        return earned

    @property
    def _kept(self) -> dict[str, F64NL]:
        return {
            "last": self._now,
            "sum": self.value,
            "max": self._highest,
            "min": self._lowest,
        }

    def _keep_extremes(self, value: F64NL, idle: BoolN | None) -> None:
        where: Any = True if idle is None else ~idle[:, None]
        if idle is None:
            self._now = value
        else:
            np.copyto(self._now, value, where=where)
        if "max" in self._how:
            np.maximum(self._highest, value, out=self._highest, where=where)
        if "min" in self._how:
            np.minimum(self._lowest, value, out=self._lowest, where=where)


class _Payments(NamedTuple):
    """A plan's arrays laid side by side: first its L levels, then its J kinds.

    Attributes:
        select: (K, L + J), 1 where a component belongs to a level or is the kind.
        weight: (L + J,), 0 for levels that their kinds pay.
        above: (L, L + J), 1 where a level has a higher priority; `num_above` (L + J,) counts them.
        add: (J, L), 1 where a level pays a kind.
    """

    select: NDArray[np.float64]
    weight: NDArray[np.float64]
    above: NDArray[np.float64]
    num_above: NDArray[np.float64]
    add: NDArray[np.float64]


def _payments(plan: GatePlan) -> _Payments:
    kinds = np.eye(len(plan.select))[:, plan.kind_component]
    own = plan.weight.copy()
    own[plan.kind_levels] = 0.0
    above = np.hstack([plan.above, plan.above[:, plan.kind_level]])
    return _Payments(
        np.hstack([plan.select, kinds]),
        np.concatenate([own, plan.weight[plan.kind_level]]),
        above,
        above.sum(axis=0),
        np.eye(len(plan.levels))[plan.kind_level],
    )


def _bounded(payments: F64N, room: F64N) -> F64N:
    """Pay positive payments until the room is used up; takes away from `room` what was paid."""
    paid = np.minimum(payments, room)
    room -= np.maximum(paid, 0.0)
    return paid
