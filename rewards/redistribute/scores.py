"""Pure functions that spread returns over steps; see `EpisodeBatch` for rows and offsets.

- `blend`: (1 - beta) r_t + beta u_t.
- `evenly`: a number per episode, spread evenly over its steps.
- `softmax_of`, `normalized_weights`: weights w_t.
- `differences`: g_t - g_{t-1}.
- `settle`: lets an episode's payments add up to its return.
- `potential_shaping`: gamma Phi(s_{t+1}) - Phi(s_t).
- `check_scores`: refuses scores that are not finite.
"""

from __future__ import annotations

import numpy as np

from rewardloom.errors import ComponentError
from rewardloom.rewards.ragged import (
    broadcast_episodes,
    episode_sums,
    last_rows,
    softmax_weights,
)
from rewardloom.typing import F64T, I64E1, BoolE

__all__ = [
    "blend",
    "check_scores",
    "differences",
    "evenly",
    "normalized_weights",
    "potential_shaping",
    "settle",
    "softmax_of",
]


def blend(reward: F64T, spread: F64T, beta: float) -> F64T:
    """Return (1 - beta) r_t + beta u_t; exactly one of them where beta is 0 or 1."""
    if beta in (0, 1):
        return (spread if beta else reward).copy()
    return reward + beta * (spread - reward)


def evenly(totals: F64T, offsets: I64E1) -> F64T:
    """Return `totals` (E,) divided by each episode's length, on each of its rows, (T,)."""
    lengths = np.diff(offsets)
    return np.repeat(totals / np.maximum(lengths, 1), lengths)


def softmax_of(scores: F64T, reward: F64T, offsets: I64E1, temperature: float, sign: str) -> F64T:
    """Return softmax(s_t / temperature) within each episode.

    With sign="blame" an episode with a negative return puts more weight on low scores: the
    exponent is -s_t / temperature there. With sign="credit" high scores always weigh more.
    """
    exponents = scores / temperature
    if sign == "blame":
        blamed = episode_sums(reward, offsets) < 0
        exponents = np.where(broadcast_episodes(blamed, offsets), -exponents, exponents)
    return softmax_weights(exponents, offsets)


def normalized_weights(scores: F64T, offsets: I64E1) -> F64T:
    """Return s_t / sum_k s_k of scores >= 0 within each episode; 1 / T where all are 0."""
    totals = broadcast_episodes(episode_sums(scores, offsets), offsets)
    some = totals > 0
    return np.where(
        some, scores / np.where(some, totals, 1.0), evenly(np.ones(len(offsets) - 1), offsets)
    )


def differences(values: F64T, offsets: I64E1, starts: F64T | float = 0.0) -> F64T:
    """Return g_t - g_{t-1} within each episode, g_{-1} being `starts` ((E,) or one number)."""
    before = np.empty_like(values)
    before[1:] = values[:-1]
    filled = offsets[1:] > offsets[:-1]
    before[offsets[:-1][filled]] = np.broadcast_to(starts, filled.shape)[filled]
    return values - before


def settle(paid: F64T, reward: F64T, offsets: I64E1, settled: BoolE) -> F64T:
    """Return `paid` with the last row of settled episodes set to R minus what was paid before."""
    paid = paid.copy()
    filled = offsets[1:] > offsets[:-1]
    residual = episode_sums(reward, offsets) - episode_sums(paid, offsets)
    paid[last_rows(offsets)] += np.where(settled, residual, 0.0)[filled]
    return paid


def potential_shaping(
    potential: F64T, starts: F64T | float, offsets: I64E1, gamma: float, ended: BoolE
) -> F64T:
    """Return gamma Phi(s_{t+1}) - Phi(s_t) with Phi = 0 after the last step of ended episodes.

    Args:
        potential: (T,) potential of the state that each step reached.
        starts: (E,) potential at reset, or one number.
        offsets: (E + 1,).
        gamma: In (0, 1].
        ended: (E,).

    Source: Ng, Harada and Russell 1999, theorem 1.
    """
    before = potential - differences(potential, offsets, starts)
    after = potential.copy()
    filled = offsets[1:] > offsets[:-1]
    after[last_rows(offsets)[ended[filled]]] = 0.0
    return gamma * after - before


def check_scores(scores: np.ndarray, column: str) -> None:
    """Raise `ComponentError` that names the column and first row of a score that is not finite."""
    finite = np.isfinite(scores)
    if np.count_nonzero(finite) < len(finite):
        row = int(np.argmin(finite))
        raise ComponentError(
            f"The score {column!r} is {scores[row]} in row {row}. Scores must be finite numbers: "
            "clip them, or give steps without one the value of a neutral step."
        )
