"""Drives a reward design by hand: the slow, plain reference that every plug is compared with.

- `Tick`: one tick of N worlds stepped one by one.
- `reference_ticks`: steps N worlds and gives their ticks.
- `reference_rewards`: what a design pays on such ticks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np

from rewardloom.rewards.design import COLUMNS, RewardDesign, StepBatch
from rewardloom.typing import BoolN

__all__ = ["Tick", "reference_rewards", "reference_ticks"]


class Tick(NamedTuple):
    """One tick.

    Attributes:
        batch: What a plug should hand to the design; None before the first step.
        begun: (N,) bool, slots whose next episode starts after this tick.
        start: The info columns at those starts.
    """

    batch: StepBatch | None
    begun: BoolN
    start: dict[str, np.ndarray]


def reference_ticks(
    make_world: Callable[[], gym.Env[Any, Any]],
    num_slots: int,
    actions: np.ndarray,
    *,
    seed: int = 0,
    idle_after_end: bool = False,
    flat: bool = False,
) -> Iterator[Tick]:
    """Step `num_slots` worlds one by one and yield their ticks, the resets first.

    Args:
        make_world: Makes one world that declares components and writes captions and costs.
        num_slots: N; world i is first reset with seed + i, later without a seed.
        actions: (T, N), what each world does at each tick.
        idle_after_end: True for NEXT_STEP autoreset: a tick without a step follows every end.
        flat: Give observations and actions as rows of numbers, for designs with "flat" in `needs`.
    """
    worlds = [make_world() for _ in range(num_slots)]
    names = tuple(worlds[0].get_wrapper_attr("reward_components"))
    starts = [world.reset(seed=seed + i) for i, world in enumerate(worlds)]
    obs = [start[0] for start in starts]
    yield Tick(None, np.ones(num_slots, bool), _extra([start[1] for start in starts]))
    waiting = np.zeros(num_slots, bool)
    for row in actions:
        results: list[Any] = [None] * num_slots
        begun = np.zeros(num_slots, bool)
        infos: list[Any] = [{}] * num_slots
        for i, world in enumerate(worlds):
            if waiting[i]:
                continue
            results[i] = world.step(row[i])
            ended = results[i][2] or results[i][3]
            begun[i] = ended and not idle_after_end
        batch = _batch(results, obs, row, names)
        for i, world in enumerate(worlds):
            if begun[i] or waiting[i]:
                obs[i], infos[i] = world.reset()
            else:
                obs[i] = results[i][0]
        begun |= waiting
        waiting = (batch.terminated | batch.truncated) & idle_after_end
        yield Tick(_flattened(batch, worlds[0]) if flat else batch, begun, _extra(infos))


def reference_rewards(
    design: RewardDesign, ticks: Iterable[Tick], names: tuple[str, ...], num_slots: int
) -> np.ndarray:
    """Return the (T, N) rewards that `design` pays on `ticks`."""
    design.bind(names, num_slots)
    paid = []
    for tick in ticks:
        if tick.batch is not None:
            paid.append(design.step(tick.batch))
        if tick.begun.any():
            design.begin(tick.begun, tick.start)
    return np.array(paid)


def _batch(results: list[Any], obs: list[Any], action: Any, names: tuple[str, ...]) -> StepBatch:
    """Gather one tick; slots without a result are inactive."""
    active = np.array([result is not None for result in results])
    idle = (None, 0.0, False, False, {})
    rows = [result or idle for result in results]
    infos = [row[4] for row in rows]
    values = [[info.get("reward_components", {}).get(n, 0.0) for n in names] for info in infos]
    reached = [row[0] if on else o for row, o, on in zip(rows, obs, active, strict=True)]
    return StepBatch(
        np.array([row[1] for row in rows], np.float64),
        np.array(values, np.float64),
        np.array([row[2] for row in rows], bool),
        np.array([row[3] for row in rows], bool),
        active,
        np.array([info.get("infra_failure", False) for info in infos], bool),
        obs=_stack(obs),
        action=np.array(action),
        next_obs=_stack(reached),
        extra=_extra(infos),
    )


def _flattened(batch: StepBatch, world: gym.Env[Any, Any]) -> StepBatch:
    """Flatten observations and actions one by one."""
    seen, done = world.observation_space, world.action_space
    return batch._replace(
        obs=_flat_rows(seen, batch.obs, len(batch.reward)),
        action=_flat_rows(done, batch.action, len(batch.reward)),
        next_obs=_flat_rows(seen, batch.next_obs, len(batch.reward)),
    )


def _flat_rows(space: gym.Space[Any], values: Any, count: int) -> np.ndarray:
    rows = []
    for i in range(count):
        one = {k: v[i] for k, v in values.items()} if isinstance(values, dict) else values[i]
        rows.append(np.asarray(gym.spaces.flatten(space, one), np.float32))
    return np.stack(rows)


def _stack(values: list[Any]) -> Any:
    if isinstance(values[0], dict):
        return {key: np.stack([value[key] for value in values]) for key in values[0]}
    return np.stack(values)


def _extra(infos: list[dict[str, Any]]) -> dict[str, np.ndarray]:
    extra = {}
    for column in COLUMNS:
        extra[column] = np.full(len(infos), None, dtype=object)
        extra[column][:] = [info.get(column) for info in infos]
    return extra
