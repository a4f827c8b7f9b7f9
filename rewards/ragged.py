"""Arithmetic on episodes laid end to end; episode e owns the rows offsets[e]:offsets[e + 1].

All functions are vectorised over episodes and linear in the number of rows; episodes may be empty.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rewardloom.rewards.design import EpisodeBatch
from rewardloom.typing import F64T, I64E1, BoolE, BoolN

__all__ = [
    "broadcast_episodes",
    "deferred",
    "episode_sums",
    "finished",
    "last_rows",
    "repeats",
    "select_episodes",
    "softmax_weights",
    "span_rows",
    "take_rows",
]


def episode_sums(values: np.ndarray, offsets: I64E1) -> np.ndarray:
    """Return the sum of `values` (T, ...) over each episode, (E, ...)."""
    totals = np.zeros((len(offsets) - 1, *values.shape[1:]))
    filled = offsets[1:] > offsets[:-1]
    if filled.any():
        totals[filled] = np.add.reduceat(values, offsets[:-1][filled], axis=0)
    return totals


def broadcast_episodes(values: np.ndarray, offsets: I64E1) -> np.ndarray:
    """Return each episode's entry of `values` (E, ...) on every row of it, (T, ...)."""
    return np.repeat(values, np.diff(offsets), axis=0)


def last_rows(offsets: I64E1) -> np.ndarray:
    """Return the index of the last row of every episode that is not empty."""
    return offsets[1:][offsets[1:] > offsets[:-1]] - 1


def deferred(values: F64T, episodes: EpisodeBatch) -> F64T:
    """Return each ended episode's sum of `values` at its last step, and open episodes' rewards."""
    offsets, ended = episodes.offsets, episodes.terminated | episodes.truncated
    paid = np.where(np.repeat(ended, np.diff(offsets)), 0.0, episodes.reward)
    closes = ended[offsets[1:] > offsets[:-1]]
    totals = episode_sums(values, offsets)[offsets[1:] > offsets[:-1]]
    paid[last_rows(offsets)[closes]] = totals[closes]
    return paid


def softmax_weights(scores: F64T, offsets: I64E1) -> F64T:
    """Return exp(s_t) / sum_k exp(s_k) within each episode; finite for finite scores."""
    if not len(scores):
        return np.zeros(0)
    filled = offsets[:-1][offsets[1:] > offsets[:-1]]
    highest = np.maximum.reduceat(scores, filled)
    lengths = np.diff(np.append(filled, len(scores)))
    weights = np.exp(scores - np.repeat(highest, lengths))
    return weights / np.repeat(np.add.reduceat(weights, filled), lengths)


def finished(episodes: EpisodeBatch) -> BoolE:
    """Return the episodes of a step or more that ended, but not by an infrastructure failure."""
    ended = (episodes.terminated | episodes.truncated) & ~episodes.failed
    return ended & (np.diff(episodes.offsets) > 0)


def span_rows(firsts: np.ndarray, lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows of stretches laid end to end, and which stretch each belongs to.

    Args:
        firsts: (E,) int64, the first row of each.
        lengths: (E,) int64; stretches may overlap.
    """
    owners = np.repeat(np.arange(len(firsts)), lengths)
    before = np.cumsum(lengths) - lengths
    return np.arange(len(owners)) + (firsts - before)[owners], owners


def select_episodes(episodes: EpisodeBatch, chosen: BoolE) -> EpisodeBatch:
    """Return the chosen episodes as a batch of their own."""
    if chosen.all():
        return episodes
    lengths = np.diff(episodes.offsets)
    rows = np.repeat(chosen, lengths)
    extra, start = episodes.extra, episodes.start
    return EpisodeBatch(
        episodes.reward[rows],
        episodes.components[rows],
        np.concatenate([[0], np.cumsum(lengths[chosen])]).astype(np.int64),
        episodes.terminated[chosen],
        episodes.truncated[chosen],
        episodes.failed[chosen],
        obs=take_rows(episodes.obs, rows),
        action=take_rows(episodes.action, rows),
        next_obs=take_rows(episodes.next_obs, rows),
        scores=take_rows(episodes.scores, rows),
        extra=None if extra is None else {name: value[rows] for name, value in extra.items()},
        start=None if start is None else {name: value[chosen] for name, value in start.items()},
    )


def repeats(labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return how often each of (T,) entries occurred before itself."""
    order = np.argsort(labels, kind="stable")
    grouped = labels[order]
    firsts = np.flatnonzero(np.r_[True, grouped[1:] != grouped[:-1]][: len(labels)])
    sizes = np.diff(np.r_[firsts, len(labels)])
    before = np.empty(len(labels), np.int64)
    before[order] = np.arange(len(labels)) - np.repeat(firsts, sizes)
    return before


def take_rows(batch: Any, rows: BoolN | np.ndarray | slice | tuple[np.ndarray, ...]) -> Any:
    """Return rows of an array, or of every array in nested dicts and tuples; None stays None."""
    if batch is None:
        return None
    if isinstance(batch, dict):
        return {key: take_rows(part, rows) for key, part in batch.items()}
    if isinstance(batch, tuple):
        return tuple(take_rows(part, rows) for part in batch)
    return np.asarray(batch)[rows]
