"""Reads vector infos, in every autoreset mode, into arrays aligned with `rewards`.

- `step_components`: the components that belong to a step.
- `step_column`: any other info entry that belongs to a step.
- `carried_column`: an info entry that a plug or a sub-environment's plug left for this step.
- `final_obs`: the observations reached, the true final ones where episodes ended.
- `optional_column`: a column that not every step has.
- `reset_column`: an info entry of the episodes that have just begun.

In SAME_STEP mode what belongs to a step that ended an episode is in `infos["final_info"]`, where
its mask is True; everything else is at the top level. A NEXT_STEP autoreset tick has none.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from gymnasium import spaces

from rewardloom.errors import ComponentError
from rewardloom.typing import F64NK, BoolN
from rewardloom.wrappers.batching import batch_rows, with_rows
from rewardloom.wrappers.plug import raise_component_error

__all__ = [
    "carried_column",
    "final_obs",
    "optional_column",
    "reset_column",
    "step_column",
    "step_components",
]


def step_components(
    infos: Mapping[str, Any], names: tuple[str, ...], num_envs: int
) -> tuple[F64NK, BoolN]:
    """Return the components that belong to `rewards` of the same step.

    Args:
        infos: What a VectorEnv's `step` returned last.
        names: The declared components, in the order wanted.
        num_envs: Number of sub-environments.

    Returns:
        values (N, K) float64, 0 where absent, and present (N,) bool: False marks an autoreset
        tick.

    Raises:
        ComponentError: a component is missing, unexpected or not finite where others are present.
    """
    values = np.zeros((num_envs, len(names)))
    present = np.zeros(num_envs, bool)
    table = infos.get("reward_components")
    if table is not None:
        mask = infos["_reward_components"]
        _fill(values, table, mask, names)
        present |= mask
    final = infos.get("final_info")
    if final is not None:
        ended = infos["_final_info"]
        present[ended] = False
        table = final.get("reward_components")
        if table is not None:
            mask = final["_reward_components"] & ended
            _fill(values, table, mask, names)
            present |= mask
    return values, present


def _fill(values: F64NK, table: Mapping[str, Any], mask: BoolN, names: tuple[str, ...]) -> None:
    """Write a table of components into the rows of `values` where `mask` is True."""
    whole = mask.all()
    try:
        for k, name in enumerate(names):
            if table[name].dtype.kind != "f":
                raise ComponentError(
                    f"Reward component {name!r} arrives as {table[name].dtype}: Gymnasium takes "
                    "the type from the first sub-environment and rounds the others. Give floats."
                )
            if whole:
                values[:, k] = table[name]
            else:
                values[mask, k] = table[name][mask]
        sound = (
            len(table) == 2 * len(names)
            and np.isfinite(values.sum())
            and all(_covers(table[f"_{name}"], mask) for name in names)
        )
    except KeyError:
        sound = False
    if not sound:
        _raise_error(table, mask, names)


def _covers(given: BoolN, mask: BoolN) -> bool:
    return given is mask or not (mask & ~given).any()


def _raise_error(table: Mapping[str, Any], mask: BoolN, names: tuple[str, ...]) -> None:
    """Raise the error of the first sub-environment whose components do not fit, if any."""
    keys = [key for key in table if not (key.startswith("_") and key[1:] in table)]
    for index in np.flatnonzero(mask).tolist():
        row = {
            key: table[key][index]
            for key in keys
            if f"_{key}" not in table or table[f"_{key}"][index]
        }
        raise_component_error(names, row, f"this step of sub-environment {index}")


def step_column(infos: Mapping[str, Any], key: str, num_envs: int) -> tuple[Any, BoolN] | None:
    """Return `infos[key]` aligned with `rewards`, and where it is present; None if nowhere.

    A nested entry comes back as an object array of dicts.
    """
    top = reset_column(infos, key)
    final = infos.get("final_info")
    if final is None or key not in final:
        if top is None or final is None:
            return top
        values, present = top
        return values, present & ~infos["_final_info"]
    ended = infos["_final_info"]
    late = reset_column(final, key)
    assert late is not None
    late_values, late_present = late
    if top is None:
        return late_values, late_present & ended
    values, present = top
    dtype = np.result_type(values.dtype, late_values.dtype)
    values = values.astype(dtype)
    values[ended] = late_values[ended]
    return values, np.where(ended, late_present, present)


def optional_column(column: str, found: tuple[Any, BoolN] | None, num_envs: int) -> np.ndarray:
    """Return a column that not every step has: 0.0 where absent, or None for `checks`."""
    if column == "checks":
        empty = np.full(num_envs, None, dtype=object)
        return empty if found is None else np.where(found[1], found[0], empty)
    return np.zeros(num_envs) if found is None else np.where(found[1], found[0], 0.0)


def carried_column(infos: Mapping[str, Any], key: str, default: np.ndarray) -> np.ndarray:
    """Return an entry that no reset carries (`raw_reward`, `episode_raw_return`), (N,) float64.

    A vector plug writes it at the top level, aligned with the rewards; a plug inside a
    sub-environment that ended leaves it in `final_info`. `default` fills what neither gives.
    """
    values = np.array(default, np.float64)
    for table in (infos.get("final_info"), infos):
        if table is not None and key in table:
            np.copyto(values, table[key], where=table[f"_{key}"])
    return values


def final_obs(space: spaces.Space[Any], obs: Any, infos: Mapping[str, Any]) -> Any:
    """Return the batch of observations that a step reached.

    Args:
        space: The space of one sub-environment.
        obs: What `step` returned; after an episode's end in SAME_STEP mode, the next one's first.
        infos: What `step` returned last.
    """
    batch = batch_rows(space, obs)
    if "final_obs" not in infos:
        return batch
    ended = np.flatnonzero(infos["_final_obs"]).tolist()
    return with_rows(space, batch, {index: infos["final_obs"][index] for index in ended})


def reset_column(infos: Mapping[str, Any], key: str) -> tuple[Any, BoolN] | None:
    """Return the top-level `infos[key]` and its mask, or None where it is absent."""
    if key not in infos:
        return None
    values, mask = infos[key], infos[f"_{key}"]
    if isinstance(values, Mapping):
        values = _dict_rows(values, mask)
    return values, mask


def _dict_rows(table: Mapping[str, Any], mask: BoolN) -> np.ndarray:
    rows = np.full(len(mask), None, dtype=object)
    names = [key for key in table if f"_{key}" in table]
    for index in np.flatnonzero(mask).tolist():
        rows[index] = {k: table[k][index] for k in names if table[f"_{k}"][index]}
    return rows
