"""Puts search trees on a matplotlib figure; `drawing` says what goes where.

Importing this module imports matplotlib.

- `Canvas`: a figure in units of its own, from the top left corner.
- `Style`: sizes of marks and lines that fit the room.
- `draw_marks`, `draw_key`: the nodes and edges of a tree, and what the marks mean.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection, PathCollection
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.markers import MarkerStyle
from matplotlib.text import Text
from matplotlib.ticker import MaxNLocator
from matplotlib.transforms import Affine2D, IdentityTransform

from rewardloom.envs.branching.layout import UNPROCESSED, WAITING, TreeLayout
from rewardloom.envs.branching.tree import BRANCHED, CUT_OFF, FEASIBLE

__all__ = [
    "INK",
    "MUTED",
    "RULE",
    "Canvas",
    "Style",
    "best_row",
    "draw_key",
    "draw_marks",
    "text_width",
    "ticks",
]

INK, MUTED, RULE = "#1b1e23", "#5c6470", "#e4e7ec"
_GONE = "#9aa1ac"  # cut off or not processed
_GREEN, _ORANGE = "#009e73", "#d55e00"  # Okabe and Ito's, as in the reports
_BOUNDS = LinearSegmentedColormap.from_list(
    "bounds", ["#6cb2e6", "#2f82cc", "#1f56a3", "#2b1f6b", "#1c0f3a"]
)
_PER_INCH = 100  # units
_STEPS = 64  # of a gradient
_POINT = 72 / _PER_INCH  # points in a unit
_WIDTH_OF_LETTER = 0.6  # in heights of the font
_KEY = {
    BRANCHED: "branched",
    FEASIBLE: "feasible",
    CUT_OFF: "cut off",
    UNPROCESSED: "not processed",
    WAITING: "waiting",
}

Points = npt.NDArray[np.floating[Any]]


class Canvas:
    """A white picture in units, x to the right and y down; 100 units are an inch of the figure.

    Args:
        height: In pixels.
        width: In pixels.
        scale: Pixels in a unit.
    """

    def __init__(self, height: int, width: int, scale: float):
        self.height, self.width = height / scale, width / scale
        self._pixels = (height, width)
        dpi = _PER_INCH * scale
        # Half a pixel more, since matplotlib rounds down.
        self._figure = Figure(figsize=((width + 0.5) / dpi, (height + 0.5) / dpi), dpi=dpi)
        self._figure.set_facecolor("white")
        self._canvas = FigureCanvasAgg(self._figure)
        # Artists go on the figure itself: axes would take as long as everything else.
        self._units = Affine2D().scale(scale, -scale).translate(0, height)

    def text(self, x: float, y: float, text: str, *, size: float = 11, **options: Any) -> None:
        """Write text whose middle line is at `y`; `size` is its height in units."""
        options = {"color": INK, "ha": "left", "va": "center_baseline", **options}
        options |= {"family": "DejaVu Sans", "parse_math": False, "usetex": False}
        artist = Text(x, y, text, fontsize=size * _POINT, transform=self._units, **options)
        self._figure.add_artist(artist)

    def lines(self, points: Points, color: Any, width: float, **options: Any) -> None:
        """Draw polylines (n, k, 2); `color` is one color or one for each line."""
        if len(points):
            options |= {"colors": color, "linewidths": width * _POINT, "transform": self._units}
            self._figure.add_artist(LineCollection(list(points), **options))

    def marks(self, points: Points, marker: str, size: float, **options: Any) -> None:
        """Put a marker of `size` units on points (n, 2); `lw` is in units."""
        if len(points):
            style = MarkerStyle(marker)
            shape = style.get_path().transformed(style.get_transform())
            options["linewidths"] = options.pop("lw", 0.0) * _POINT
            if not style.is_filled():
                options = {"facecolors": "none", **options}
            marks = PathCollection(
                [shape],
                sizes=[(size * _POINT) ** 2],
                offsets=points,
                offset_transform=self._units,
                **options,
            )
            marks.set_transform(IdentityTransform())
            self._figure.add_artist(marks)

    def gradient(self, x: float, y: float, width: float, height: float) -> None:
        """Fill a rectangle with the colors of bounds, from the lowest to the highest."""
        left = x + np.arange(_STEPS) * width / _STEPS
        middle = np.full(_STEPS, y + height / 2)
        # Each step ends where the rectangle does, under those that come after it.
        end = np.full(_STEPS, x + width)
        points = np.stack([np.stack([left, middle], 1), np.stack([end, middle], 1)], axis=1)
        self.lines(points, _BOUNDS(np.linspace(0, 1, _STEPS)), height, capstyle="butt")

    def pixels(self) -> npt.NDArray[np.uint8]:
        """Return the picture, (height, width, 3) uint8."""
        self._canvas.draw()
        image = np.asarray(self._canvas.buffer_rgba())
        height, width = self._pixels
        return np.ascontiguousarray(image[:height, :width, :3])


class Style(NamedTuple):
    """Sizes in units.

    Attributes:
        mark: Diameter of a branched node.
        line: Width of an edge.
        label: Height of the letters of a label.
    """

    mark: float
    line: float
    label: float

    @classmethod
    def fitting(cls, column: float, row: float) -> Style:
        """Return the sizes for columns and rows that are so far apart."""
        mark = float(np.clip(0.62 * min(column, row), 1.6, 15.0))
        return cls(mark, float(np.clip(0.14 * mark, 0.45, 1.8)), 10.5)


def text_width(text: str, size: float) -> float:
    """Return about how wide a text is."""
    return _WIDTH_OF_LETTER * size * len(text)


def ticks(low: float, high: float) -> list[float]:
    """Return some round numbers from `low` to `high`, or only `low` if they are equal."""
    if not high > low:
        return [low]
    return [
        v for v in np.asarray(MaxNLocator(6).tick_values(low, high)).tolist() if low <= v <= high
    ]


def draw_marks(
    canvas: Canvas, layout: TreeLayout, at: Points, edges: Points, shade: Points, style: Style
) -> None:
    """Draw edges, then nodes, then what is highlighted.

    Args:
        canvas: Where.
        layout: Kinds of nodes, and which waits.
        at: Where the nodes are, (M, 2).
        edges: A polyline from its parent to each node, (M, k, 2); the root's is not drawn.
        shade: From 0 to 1 by lower bound, (M,); NaN where there is none.
        style: Sizes.
    """
    _draw_edges(canvas, layout, edges, shade, style)
    kind, mark = layout.kind, style.mark
    edge = {"edgecolors": "white", "lw": style.line * 0.6 if mark > 5 else 0.0}
    open_ = {"facecolors": "white", "edgecolors": _GONE, "lw": style.line}
    canvas.marks(at[kind == UNPROCESSED], "o", 0.55 * mark, zorder=3, **open_)
    cut = {"edgecolors": _GONE, "lw": max(1.3 * style.line, 0.7)}
    canvas.marks(at[kind == CUT_OFF], "_", mark, zorder=3, **cut)
    branched = kind == BRANCHED
    canvas.marks(at[branched], "o", mark, facecolors=_colors(shade[branched]), zorder=4, **edge)
    good = {"facecolors": _GREEN, "edgecolors": "white", "lw": 0.7}
    best = best_row(layout)
    others = np.flatnonzero(kind == FEASIBLE)
    canvas.marks(at[others[others != best]], "D", max(0.8 * mark, 5.5), zorder=5, **good)
    if best >= 0:
        canvas.marks(at[[best]], "*", max(1.5 * mark, 13.0), zorder=6, **good)
    if layout.waiting >= 0:
        _draw_waiting(canvas, at[[layout.waiting]], mark)


def best_row(layout: TreeLayout) -> int:
    """Return the row of the feasible node with the lowest bound, -1 without one."""
    rows = np.flatnonzero((layout.kind == FEASIBLE) & np.isfinite(layout.lower_bound))
    return int(rows[np.argmin(layout.lower_bound[rows])]) if len(rows) else -1


def draw_key(canvas: Canvas, layouts: Sequence[TreeLayout], x: float, y: float) -> None:
    """Say in a row that begins at `x` what the marks mean that the trees have."""
    kinds = {int(kind) for layout in layouts for kind in np.unique(layout.kind)}
    if any(layout.waiting >= 0 for layout in layouts):
        kinds.add(WAITING)
    entries = [(kind, word) for kind, word in _KEY.items() if kind in kinds]
    if any(best_row(layout) >= 0 for layout in layouts):
        entries.insert(1 + (BRANCHED in kinds), (-1, "best"))
    for kind, word in entries:
        _draw_key_mark(canvas, np.array([[x + 6.0, y]]), kind)
        canvas.text(x + 17, y, word, color=MUTED)
        x += 38 + 0.9 * text_width(word, 11)
    canvas.text(x, y, "left: ≤   right: ≥", color=MUTED)


def _draw_key_mark(canvas: Canvas, at: Points, kind: int) -> None:
    good = {"facecolors": _GREEN, "edgecolors": "white", "lw": 0.7}
    if kind == BRANCHED:
        canvas.marks(at, "o", 9, facecolors=_colors(np.array([0.4])))
    elif kind == CUT_OFF:
        canvas.marks(at, "_", 10, edgecolors=_GONE, lw=2.0)
    elif kind == UNPROCESSED:
        canvas.marks(at, "o", 7, facecolors="white", edgecolors=_GONE, lw=1.2)
    elif kind == WAITING:
        _draw_waiting(canvas, at, 7)
    else:
        star = kind != FEASIBLE
        canvas.marks(at, "*" if star else "D", 14 if star else 8, **good)


def _draw_waiting(canvas: Canvas, at: Points, mark: float) -> None:
    size = max(1.15 * mark, 9.0)
    canvas.marks(at, "o", 1.9 * size, facecolors=_ORANGE, alpha=0.22, zorder=7)
    canvas.marks(
        at, "o", size, facecolors="white", edgecolors=_ORANGE, lw=max(size / 5, 2.2), zorder=8
    )


def _draw_edges(
    canvas: Canvas, layout: TreeLayout, edges: Points, shade: Points, style: Style
) -> None:
    below = layout.parent_row >= 0
    gone = below & (layout.kind == UNPROCESSED)
    canvas.lines(edges[gone], _GONE, style.line, zorder=1, alpha=0.6, linestyles=(0, (2, 1.6)))
    grey = below & np.isnan(shade) & ~gone
    canvas.lines(edges[grey], _GONE, style.line, zorder=1, alpha=0.75, capstyle="round")
    blue = below & ~np.isnan(shade)
    canvas.lines(edges[blue], _colors(shade[blue]), style.line, zorder=2, capstyle="round")
    way = layout.path(layout.waiting)[1:]
    canvas.lines(edges[way], _ORANGE, max(2 * style.line, 2.0), zorder=2.5, capstyle="round")


def _colors(shade: Points) -> npt.NDArray[np.float64]:
    return _BOUNDS(np.nan_to_num(shade, nan=0.5))
