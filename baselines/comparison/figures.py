"""Draws a comparison with matplotlib: panels as inline SVG, and one summary picture.

- `Panel`, `panels`: which learning curves there are and what they are called.
- `curve_svg`, `returns_svg`: panels whose colors follow the page's light or dark theme.
- `write_summary`: `report.png`.
- `write_panels`: some panels beside each other, for a document.
"""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D
from matplotlib.ticker import EngFormatter, MaxNLocator, PercentFormatter

from rewardloom.baselines.comparison.results import ArmResult
from rewardloom.baselines.training.config import design_name

__all__ = [
    "ARM_COLORS",
    "COUNTS",
    "DASHES",
    "Panel",
    "curve_svg",
    "is_constant",
    "panels",
    "returns_svg",
    "words",
    "write_panels",
    "write_summary",
]

ARM_COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
"""Okabe and Ito's palette, told apart with every common form of color blindness."""

DASHES: tuple[Any, ...] = ("-", (0, (5, 1.5)), (0, (1.5, 1.2)), (0, (6, 1.5, 1.5, 1.5)))
"""Line styles by arm, so that color is never alone."""

COUNTS = ("episodes", "steps", "refits")
"""What designs store and how often they train; curves of these say nothing."""

_INK, _MUTED, _GRID = "#1b1e23", "#5c6470", "#d9dde3"
_THEME = {_INK: "var(--ink)", _MUTED: "var(--muted)", _GRID: "var(--grid)"}
_THEME |= {color: f"var(--arm-{i})" for i, color in enumerate(ARM_COLORS)}
_ROUNDING = 1e-9  # relative; sums of equal numbers differ by less
_FEW_POINTS = 12  # a curve with fewer points shows them
_STYLE: dict[Any, Any] = {
    "font.size": 10,
    "font.family": "DejaVu Sans",
    "svg.fonttype": "none",
    "svg.hashsalt": "rewardloom",
    "text.color": _INK,
    "axes.edgecolor": _MUTED,
    "axes.labelcolor": _MUTED,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.formatter.limits": (-4, 5),
    "axes.formatter.useoffset": False,
    "grid.color": _GRID,
    "grid.linewidth": 0.7,
    "xtick.color": _MUTED,
    "ytick.color": _MUTED,
}


class Panel(NamedTuple):
    """One learning curve.

    Attributes:
        column: In `episodes.csv`.
        title: What is shown.
        unit: Of the vertical axis; may be empty.
    """

    column: str
    title: str
    unit: str


def panels(arms: Sequence[ArmResult], designs: Sequence[dict[str, Any]]) -> list[Panel]:
    """Return the panels of all curves: returns, the world's metrics, length, the designs' columns.

    Args:
        arms: What to draw.
        designs: The designs of all arms, for the names of their columns.
    """
    columns = list(dict.fromkeys(column for arm in arms for column in arm.curves))
    names = sorted({design_name(design) for design in designs}, key=len, reverse=True)
    known = {
        "raw_return": Panel("raw_return", "Raw return", "sum per episode"),
        "shaped_return": Panel(
            "shaped_return", "Shaped return: what the agent was paid", "sum per episode"
        ),
    }
    found: list[Panel | None] = [known[column] for column in known if column in columns]
    for column in columns:
        if column.startswith("metric_"):
            unit = "share of episodes" if column == "metric_is_success" else "at the episode's end"
            found.append(Panel(column, words(column.removeprefix("metric_")), unit))
    if "length" in columns:
        found.append(Panel("length", "Episode length", "steps"))
    for column in columns:
        name = next((name for name in names if column.startswith(f"design_{name}_")), None)
        if name is not None:
            found.append(_design_panel(column, name))
    return [panel for panel in found if panel is not None]


def _design_panel(column: str, design: str) -> Panel | None:
    """Return the panel of a design's column, whose name says what stands for an episode.

    Counts have none.
    """
    part, unit = column.removeprefix(f"design_{design}_"), "sum per episode"
    for ending, words_ in (
        ("_mean", "mean over an episode's steps"),
        ("_last", "at the episode's end"),
    ):
        if part.endswith(ending):
            part, unit = part.removesuffix(ending), words_
    if part in COUNTS:
        return None
    return Panel(column, f"{design}: {part.replace('_', ' ')}", unit)


def words(name: str) -> str:
    """Return a metric's name as words: "is_success" -> "Success"."""
    text = name.removeprefix("is_").replace("_", " ")
    return text[:1].upper() + text[1:]


def is_constant(panel: Panel, arms: Sequence[ArmResult]) -> bool:
    """Return whether a panel would show one and the same number everywhere."""
    curves = [arm.curves[panel.column] for arm in arms if panel.column in arm.curves]
    values = np.concatenate([np.concatenate(curve[1:4]) for curve in curves])
    values = values[np.isfinite(values)]
    return float(np.ptp(values)) <= _ROUNDING * float(np.abs(values).max())


def curve_svg(panel: Panel, arms: Sequence[ArmResult], *, small: bool = False) -> str:
    """Return the curves of one panel as an SVG element; arms without it are left out.

    Args:
        panel: What to draw.
        arms: Of which arms.
        small: Draw it for a row of three or more.
    """
    with rc_context(_STYLE):
        figure = Figure(figsize=(3.6, 2.2) if small else (5.2, 2.9), layout="constrained")
        ax = figure.add_subplot()
        _draw_curves(ax, panel, arms)
        if small:
            ax.xaxis.set_major_locator(MaxNLocator(4))
            ax.set_xlabel("")
        return _svg(figure, panel.column, f"{panel.title} over training steps, by arm")


def returns_svg(arms: Sequence[ArmResult]) -> str:
    """Return every run's evaluated raw return with each arm's estimate as an SVG element."""
    with rc_context(_STYLE):
        figure = Figure(figsize=(10.6, 0.8 + 0.5 * len(arms)), layout="constrained")
        _draw_returns(figure.add_subplot(), arms)
        return _svg(figure, "returns", "Evaluated raw return by arm, with intervals")


def write_summary(
    path: Path, heading: tuple[str, ...], arms: Sequence[ArmResult], shown: Sequence[Panel]
) -> None:
    """Write one picture, 1200 pixels wide: evaluated returns and up to five learning curves.

    Args:
        path: The PNG file.
        heading: The title, then smaller lines.
        arms: What to draw.
        shown: What `panels` returned.
    """
    chosen = _summary_panels(shown)
    rows = 1 + (len(chosen) > 2)
    top, bottom = 0.32 + 0.22 * len(heading), 0.35  # inches
    height = top + bottom + 3.0 * rows
    with rc_context(_STYLE):
        figure = Figure(figsize=(12, height), dpi=100)
        rect = (0.005, bottom / height, 0.99, 3.0 * rows / height)
        figure.set_layout_engine(ConstrainedLayoutEngine(rect=rect))
        axes = figure.subplots(rows, 3, squeeze=False).ravel()
        _draw_returns(axes[0], arms)
        axes[0].set_title("Evaluation: raw return", loc="left", fontsize=11)
        for ax, panel in zip(axes[1:], chosen, strict=False):
            _draw_curves(ax, panel, arms)
            ax.set_title(panel.title, loc="left", fontsize=11)
        for ax in axes[1 + len(chosen) :]:
            ax.set_axis_off()
        _frame(figure, heading, arms)
        figure.savefig(path, facecolor="white")


def write_panels(
    path: Path, heading: tuple[str, ...], arms: Sequence[ArmResult], shown: Sequence[Panel]
) -> None:
    """Write panels beside each other as one picture, 750 pixels wide each.

    Args:
        path: A PNG or SVG file.
        heading: The title, then smaller lines.
        arms: What to draw.
        shown: The panels, from left to right.
    """
    top, bottom = 0.32 + 0.22 * len(heading), 0.35  # inches
    height = top + bottom + 2.7
    with rc_context(_STYLE):
        figure = Figure(figsize=(5 * len(shown), height), dpi=150)
        rect = (0.005, bottom / height, 0.985, 2.7 / height)
        figure.set_layout_engine(ConstrainedLayoutEngine(rect=rect, wspace=0.06))
        for ax, panel in zip(figure.subplots(1, len(shown), squeeze=False)[0], shown, strict=True):
            _draw_curves(ax, panel, arms)
            ax.set_title(panel.title, loc="left", fontsize=11)
        _frame(figure, heading, arms)
        figure.savefig(path, facecolor="white")


def _summary_panels(shown: Sequence[Panel]) -> list[Panel]:
    """Return raw and shaped return, then two metrics, then the designs' columns, at most five."""
    returns = [p for p in shown if p.column in ("raw_return", "shaped_return")]
    metrics = [p for p in shown if p.column.startswith("metric_")]
    designs = [p for p in shown if p.column.startswith("design_")]
    others = [p for p in shown if p.column == "length"]
    room = 5 - len(returns)
    return returns + [*metrics[: max(room - len(designs[:1]), 0)], *designs, *others][:room]


def _draw_curves(ax: Axes, panel: Panel, arms: Sequence[ArmResult]) -> None:
    for index, arm in enumerate(arms):
        curve = arm.curves.get(panel.column)
        if curve is None:
            continue
        color, dash = ARM_COLORS[index % len(ARM_COLORS)], DASHES[index % len(DASHES)]
        if np.isfinite(curve.low).any():
            ax.fill_between(curve.step, curve.low, curve.high, color=color, alpha=0.2, lw=0)
        marker = "o" if len(curve.step) < _FEW_POINTS else ""
        ax.plot(curve.step, curve.point, color=color, ls=dash, lw=1.8, marker=marker, ms=3.5)
    ax.set_xlim(left=0)
    ax.set_xlabel("environment steps")
    ax.set_ylabel(panel.unit)
    ax.xaxis.set_major_formatter(EngFormatter(sep=""))
    ax.xaxis.set_major_locator(MaxNLocator(6))
    ax.yaxis.set_major_locator(MaxNLocator(5))
    if panel.column == "metric_is_success":
        ax.yaxis.set_major_formatter(PercentFormatter(1.0))
        ax.set_ylim(-0.03, 1.03)


def _draw_returns(ax: Axes, arms: Sequence[ArmResult]) -> None:
    for index, arm in enumerate(arms):
        color, row = ARM_COLORS[index % len(ARM_COLORS)], len(arms) - 1 - index
        points = [run.scores["raw_return"] for run in arm.runs]
        interval = arm.raw_return
        if np.isfinite(interval.low):
            ax.plot([interval.low, interval.high], [row, row], color=color, lw=7, alpha=0.3,
                    solid_capstyle="round")  # fmt: skip
        ax.plot(points, [row - 0.26] * len(points), "o", color=color, ms=5, mfc="none", mew=1.3)
        ax.plot([interval.point], [row], "D", color=color, ms=8)
    ax.set_yticks(range(len(arms)), [arm.name for arm in reversed(arms)])
    ax.tick_params(axis="y", length=0, labelcolor=_INK)
    ax.set_ylim(-0.7, len(arms) - 0.4)
    ax.set_xlabel("\u25c6 IQM, \u25cb one run, bar: 95 % interval")
    ax.xaxis.set_major_locator(MaxNLocator(6))
    ax.grid(axis="y", visible=False)
    ax.margins(x=0.08)


def _frame(figure: Figure, heading: Sequence[str], arms: Sequence[ArmResult]) -> None:
    """Put the heading above a picture and the arms' names below it."""
    height = figure.get_figheight()
    figure.text(0.012, 1 - 0.08 / height, heading[0], size=15, weight="bold", va="top")
    for line, text in enumerate(heading[1:]):
        figure.text(0.012, 1 - (0.42 + 0.22 * line) / height, text, color=_MUTED, va="top")
    figure.legend(
        [_handle(i) for i in range(len(arms))],
        [arm.name for arm in arms],
        loc="lower left",
        bbox_to_anchor=(0.005, 0.0),
        ncols=len(arms),
        frameon=False,
    )


def _handle(index: int) -> Line2D:
    color, dash = ARM_COLORS[index % len(ARM_COLORS)], DASHES[index % len(DASHES)]
    return Line2D([], [], color=color, ls=dash, lw=2.2)


def _svg(figure: Figure, key: str, label: str) -> str:
    """Return a figure as an SVG element that can stand beside others in one page."""
    stream = io.StringIO()
    nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    figure.savefig(stream, format="svg", transparent=True, metadata=nothing)
    text = stream.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    prefix = re.sub(r"\W", "-", key)
    text = re.sub(r'(\bid="|url\(#|href="#)', rf"\g<1>{prefix}-", text)
    text = re.sub(r'width="[\d.]+pt" height="[\d.]+pt"', "", text, count=1)
    for color, variable in _THEME.items():
        text = text.replace(color, variable)
    return text.replace("<svg", f'<svg role="img" aria-label="{label}"', 1)
