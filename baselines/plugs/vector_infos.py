"""Takes the infos of a Gymnasium vector apart into SB3's list of one dict per environment."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from rewardloom.typing import BoolN

__all__ = ["own_copy", "split_infos"]

_FINAL = ("final_info", "final_obs")


def split_infos(infos: Mapping[str, Any], num_envs: int) -> tuple[list[Any], list[Any]]:
    """Return every environment's step info and, where an episode ended, its reset info.

    In SAME_STEP mode the top level holds, for an environment whose episode ended, the info of the
    reset and what wrappers of the vector wrote about the step; `final_info` holds the step's own,
    which wins. Arrays come out as Python numbers, so that an info survives JSON and later steps.

    Args:
        infos: What `reset` or a SAME_STEP `step` returned last.
        num_envs: Number of environments.

    Returns:
        steps: num_envs dicts. resets: the top level alone, num_envs dicts.
    """
    everywhere = np.ones(num_envs, bool)
    resets = _rows(infos, everywhere)
    final, ended = infos.get("final_info"), infos.get("_final_info")
    if final is None or ended is None:
        return resets, resets
    late = _rows(final, np.asarray(ended, bool))
    steps = [{**top, **own} for top, own in zip(resets, late, strict=True)]
    return steps, resets


def own_copy(obs: Any) -> Any:
    """Return an observation that no later step overwrites."""
    if isinstance(obs, Mapping):
        return {key: own_copy(value) for key, value in obs.items()}
    if isinstance(obs, tuple):
        return tuple(map(own_copy, obs))
    return np.array(obs)


def _rows(table: Mapping[str, Any], present: BoolN) -> list[dict[str, Any]]:
    """Return one dict per environment; an entry without a mask follows `present`."""
    rows: list[dict[str, Any]] = [{} for _ in present]
    for key, value in table.items():
        if key in _FINAL or (key[:1] == "_" and key[1:] in table):
            continue
        mask = np.asarray(table.get(f"_{key}", present), bool) & present
        if isinstance(value, Mapping):
            entries: Any = _rows(value, mask)
        elif isinstance(value, np.ndarray | list | tuple) and len(value) == len(present):
            entries = _entries(value)
        else:  # says nothing about single environments
            continue
        for slot in np.flatnonzero(mask).tolist():
            rows[slot][key] = entries[slot]
    return rows


def _entries(column: Any) -> Any:
    """Return a column's entries: Python numbers, or arrays of their own."""
    if not isinstance(column, np.ndarray) or column.dtype == object:
        return column
    return column.tolist() if column.ndim == 1 else column.copy()
