"""`relabel_minari`: what a design pays on a Minari dataset."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from rewardloom.components import COMPONENT_NAME
from rewardloom.errors import ComponentError, ConfigError, unknown_name
from rewardloom.rewards.design import (
    INFO_PREFIX,
    RewardDesign,
    check_needs,
    episode_batch,
    extra_columns,
    may_lack,
)
from rewardloom.rewards.offline import relabel
from rewardloom.rewards.ragged import take_rows
from rewardloom.typing import F64T, ComponentNames
from rewardloom.wrappers.batching import RowReader
from rewardloom.wrappers.plug import row_readers

__all__ = ["relabel_minari"]

Source: TypeAlias = str | Callable[[Any], Any]
"""A key of the episode's infos (dots reach into nested ones), "reward", or a function of Minari's
`EpisodeData` that returns one number per step."""


def relabel_minari(
    dataset: Any,
    design: RewardDesign,
    *,
    components: Mapping[str, Source] | None = None,
    terminal_components: Sequence[str] = (),
) -> list[F64T]:
    """Return what `design` pays on the episodes of a Minari dataset, one float64 array each.

    Nothing is written. Observations and actions reach the design by the dataset's spaces, flat for
    designs that learn; columns such as `cost` and "info:<key>" are read from the infos. Infos of
    T + 1 entries (Minari's form) hold the reset first. All episodes are held in memory.

    What `rewardloom.rewards.relabel` says holds: statistics count every step once, in the dataset's
    order; a model takes every finished episode in once, within the bounds of its store, trains
    where its schedule is due, and then pays all episodes; episodes that an infrastructure failure
    ended (`infra_failure` in the last info) teach nothing and are not settled; one that the dataset
    leaves open is paid by its steps so far, or keeps its rewards.

    Args:
        dataset: A `minari.MinariDataset` (`pip install "rewardloom[offline]"`).
        design: One object serves one dataset.
        components: name -> source: a key of the infos, "reward", or a function of an episode
            that returns (T,) numbers. Left out, they are the entries of
            `infos["reward_components"]`.
        terminal_components: Those that mean something only at an episode's last step. Datasets do
            not say so, and gates read them there whatever the aggregation.

    Raises:
        ConfigError: the dataset is none, or lacks what the design needs; or a terminal component
            does not exist.
        ComponentError: a component is missing, has another length, or is not finite.

    >>> from rewardloom.wrappers import relabel_minari
    >>> relabel_minari([], None)
    Traceback (most recent call last):
    ...
    rewardloom.errors.ConfigError: relabel_minari takes a minari.MinariDataset, got list.
    """
    if not hasattr(dataset, "iterate_episodes"):
        raise ConfigError(
            f"relabel_minari takes a minari.MinariDataset, got {type(dataset).__name__}."
        )
    check_needs(design)
    episodes = list(dataset.iterate_episodes())
    if not episodes:
        return []
    names, tables = _components(design, episodes, components)
    for name in terminal_components if names else ():
        if name not in names:
            where = "in terminal_components"
            raise ConfigError(unknown_name("component", name, names, where=where))
    obs_rows, action_rows = row_readers(design, dataset.observation_space, dataset.action_space)
    observations = [episode.observations for episode in episodes]
    extra, start = _columns(design, episodes)

    def rows(part: str, reader: RowReader, batches: list[Any], cut: slice) -> Any:
        if part not in design.needs:
            return None
        return _joined([take_rows(reader.batch(batch), cut) for batch in batches])

    batch = episode_batch(
        [episode.rewards for episode in episodes],
        tables,
        terminated=[bool(episode.terminations[-1]) for episode in episodes],
        truncated=[bool(episode.truncations[-1]) for episode in episodes],
        failed=[bool(_last(episode.infos, "infra_failure")) for episode in episodes],
        obs=rows("obs", obs_rows, observations, slice(None, -1)),
        next_obs=rows("next_obs", obs_rows, observations, slice(1, None)),
        action=rows("action", action_rows, [e.actions for e in episodes], slice(None)),
        extra=extra,
        start=start,
    )
    return relabel(design, batch, ComponentNames(names, terminal_components))


def _components(
    design: RewardDesign, episodes: list[Any], sources: Mapping[str, Source] | None
) -> tuple[tuple[str, ...], list[np.ndarray] | None]:
    """Return the names and, per episode, the (T, K) values; nothing if the design reads none."""
    if "components" not in design.needs:
        return (), None
    if sources is None:
        recorded = (episodes[0].infos or {}).get("reward_components", {})
        sources = {name: f"reward_components.{name}" for name in recorded}
    if not sources:
        raise ConfigError(
            f"{type(design).__name__} reads reward components, and the dataset's infos have no "
            'reward_components. Pass components={"name": "key of the infos" or "reward" or a '
            "function of an episode}."
        )
    for name in sources:
        if not COMPONENT_NAME.fullmatch(name):
            raise ConfigError(f"A component's name matches [a-z][a-z0-9_]*, got {name!r}.")
    tables = [
        np.stack([_component(episode, name, source) for name, source in sources.items()], axis=1)
        for episode in episodes
    ]
    return tuple(sources), tables


def _component(episode: Any, name: str, source: Source) -> F64T:
    where = f"episode {episode.id}"
    if callable(source):
        values = source(episode)
    elif source == "reward":
        values = episode.rewards
    else:
        values = _steps(episode, source)
        if values is None:
            raise ComponentError(
                f"Reward component {name!r} is missing in {where}: its infos have no {source!r}. "
                f"They have {sorted(episode.infos or {})}; was the dataset recorded with "
                "record_infos=True?"
            )
    values = np.asarray(values, np.float64)
    if values.shape != (len(episode),):
        raise ComponentError(
            f"Reward component {name!r} has the shape {values.shape} in {where}, which has "
            f"{len(episode)} steps."
        )
    if not np.isfinite(values).all():
        step = int(np.argmin(np.isfinite(values)))
        raise ComponentError(
            f"Reward component {name!r} is {values[step]} at step {step + 1} of {where}. "
            "Components must be finite numbers."
        )
    return values


def _columns(design: RewardDesign, episodes: list[Any]) -> tuple[Any, Any]:
    """Return the columns of the steps and those of the resets that the infos hold."""
    extra: dict[str, np.ndarray] = {}
    start: dict[str, np.ndarray] = {}
    for column in extra_columns(design.needs):
        key = column.removeprefix(INFO_PREFIX)
        steps, starts = [], []
        for episode in episodes:
            values = _steps(episode, key)
            if values is None:
                if not may_lack(column, at_reset=False):
                    raise ConfigError(
                        f"{type(design).__name__} needs infos[{key!r}], which episode "
                        f"{episode.id} of the dataset lacks."
                    )
                filler = np.full(len(episode), None) if key == "checks" else np.zeros(len(episode))
                steps.append(filler)
                continue
            steps.append(values)
            recorded = np.asarray(episode.infos[key])
            if len(recorded) > len(episode):
                starts.append(recorded[0])
        extra[column] = np.concatenate(steps)
        if len(starts) == len(episodes):
            start[column] = np.array(starts)
    return extra or None, start or None


def _steps(episode: Any, path: str) -> np.ndarray | None:
    """Return an info entry of the T steps, without that of the reset, or None if there is none."""
    value = episode.infos or {}
    for key in path.split("."):
        if not isinstance(value, Mapping) or key not in value:
            return None
        value = value[key]
    return np.asarray(value)[-len(episode) :]


def _last(infos: Mapping[str, Any] | None, key: str) -> Any:
    values = (infos or {}).get(key)
    return False if values is None else values[-1]


def _joined(batches: list[Any]) -> Any:
    """Return the batches of all episodes as one."""
    first = batches[0]
    if isinstance(first, dict):
        return {key: _joined([batch[key] for batch in batches]) for key in first}
    if isinstance(first, tuple):
        return tuple(_joined(list(parts)) for parts in zip(*batches, strict=True))
    return np.concatenate(batches)
