"""How many training steps a run takes to a fixed success level.

- `steps_to_level`: of one run.
- `level_column`: where the level's metric stands in `episodes.csv`.
- `level_summary`: what an arm's runs say, in words.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from rewardloom.baselines.comparison.statistics import Array

__all__ = ["LEVEL_WINDOW", "level_column", "level_summary", "steps_to_level"]

LEVEL_WINDOW = 20
"""Training episodes of one run that the mean is taken over."""

_PLAIN = ("raw_return", "length")


def level_column(metric: str) -> str:
    """Return the column of `episodes.csv` that holds a metric of `CompareConfig.success_level`."""
    return metric if metric in _PLAIN else f"metric_{metric}"


def steps_to_level(episodes: Mapping[str, Array], level: Mapping[str, Any]) -> float | None:
    """Return the training step at which a run first reached a level.

    That is the end of the first training episode at which the mean of the metric over the last
    `LEVEL_WINDOW` episodes is at least the level. Episodes without the metric are skipped, and
    fewer than `LEVEL_WINDOW` episodes never reach anything. Our formulation.

    Args:
        episodes: column of `episodes.csv` -> (E,) numbers, in the order in which episodes ended.
        level: {"metric": name, "level": number}.

    Returns:
        Environment steps; infinity if the run never reached it; None if no episode has the metric.
    """
    values = episodes.get(level_column(level["metric"]))
    if values is None or not np.isfinite(values).any():
        return None
    measured = np.isfinite(values)
    steps, values = episodes["step"][measured], values[measured]
    if len(values) < LEVEL_WINDOW:
        return np.inf
    means = sliding_window_view(values, LEVEL_WINDOW).mean(axis=1)
    reached = np.flatnonzero(means >= level["level"])
    return float(steps[LEVEL_WINDOW - 1 + reached[0]]) if len(reached) else np.inf


def level_summary(found: Sequence[float | None]) -> str:
    """Return "3 of 5 reached it; median 12,000 steps (9,000 to never)" for the runs of an arm.

    The median and the range count a run that never reached the level as longer than all others, so
    the median exists only if more than half of the runs did. Runs that did not measure it are named
    and count nowhere.
    """
    known = [steps for steps in found if steps is not None]
    if not known:
        return "not measured"
    reached = int(np.isfinite(known).sum())
    unknown = len(found) - len(known)
    lacking = f"; {unknown} not measured" if unknown else ""
    if not reached:
        return f"never: 0 of {len(known)} reached it{lacking}"
    median = float(np.median(known))
    middle = f"{median:,.0f} steps" if np.isfinite(median) else "beyond training"
    longest = f"{max(known):,.0f}" if reached == len(known) else "never"
    spread = f" ({min(known):,.0f} to {longest})" if len(known) > 1 else ""
    return f"{reached} of {len(known)} reached it; median {middle}{spread}{lacking}"
