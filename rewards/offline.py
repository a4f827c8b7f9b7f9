"""`relabel`: what a design pays on recorded episodes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from rewardloom.errors import ConfigError
from rewardloom.rewards.design import (
    INFO_PREFIX,
    EpisodeBatch,
    RewardDesign,
    check_needs,
    extra_columns,
)
from rewardloom.typing import F64T, ComponentNames

__all__ = ["relabel"]


def relabel(design: RewardDesign, episodes: EpisodeBatch, names: Sequence[str] = ()) -> list[F64T]:
    """Return what `design` pays on recorded episodes: E arrays of shape (T_e,), float64.

    A design that learns takes the finished episodes in, each once and as many as its store holds,
    trains if its schedule is due after them, and pays all of them with its newest model; statistics
    count every step once, in the order of the episodes. Episodes that failed teach nothing and are
    not settled. An episode that is neither terminated nor truncated is still open: it is paid what
    `step` would have paid so far, or keeps its rewards where a payment depends on all of it.

    Args:
        design: Bound to `names` here; what it had open is dropped.
        episodes: From `episode_batch`, with every array that the design needs.
        names: Names of the columns of `episodes.components`; `rewardloom.typing.ComponentNames`
            says which of them are terminal.

    Raises:
        ConfigError: the arrays do not fit each other, or one that the design needs is not there.

    >>> from rewardloom.rewards import DeferDesign, WeightDesign, episode_batch, relabel
    >>> episodes = episode_batch(
    ...     rewards=[[1.0, 2.0, 3.0], [4.0]],
    ...     components=[[[1.0], [0.0], [1.0]], [[2.0]]],
    ... )
    >>> [paid.tolist() for paid in relabel(DeferDesign(), episodes)]
    [[0.0, 0.0, 6.0], [4.0]]
    >>> [paid.tolist() for paid in relabel(WeightDesign({"a": 10.0}), episodes, ["a"])]
    [[10.0, 0.0, 10.0], [20.0]]
    """
    check_needs(design)
    _check_rows(episodes)
    _check_given(design, episodes, names)
    design.bind(ComponentNames(names, getattr(names, "terminal", ())), 1)
    return np.split(design.relabel(episodes), episodes.offsets[1:])[:-1]


def _check_rows(episodes: EpisodeBatch) -> None:
    """Raise `ConfigError` unless every array has one row per step."""
    extra = dict(episodes.extra or {})
    fields = {"components": episodes.components, "scores": episodes.scores, **extra}
    for name in ("obs", "action", "next_obs"):
        fields |= _leaves(name, getattr(episodes, name))
    for name, value in fields.items():
        if value is not None and len(value) != episodes.offsets[-1]:
            raise ConfigError(
                f"{name} has {len(value)} rows, the episodes have {episodes.offsets[-1]} steps."
            )


def _leaves(name: str, value: Any) -> dict[str, Any]:
    """Return the arrays of a batch of observations or actions."""
    parts = value.items() if isinstance(value, dict) else None
    if isinstance(value, tuple):
        parts = enumerate(value)
    if parts is None:
        return {name: value}
    return {k: leaf for key, part in parts for k, leaf in _leaves(f"{name}[{key!r}]", part).items()}


def _check_given(design: RewardDesign, episodes: EpisodeBatch, names: Sequence[str]) -> None:
    """Raise `ConfigError` for the first thing that the design needs and does not get."""
    kind = type(design).__name__
    given = episodes.components.shape[1]
    if "components" in design.needs and not (names and given == len(names)):
        raise ConfigError(
            f"{kind} reads reward components: give episode_batch an array (T, K) per episode, and "
            f"relabel the K names. Got K = {given} and the names {list(names)}."
        )
    for name in sorted(design.needs & {"obs", "action", "next_obs"}):
        value = getattr(episodes, name)
        if value is None:
            raise ConfigError(f"{kind} needs {name}: give episode_batch {name}=, one row a step.")
        if "flat" in design.needs and np.ndim(value) != 2:
            raise ConfigError(
                f"{kind} needs {name} as rows of numbers, (T, D) float32, got "
                f"{np.shape(value) if isinstance(value, np.ndarray) else type(value).__name__}. "
                "gymnasium.spaces.flatten makes one such row."
            )
    for column in extra_columns(design.needs):
        if column not in (episodes.extra or {}):
            what = "a number" if column.startswith(INFO_PREFIX) else "a value"
            raise ConfigError(
                f"{kind} needs the column {column!r}: give episode_batch extra={{{column!r}: "
                f"...}}, {what} a step."
            )
