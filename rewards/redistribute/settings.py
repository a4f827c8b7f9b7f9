"""What can be chosen in a redistribution, and its checks.

- `MODES`: how a return may be spread.
- `Learning`: how the models of learned modes are trained.
- `Options`: the checked arguments of `RedistributeDesign`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple, TypeAlias

from rewardloom.errors import ConfigError, unknown_name
from rewardloom.rewards.design import Memory
from rewardloom.rewards.learning.store import check_inputs
from rewardloom.rewards.numbers import check_integer, check_number

__all__ = ["MODES", "Learning", "Mode", "check_options", "check_truncation"]

Kind: TypeAlias = Literal["weights", "credit", "rate", "estimate", "potential"]


class Mode(NamedTuple):
    """A way to spread a return.

    Attributes:
        kind: Its rule of payment: "weights" w_t R, "credit" a number per episode, "rate" a number
            per step, "estimate" differences of g_t, "potential" an addition to the raw reward.
        emits: The values of `emit` it allows, its default first.
        memory: As in `RewardDesign`.
        preserve: The values of `preserve` it allows, its default first.
    """

    kind: Kind
    emits: tuple[str, ...]
    memory: Memory = "none"
    preserve: tuple[str, ...] = ("sum",)


MODES: dict[str, Mode] = {
    "uniform": Mode("weights", ("relabel",)),
    "softmax": Mode("weights", ("relabel",)),
    "attention": Mode("weights", ("relabel",), "model"),
    "occlusion": Mode("weights", ("relabel",), "model"),
    "ircr": Mode("credit", ("relabel",), "model", ("none",)),
    "rrd": Mode("rate", ("relabel", "causal"), "model", ("sum", "none")),
    "rudder": Mode("estimate", ("causal", "relabel"), "model"),
    "difference": Mode("estimate", ("causal", "relabel")),
    "potential": Mode("potential", ("causal",), "none", ("none",)),
}

_ONLY_IN = {
    "score": ("softmax", "difference", "potential"),
    "temperature": ("softmax",),
    "sign": ("softmax",),
    "gamma": ("potential",),
    "normalize": ("ircr",),
    "learning": tuple(name for name, mode in MODES.items() if mode.memory == "model"),
}
_EMISSIONS = ("relabel", "causal", "deferred")
_TRUNCATION = ("raw", "settle", "bootstrap")


@dataclasses.dataclass(frozen=True)
class Learning:
    """How the model of a learned mode is trained; `ircr` only reads `max_episodes`.

    Args:
        inputs: What the model reads of a step, of "obs", "action", "next_obs" and "components".
        hidden: Widths of the hidden layers (rrd); sequence models are as wide as the last one.
        learning_rate: Of Adam.
        gradient_steps: Per refit.
        episodes_per_batch: Episodes in a gradient step.
        subset: K, the steps drawn of each (rrd).
        unbiased: Correct the loss of rrd for the variance of the K drawn steps.
        segments: Stretches that an episode is cut into, at most (attention, occlusion).
        refit_every: Steps of finished episodes between two refits.
        first_refit: Episodes before the first one; until then the raw reward is paid.
        max_episodes: The latest episodes that are kept.
        max_steps: Steps of all of them, at most.
        max_bytes: Memory of all of them, at most; the newest episode always stays. A refit needs
            about four times as much.
        seed: Of the initial weights and the batches.
        device: "cpu", or a GPU of this machine such as "cuda" or "cuda:1".

    Raises:
        ConfigError: a value is out of range, or an input does not exist.
    """

    inputs: Sequence[str] = ("obs", "action")
    hidden: Sequence[int] = (64, 64)
    learning_rate: float = 1e-3
    gradient_steps: int = 100
    episodes_per_batch: int = 32
    subset: int = 32
    unbiased: bool = False
    segments: int = 64
    refit_every: int = 2000
    first_refit: int = 10
    max_episodes: int = 400
    max_steps: int = 1_000_000
    max_bytes: int = 2**30
    seed: int = 0
    device: str = "cpu"

    def __post_init__(self) -> None:
        object.__setattr__(self, "inputs", check_inputs(self.inputs))
        if isinstance(self.hidden, str) or not self.hidden:
            raise ConfigError(f"hidden must list at least one width, got {self.hidden!r}.")
        object.__setattr__(self, "hidden", tuple(self.hidden))
        counts = {f"hidden[{k}]": width for k, width in enumerate(self.hidden)}
        for name in (
            "gradient_steps",
            "episodes_per_batch",
            "subset",
            "segments",
            "refit_every",
            "first_refit",
            "max_episodes",
            "max_steps",
            "max_bytes",
        ):
            counts[name] = getattr(self, name)
        for name, value in counts.items():
            check_integer(name, value)
        if self.unbiased and self.subset < 2:
            raise ConfigError("unbiased=True needs subset >= 2: one step has no variance.")
        check_number("learning_rate", self.learning_rate, above=0.0)
        check_integer("seed", self.seed, least=0)

    def to_config(self) -> dict[str, Any]:
        """Return the fields as JSON knows them."""
        fields = dataclasses.asdict(self)
        return {k: list(v) if isinstance(v, tuple) else v for k, v in fields.items()}


def check_options(mode: str, given: Mapping[str, Any]) -> Mode:
    """Return the mode called `mode`, or raise `ConfigError` where an option does not fit it.

    Args:
        mode: A key of `MODES`.
        given: Options of single modes by name; None marks those that were not given.
    """
    if mode not in MODES:
        raise ConfigError(unknown_name("mode", mode, MODES))
    for name, modes in _ONLY_IN.items():
        if given.get(name) is not None and mode not in modes:
            raise ConfigError(
                f"mode={mode!r} has no {name}; it is an option of {', '.join(modes)} only."
            )
    if mode in ("difference", "potential") and given.get("score") is None:
        raise ConfigError(
            f'mode={mode!r} needs score=, "info:<key>" for a number that the world writes into '
            "its info at every step, or a component's name."
        )
    return MODES[mode]


def check_emit(mode: str, emit: str | None) -> str:
    """Return how a mode emits, its default for None."""
    allowed = MODES[mode].emits
    if emit is None:
        return allowed[0]
    if emit not in _EMISSIONS:
        raise ConfigError(unknown_name("emit", emit, _EMISSIONS[:2]))
    if emit == "deferred":
        raise ConfigError(
            'emit="deferred" would pay the return at the last step, which undoes the '
            f"redistribution. mode={mode!r} allows {', '.join(allowed)}."
        )
    if emit not in allowed:
        why = (
            "its payments are known only when the episode has ended"
            if emit == "causal"
            else "its payments are known at once"
        )
        raise ConfigError(f"mode={mode!r} allows no emit={emit!r}: {why}. Use {allowed[0]!r}.")
    return emit


def check_preserve(mode: str, preserve: str | None) -> str:
    """Return what a mode preserves, its default for None."""
    allowed = MODES[mode].preserve
    if preserve is None:
        return allowed[0]
    if preserve == "discounted":
        raise ConfigError(
            'preserve="discounted" would pay w_t gamma^-t R, which explodes with the length of an '
            'episode. Use preserve="sum" and train with gamma=1, or mode="potential", which keeps '
            "the optimal policy for any gamma."
        )
    if preserve not in ("sum", "none"):
        raise ConfigError(unknown_name("preserve", preserve, ("sum", "none")))
    if preserve not in allowed:
        other = "does not preserve the sum" if preserve == "sum" else "always preserves the sum"
        raise ConfigError(f"mode={mode!r} {other}; use preserve={allowed[0]!r} or leave it out.")
    return preserve


def check_truncation(value: str) -> str:
    """Return a truncation policy, or raise `ConfigError`."""
    if value not in _TRUNCATION:
        raise ConfigError(unknown_name("on_truncation", value, _TRUNCATION))
    return value
