"""`GateDesign`: rewards that count only where a level of higher priority passes its threshold."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from rewardloom.errors import ConfigError, unknown_name
from rewardloom.rewards.design import Depends, EpisodeBatch, Memory, StepBatch, check_on_truncation
from rewardloom.rewards.gate.gating import EarnedEpisodes, earn_episodes
from rewardloom.rewards.gate.levels import Level, as_levels
from rewardloom.rewards.gate.plan import GatePlan, compile_levels
from rewardloom.rewards.gate.running import RunningGate
from rewardloom.rewards.numbers import is_integer, is_number
from rewardloom.rewards.ragged import deferred
from rewardloom.typing import F64N, F64T, BoolE, BoolN

__all__ = ["MAX_REFUND_FACTOR", "GateDesign"]

MAX_REFUND_FACTOR = 1e3
"""Largest gamma^-(T - 1) by which emit="causal" may have to multiply what it takes back."""

_EMISSIONS = ("deferred", "causal", "relabel")


class GateDesign:
    r"""Pays gated accumulation: R = sum_t sum_i g_i r_i(t), g_i = prod_{j above i} open_j.

    The world's own reward is replaced. Level i pays r_i(t), the weighted sum of its components,
    where all levels of higher priority are open; the highest is never gated, and levels of equal
    priority leave each other alone. Thresholds at minus infinity give direct accumulation, at plus
    infinity the outcome only. The rule is that of G-RA (arXiv 2508.10548); step scope, caps, the
    emissions and more than two levels are our formulation. See `Level` and `gate_episodes`. No
    memory between episodes.

    Args:
        levels: `Level` objects or mappings of their fields.
        emit: When a payment is made whose gate is known only at the end. "deferred": 0, then R at
            the last step; preserves `sum`. "causal": payments as they are earned, and at the last
            step the refund -sum_t r_t gamma^(t - (T - 1)) of what closed gates took; preserves
            `discounted(gamma)`. "relabel": online the raw reward, in a training buffer g_i r_i(t)
            at each step t; exact.
        gamma: The learner's discount, in (0, 1]; only the refund uses it.
        max_length: The longest episode, in steps. Needed by emit="causal" where gamma < 1 and a
            gate is known only at the end: the refund grows as gamma^-(T - 1), and is refused where
            that exceeds 1e3.
        on_truncation: "raw" (default): a truncated episode is not settled. It pays the world's own
            rewards: their sum at the last step (deferred) or as they are (relabel); what causal
            emission has paid stays, without a refund. "settle": the limit counts as an ending, and
            the plug clears the bootstrap. An episode that an infrastructure failure ended is never
            settled.

    Raises:
        ConfigError: an argument does not fit, or the refund can explode; at `bind`, a level names a
            component that does not exist; later, an episode is longer than `max_length`.
    """

    needs = frozenset({"components"})
    memory: Memory = "none"

    def __init__(
        self,
        levels: Sequence[Level | Mapping[str, Any]],
        *,
        emit: str = "deferred",
        gamma: float = 1.0,
        max_length: int | None = None,
        on_truncation: str = "raw",
    ):
        if emit not in _EMISSIONS:
            raise ConfigError(unknown_name("emit", emit, _EMISSIONS))
        self.levels = as_levels(levels)
        self.emit = emit
        self.gamma = _check_gamma(gamma)
        self.max_length = _check_max_length(max_length)
        self.on_truncation = on_truncation
        self.settles_truncation = check_on_truncation(on_truncation)
        self.rewrites_truncated = self.settles_truncation
        self.depends: Depends = "step" if emit == "causal" else "episode"
        self.relabels = emit == "relabel"
        self.bind(tuple(dict.fromkeys(n for level in self.levels for n in level.components)), 0)
        if self.refunds:
            _check_refund(self.gamma, self.max_length)

    @property
    def settles_at_end(self) -> bool:
        """See `RewardDesign`."""
        return self.refunds

    @property
    def refunds(self) -> bool:
        """Whether an episode's last step may take payments back."""
        return self.emit == "causal" and self._plan.gates_episodes

    def bind(self, names: tuple[str, ...], num_slots: int) -> None:
        """See `RewardDesign.bind`."""
        self._plan: GatePlan = compile_levels(self.levels, names)
        discount = self.gamma if self.refunds else 1.0
        self._running = RunningGate(self._plan, num_slots, discount)
        self._raw_return = np.zeros(num_slots)
        self._silent = {name: np.zeros(num_slots) for name in self._columns()}
        for column in self._silent.values():
            column.flags.writeable = False
        self._shown: dict[str, F64N] = self._silent

    def begin(self, slots: BoolN, extra: Mapping[str, Any] | None = None) -> None:
        """See `RewardDesign.begin`."""
        self._running.clear(slots)
        self._raw_return[slots] = 0.0

    def step(self, batch: StepBatch) -> F64N:
        """See `RewardDesign.step`."""
        earned = self._running.add(batch.components, batch.active)
        raw = batch.reward.copy()
        if np.count_nonzero(batch.active) < len(raw):
            raw[~batch.active] = 0.0
        self._raw_return += raw
        self._check_length(self._running.length)
        if self.relabels:
            paid = raw
        else:
            paid = earned.sum(axis=1) if self.emit == "causal" else np.zeros(len(raw))
        self._shown = self._silent
        ended = (batch.terminated | batch.truncated) & batch.active
        if np.count_nonzero(ended):
            settled = ended & self._settled(batch.terminated, batch.failed)
            paid = self._close(paid, ended, settled)
            self.begin(ended)
        return paid

    def relabel(self, episodes: EpisodeBatch) -> F64T:
        """See `RewardDesign.relabel`."""
        lengths = np.diff(episodes.offsets)
        self._check_length(lengths)
        found = earn_episodes(episodes.components, episodes.offsets, self._plan)
        ended = episodes.terminated | episodes.truncated
        settled = ended & self._settled(episodes.terminated, episodes.failed)
        if self.emit == "causal":
            return self._with_refunds(found, episodes, settled)
        counts = np.repeat(found.counts & settled, lengths, axis=1)
        gated = np.einsum("lt,lt->t", found.earned, counts)
        gated = np.where(np.repeat(settled, lengths), gated, episodes.reward)
        if self.emit == "relabel":
            return gated
        return deferred(gated, episodes)

    def summary(self) -> dict[str, F64N]:
        """Return what an episode came to: 0 before its last step, so that sums over it are totals.

        For each level `<name>_raw` (weighted values), `<name>_counted` (after gates and caps) and
        `<name>_open` (1 or 0; for gates known at once the share of open steps); `direct`, the sum
        of all raw ones, which direct accumulation pays; `gated`, the sum of all counted ones; and
        `settled`, 1 where the episode was paid `gated`.
        """
        return self._shown

    def state_dict(self) -> dict[str, Any]:
        """Return nothing: the design has no memory."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Accept what `state_dict` returned."""

    def _columns(self) -> list[str]:
        names = [f"{level.name}_{k}" for k in ("raw", "counted", "open") for level in self.levels]
        return [*names, "direct", "gated", "settled"]

    def _settled(self, terminated: BoolN, failed: BoolN) -> BoolN:
        """Return which of the episodes that ended are paid by their gates."""
        return ~failed if self.settles_truncation else terminated & ~failed

    def _close(self, paid: F64N, ended: BoolN, settled: BoolN) -> F64N:
        """Return the payments of a tick at which some slots ended; write their summary."""
        running = self._running
        opened, counts = running.end_gates()
        counted = running.earned * counts
        gated = counted.sum(axis=1)
        raw = running.value * self._plan.weight
        direct = raw.sum(axis=1)
        shown = np.column_stack([raw, counted, opened, direct, gated, settled])
        shown *= ended[:, None]
        self._shown = dict(zip(self._silent, shown.T, strict=True))
        if self.emit == "deferred":
            return np.where(ended, np.where(settled, gated, self._raw_return), paid)
        if self.emit == "causal":
            return paid - (running.refundable * ~counts).sum(axis=1) * settled
        return paid

    def _with_refunds(self, found: EarnedEpisodes, episodes: EpisodeBatch, settled: BoolE) -> F64T:
        paid = found.earned.sum(axis=0)
        lengths = np.diff(episodes.offsets)
        closed = ~found.counts & settled
        if not closed.any():
            return paid
        taken = np.einsum("lt,lt->t", found.earned, np.repeat(closed, lengths, axis=1))
        filled = lengths > 0
        last = episodes.offsets[1:][filled] - 1
        if self.gamma < 1:
            age = np.repeat(episodes.offsets[1:] - 1, lengths) - np.arange(len(paid))
            taken *= (self.gamma ** -np.arange(float(lengths.max())))[age]
        paid[last] -= np.add.reduceat(taken, episodes.offsets[:-1][filled])
        return paid

    def _check_length(self, lengths: np.ndarray) -> None:
        if self.gamma == 1 or self.max_length is None or not self.refunds:
            return
        if lengths.size and lengths.max() > self.max_length:
            raise ConfigError(
                f"An episode has {int(lengths.max())} steps, more than "
                f"max_length={self.max_length}. Set max_length to the longest episode, or limit "
                "episodes by a TimeLimit inside the gate."
            )


def _check_gamma(gamma: Any) -> float:
    if not is_number(gamma):
        raise ConfigError(f"gamma must be a number in (0, 1], got {gamma!r}.")
    if not 0 < gamma <= 1:
        raise ConfigError(f"gamma must be in (0, 1], got {gamma!r}.")
    return float(gamma)


def _check_max_length(length: Any) -> int | None:
    if length is None:
        return None
    if not is_integer(length) or length < 1:
        raise ConfigError(f"max_length must be None or an integer >= 1, got {length!r}.")
    return int(length)


def _check_refund(gamma: float, max_length: int | None) -> None:
    """Raise `ConfigError` where the refund factor of the longest episode is too large."""
    if gamma == 1:
        return
    longest = 1 + math.floor(math.log(MAX_REFUND_FACTOR) / -math.log(gamma))
    if max_length is None:
        raise ConfigError(
            f'emit="causal" with gamma={gamma} takes back up to gamma^-(T - 1) times what was '
            f"earned, so it needs max_length=, the longest episode T: at most {longest} with this "
            'gamma. Or use emit="deferred" or "relabel", which need none.'
        )
    if max_length > longest:
        smallest = math.ceil(1e6 * MAX_REFUND_FACTOR ** (-1 / (max_length - 1))) / 1e6
        raise ConfigError(
            f'emit="causal" with gamma={gamma} and max_length={max_length} would take back up to '
            f"10^{(max_length - 1) * -math.log10(gamma):.1f} times what was earned; at most "
            f"{MAX_REFUND_FACTOR:g} times is allowed. Episodes may have at most {longest} steps "
            f"with this gamma, or gamma must be at least {smallest} for this length. "
            'emit="deferred" and "relabel" have no such limit.'
        )
