"""The one form every reward design has: a batch-first object that every plug drives.

- `StepBatch`: one tick of N slots.
- `EpisodeBatch`: whole episodes, flat arrays plus offsets.
- `RewardDesign`: the protocol of a design.
- `LearnedDesign`: the protocol of a design that trains a model.
- `SpeakingDesign`: the protocol of a design that says how its learning goes.
- `NoticingDesign`: the protocol of a design that starts slow work before it pays.
- `close_design`: frees what a design holds.
- `rewrites_truncated`: whether a design leaves episodes that a limit ended as they are.
- `reductions`: what a design's numbers come to over an episode.
- `needs_endings`: whether an episode that is cut without an ending loses something.
- `episode_batch`: builds an `EpisodeBatch` from per-episode arrays.

A *slot* is one environment, one sub-environment of a vector, or one agent of a multi-agent world.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple, Protocol, TypeAlias, runtime_checkable

import numpy as np

from rewardloom.errors import ConfigError, unknown_name
from rewardloom.typing import F64N, F64NK, F64T, F64TK, I64E1, BoolE, BoolN

__all__ = [
    "COLUMNS",
    "INFO_PREFIX",
    "SOMETIMES",
    "Depends",
    "EpisodeBatch",
    "LearnedDesign",
    "Memory",
    "NoticingDesign",
    "Reduction",
    "RewardDesign",
    "SpeakingDesign",
    "StepBatch",
    "check_needs",
    "check_on_truncation",
    "close_design",
    "episode_batch",
    "extra_columns",
    "may_lack",
    "needs_endings",
    "reductions",
    "rewrites_truncated",
]

COLUMNS = frozenset({"caption", "checks", "cost", "is_success"})
"""Names a design may ask for in `needs` and then finds in `StepBatch.extra`."""

SOMETIMES = frozenset({"checks", "is_success"})
"""Those that a world gives only at some steps; absent ones read None and 0.0. `cost` is at every
step, `caption` at every step and at reset."""

INFO_PREFIX = "info:"
"""A column "info:<key>" in `needs` is `info[key]`, a number at every step but not at reset."""

_NEEDS = COLUMNS | {"components", "obs", "action", "next_obs", "flat", "scores"}

Depends: TypeAlias = Literal["row", "step", "episode"]
Memory: TypeAlias = Literal["none", "statistics", "model"]
Reduction: TypeAlias = Literal["sum", "mean", "last"]

_REDUCTIONS = ("sum", "mean", "last")


class StepBatch(NamedTuple):
    """One tick of N slots.

    The arrays belong to the plug, which may overwrite them at the next tick: a design copies what
    it keeps and never writes into them.

    Attributes:
        reward: (N,) float64, the reward below the design.
        components: (N, K) float64 in the order of `bind`'s names; K = 0 where the world has none.
        terminated: (N,) bool, the task ended the episode.
        truncated: (N,) bool, a limit ended the episode.
        active: (N,) bool. False marks an autoreset tick or a dead agent: such a slot is paid 0 and
            no state of it changes.
        failed: (N,) bool, the infrastructure failed at this step; the episode is not settled.
        obs: batch of observations acted upon, only if "obs" is in `needs`.
        action: batch of actions, only if "action" is in `needs`.
        next_obs: batch of observations reached (the true final one at an episode's end), only if
            "next_obs" is in `needs`.
        extra: column name -> (N,) array, for the columns in `needs`. Rows of inactive
            slots hold None or 0 and mean nothing.
    """

    reward: F64N
    components: F64NK
    terminated: BoolN
    truncated: BoolN
    active: BoolN
    failed: BoolN
    obs: Any = None
    action: Any = None
    next_obs: Any = None
    extra: Mapping[str, Any] | None = None


class EpisodeBatch(NamedTuple):
    """E episodes as flat arrays; episode e owns the rows offsets[e]:offsets[e + 1].

    An episode that is neither terminated nor truncated is still open: its later rows, and for a
    design with `depends = "row"` its earlier ones too, may be missing.

    Attributes:
        reward: (T,) float64.
        components: (T, K) float64.
        offsets: (E + 1,) int64, starting at 0 and ending at T.
        terminated, truncated, failed: (E,) bool, how each episode ended.
        obs, action, next_obs, extra: as in `StepBatch`, with T rows.
        scores: (T,) float64 given by the caller, for designs that spread a return by scores.
        start: column name -> (E,) array, the columns of `extra` at reset.
    """

    reward: F64T
    components: F64TK
    offsets: I64E1
    terminated: BoolE
    truncated: BoolE
    failed: BoolE
    obs: Any = None
    action: Any = None
    next_obs: Any = None
    scores: Any = None
    extra: Mapping[str, Any] | None = None
    start: Mapping[str, Any] | None = None


@runtime_checkable
class RewardDesign(Protocol):
    """A reward design: maths on arrays that knows nothing of any environment library.

    Attributes:
        needs: What the plug must fill: "components", "obs", "action", "next_obs", names of
            `COLUMNS`, and "info:<key>" for a number that the world writes into its info. With
            "flat", observations and actions come as (N, D) float32 rows (discrete parts one-hot,
            images divided by 255) instead of as the space gives them. "scores" come with recorded
            episodes only: no plug fills them.
        depends: What a payment depends on. "row": this step alone (and the memory), so any rows can
            be relabelled at any time. "step": this step and the slot's past, so `step` is exact
            online. "episode": the whole episode; `relabel` leaves the rewards of open ones as they
            are.
        memory: What the design remembers between episodes. "none"; "statistics", which count every
            step once, so that buffers are relabelled by driving `step`; "model", trained on
            finished episodes (see `LearnedDesign`).
        relabels: True if `step` passes the raw reward and only `relabel` pays (emit="relabel"):
            the design belongs on a training buffer (`attach_relabel`).
        settles_truncation: True if a truncated episode is treated as an ending; the plug then also
            clears the bootstrap (it reports the step as terminated).

    A design may also have `settles_at_end`, True if the last step pays or takes back what earlier
    ones left open although `depends` is "step". And it may have `reductions`, a mapping from names
    of its summary's columns to what stands for an episode in tables and reports: the "sum" over its
    steps (that of all columns not named), their "mean", or the "last" one.
    """

    needs: frozenset[str]
    depends: Depends
    memory: Memory
    relabels: bool
    settles_truncation: bool

    def bind(self, names: tuple[str, ...], num_slots: int) -> None:
        """Learn the component names and the number of slots; drop every open episode.

        Plugs give `rewardloom.typing.ComponentNames`, which also says which are terminal.

        Raises:
            ConfigError: a component that the design names does not exist.
        """
        ...

    def begin(self, slots: BoolN, extra: Mapping[str, Any] | None = None) -> None:
        """Start a new episode in the slots that are True; what was open there is dropped.

        `extra` holds the needed columns at reset (rows of other slots mean nothing), or None where
        the plug has none.
        """
        ...

    def step(self, batch: StepBatch) -> F64N:
        """Return the (N,) rewards of one tick as a new array; ended slots are closed."""
        ...

    def relabel(self, episodes: EpisodeBatch) -> F64T:
        """Return the (T,) rewards of whole episodes: the reference for every other path."""
        ...

    def summary(self) -> dict[str, F64N]:
        """Return columns, each (N,), that say what the design did at the last tick.

        The keys are the same at every tick; plugs write the arrays into `info` under the design's
        name, so a design makes new ones for new numbers.
        """
        ...

    def state_dict(self) -> dict[str, Any]:
        """Return what the design remembers between episodes; open episodes are not part of it."""
        ...

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned, on any number of slots."""
        ...


@runtime_checkable
class LearnedDesign(RewardDesign, Protocol):
    """A design with `memory = "model"`: it trains a model on the episodes it has seen.

    `step` and `relabel` first take in the episodes that ended (each must be passed once), train
    when the schedule says so, and then pay with the newest model.

    Attributes:
        update_model: False freezes the model and takes in no more episodes.
        refits: How often the model was trained; a change tells a buffer that what it stores under
            a "row" design is out of date.
    """

    update_model: bool
    refits: int

    def diagnostics(self) -> dict[str, float]:
        """Return finite numbers about the last training, {} before the first; fixed keys after."""
        ...


@runtime_checkable
class SpeakingDesign(Protocol):
    """A design that says how its learning goes; see `LearnedDesign.diagnostics`."""

    memory: Memory

    @property
    def refits(self) -> int:
        """How often a model was trained."""
        ...

    def diagnostics(self) -> dict[str, float]:
        """Return finite numbers with fixed keys, or {} before there is something to say."""
        ...


@runtime_checkable
class NoticingDesign(RewardDesign, Protocol):
    """A design that starts slow work, such as asking a server, when a step is recorded.

    A plug that pays at learning time calls `notice` with every tick that it records, and `step`
    with the same ticks later.
    """

    def notice(self, batch: StepBatch) -> None:
        """Start what takes time; nothing is paid or counted."""
        ...


def close_design(design: RewardDesign) -> None:
    """Free the threads and connections of a design; one that has some has `close()`.

    Plugs call it in their own `close`. A closed design can be used on.
    """
    close = getattr(design, "close", None)
    if close is not None:
        close()


def reductions(design: RewardDesign) -> Mapping[str, Reduction]:
    """Return the columns of a design's summary that say how an episode is to reduce them.

    Raises:
        ConfigError: the design asks for something else than a sum, a mean or the last value.
    """
    found: Mapping[str, Reduction] = getattr(design, "reductions", {})
    for column, how in found.items():
        if how not in _REDUCTIONS:
            where = f"for {column!r} in {type(design).__name__}.reductions"
            raise ConfigError(unknown_name("reduction", how, _REDUCTIONS, where=where))
    return found


def needs_endings(design: RewardDesign) -> bool:
    """Return whether an episode that is cut without an ending loses something.

    That is a payment which its last step would make, or what a model would learn from it.
    """
    if design.relabels:
        return False
    learns = isinstance(design, LearnedDesign) and design.memory == "model" and design.update_model
    return design.depends == "episode" or learns or getattr(design, "settles_at_end", False)


def rewrites_truncated(design: RewardDesign) -> bool:
    """Return whether `relabel` rewrites truncated episodes.

    A design that leaves them raw says so by an attribute `rewrites_truncated`, False.
    """
    return getattr(design, "rewrites_truncated", True)


def check_needs(design: RewardDesign) -> None:
    """Raise `ConfigError` if `design.needs` names something no plug can fill."""
    for name in sorted(design.needs - _NEEDS):
        if name.startswith(INFO_PREFIX) and len(name) > len(INFO_PREFIX):
            continue
        raise ConfigError(
            unknown_name("column", name, _NEEDS, where=f"in {type(design).__name__}.needs")
        )


def extra_columns(needs: frozenset[str]) -> list[str]:
    """Return the info columns among a design's needs, in a fixed order."""
    return sorted(n for n in needs if n in COLUMNS or n.startswith(INFO_PREFIX))


def may_lack(column: str, *, at_reset: bool) -> bool:
    """Return whether a world may leave a column out of its info."""
    return column in SOMETIMES or (
        at_reset and (column == "cost" or column.startswith(INFO_PREFIX))
    )


def check_on_truncation(value: str) -> bool:
    """Return whether `on_truncation` settles truncated episodes, or raise `ConfigError`."""
    if value not in ("raw", "settle"):
        raise ConfigError(unknown_name("on_truncation", value, ("raw", "settle")))
    return value == "settle"


def episode_batch(
    rewards: Sequence[Any],
    components: Sequence[Any] | None = None,
    *,
    terminated: Any = True,
    truncated: Any = False,
    failed: Any = False,
    extra: Mapping[str, Any] | None = None,
    start: Mapping[str, Any] | None = None,
    obs: Any = None,
    action: Any = None,
    next_obs: Any = None,
    scores: Any = None,
) -> EpisodeBatch:
    """Build an `EpisodeBatch` from one reward array and one component array per episode.

    Args:
        rewards: E arrays of shape (T_e,).
        components: E arrays of shape (T_e, K), or None for worlds without components.
        terminated: One bool, or E of them. Likewise `truncated` and `failed`.
        extra: column name -> (T,) array over all episodes laid end to end.
        start: column name -> (E,) array.
        obs: (T, ...) array. Likewise `action`, `next_obs` and `scores`.
    """
    lengths = [len(r) for r in rewards]
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    total, count = int(offsets[-1]), len(lengths)
    flat = np.concatenate([np.asarray(r, np.float64) for r in rewards]) if count else np.zeros(0)
    if components is None or not count:
        table = np.zeros((total, 0))
    else:
        table = np.concatenate([np.asarray(c, np.float64) for c in components])

    def flags(value: Any) -> BoolE:
        return np.broadcast_to(np.asarray(value, bool), (count,)).copy()

    return EpisodeBatch(
        flat,
        table,
        offsets,
        flags(terminated),
        flags(truncated),
        flags(failed),
        obs=obs,
        action=action,
        next_obs=next_obs,
        scores=scores,
        extra=extra,
        start=start,
    )
