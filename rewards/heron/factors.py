"""`Factor`: one ranked reward component; and the margins by which factors decide.

- `read_ranking`: factors from what a configuration holds.
- `Margins`: how far apart two values must lie for a factor to decide.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from rewardloom.errors import ConfigError, refuse_unknown, unknown_name

__all__ = ["Factor", "Margins", "constant_factors", "factor_scale", "read_ranking"]

_NOISE = 1e-9  # deviation, relative to the largest value, that floating-point sums may show


@dataclasses.dataclass(frozen=True)
class Factor:
    """One reward component in a ranking.

    Attributes:
        component: Its name.
        sign: +1 if more is better, -1 if less is.
        margin: How far two values must differ for this factor to decide, in the unit that the
            design's `margins` uses; None takes the design's.

    Raises:
        ConfigError: the sign is not 1 or -1, or the margin is negative or not a number.
    """

    component: str
    sign: int = 1
    margin: float | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.component, str) or not self.component:
            raise ConfigError(f"A Factor names a component, got {self.component!r}.")
        if self.sign not in (1, -1):
            raise ConfigError(f"sign of factor {self.component!r} must be 1 or -1: {self.sign!r}.")
        if self.margin is not None:
            _check_margin(self.margin, f"margin of factor {self.component!r}")


def read_ranking(ranking: Sequence[Factor | Mapping[str, Any] | str]) -> tuple[Factor, ...]:
    """Return the factors, the most important one first.

    Raises:
        ConfigError: the ranking is empty, ranks a component twice or has unknown fields.
    """
    if isinstance(ranking, str | Mapping) or not ranking:
        raise ConfigError(
            f"ranking must list at least one factor, the most important first; got {ranking!r}."
        )
    fields = [field.name for field in dataclasses.fields(Factor)]
    factors: list[Factor] = []
    for entry in ranking:
        if isinstance(entry, Mapping):
            refuse_unknown(entry, fields, kind="field", where="of a factor")
            if "component" not in entry:
                raise ConfigError(f"A factor needs the field 'component', got {dict(entry)!r}.")
            entry = Factor(**entry)
        factor = Factor(entry) if isinstance(entry, str) else entry
        if any(factor.component == other.component for other in factors):
            raise ConfigError(f"ranking names {factor.component!r} twice.")
        factors.append(factor)
    return tuple(factors)


def constant_factors(sums: np.ndarray) -> np.ndarray:
    """Return the (F,) factors whose values (U, F) differ by no more than floating-point noise."""
    return sums.std(0) <= _NOISE * np.abs(sums).max(0)


def factor_scale(sums: np.ndarray) -> np.ndarray:
    """Return the (F,) deviations that z-scores divide by; infinite for constant factors."""
    return np.where(constant_factors(sums), np.inf, sums.std(0))


class Margins:
    """Turns what a user wrote into one margin per factor.

    Args:
        margins: "std" (one standard deviation), a number or a list of one per factor (in standard
            deviations), {"absolute": a number or a list} (in the factors' own units), "estimated"
            or {"estimated": share} (each level decides that share of the pairs that reach it; our
            formulation).
        factors: The ranking; a factor's own margin overrides.

    Raises:
        ConfigError: a margin is negative or not a number, or their count does not fit.
    """

    def __init__(self, margins: Any, factors: Sequence[Factor]):
        kind, value = "std", margins
        if isinstance(margins, Mapping):
            if len(margins) != 1:
                raise ConfigError(f"margins takes one of absolute, estimated: {dict(margins)!r}.")
            ((kind, value),) = margins.items()
            refuse_unknown([kind], ("absolute", "estimated"), kind="unit", where="of margins")
        elif isinstance(margins, str):
            if margins not in ("std", "estimated"):
                raise ConfigError(unknown_name("margins", margins, ("std", "estimated")))
            kind, value = margins, 1.0 if margins == "std" else 0.7
        self.kind = kind
        self.share = 0.0
        own = [factor.margin for factor in factors]
        if kind == "estimated":
            if any(margin is not None for margin in own):
                raise ConfigError("A factor has a margin, but margins='estimated' finds them.")
            self.share = _check_share(value)
            self._values = np.zeros(len(factors))
            return
        listed = value if isinstance(value, list | tuple) else [value] * len(factors)
        if len(listed) != len(factors):
            raise ConfigError(f"margins lists {len(listed)} numbers for {len(factors)} factors.")
        for margin in listed:
            _check_margin(margin, "margins")
        chosen = [m if o is None else o for m, o in zip(listed, own, strict=True)]
        self._values = np.array(chosen, np.float64)

    def resolve(self, sums: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """Return the (F,) margins in the factors' own units; infinite for constant factors.

        Args:
            sums: (U, F) factors of every unit that can be compared.
            first, second: (P,) units of the pairs.
        """
        if self.kind == "estimated":
            margins = self._estimate(sums, first, second)
        else:
            margins = self._values * (sums.std(0) if self.kind == "std" else 1.0)
        return np.where(constant_factors(sums), np.inf, margins)

    def _estimate(self, sums: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        margins = np.zeros(sums.shape[1])
        idle = constant_factors(sums)
        for level in np.flatnonzero(~idle):
            if not len(first):
                break
            gap = np.abs(sums[first, level] - sums[second, level])
            margins[level] = np.quantile(gap, 1.0 - self.share)
            left = gap <= margins[level]
            first, second = first[left], second[left]
        return margins


def _check_margin(value: Any, where: str) -> None:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or math.isnan(value) or value < 0:
        raise ConfigError(f"{where} must be numbers of at least 0, got {value!r}.")


def _check_share(value: Any) -> float:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not 0 < value <= 1:
        raise ConfigError(f"The share of margins='estimated' must be in (0, 1], got {value!r}.")
    return float(value)
