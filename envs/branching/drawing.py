"""Pictures of search trees, and trees as text.

- `draw_tree`: one tree, in mid-search or finished, as an RGB array.
- `draw_trees`: several finished trees beside each other, on one scale of bounds.
- `tree_text`: a tree in numbers, from `outline`.

Both pictures need matplotlib.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from rewardloom.envs.branching.layout import TreeLayout, lay_out
from rewardloom.envs.branching.outline import counts_line, number, tree_text, waiting_line
from rewardloom.envs.branching.records import Decision
from rewardloom.envs.branching.tree import TreeTable
from rewardloom.errors import ConfigError, MissingDependency

__all__ = ["draw_tree", "draw_trees", "tree_text"]

_SMALLEST = (160, 240)  # height and width, in units
_TOP, _BOTTOM, _LEFT, _RIGHT = 74.0, 34.0, 44.0, 18.0  # margins around the tree, in units
_WIDEST_COLUMN, _TALLEST_ROW = 96.0, 78.0  # where few nodes leave much room
_DROP = 9.0  # below its parent, of a node without a bound
_MOST_LABELS, _LETTERS_OF_LABEL = 40, 8
_LETTER_OF_HEADING, _LETTER_OF_TITLE = 11.2, 9.4  # their widths, in units
_FEWEST_LETTERS = 22  # for which a tree's title has room, so that its counts have it too
_ROOM_FOR_SCALE = 560.0  # width of a picture beside whose caption the scale of bounds fits
_MANY = 50  # nodes
_BOUND_CAPTION = "lower bound downwards, as minimization; dashed: best feasible node"
_BEYOND = 1e19  # SCIP's infinity is 1e20

Points = npt.NDArray[np.floating[Any]]


class _Box(NamedTuple):
    """Where a tree goes, in units."""

    left: float
    top: float
    width: float
    height: float


def draw_tree(
    table: TreeTable,
    *,
    current: Decision | None = None,
    size: tuple[int, int] = (480, 720),
    heading: str = "",
    scale: float = 1.0,
) -> npt.NDArray[np.uint8]:
    """Draw a search tree: depth downwards, lower bounds as colors, outcomes as marks.

    Nodes are labeled, where there is room, with the variable that was branched on; the branch with
    the lowered upper bound is on the left. "Y 3|4" has Y <= 3 there and Y >= 4 on the right; the
    two bounds are left out for variables that were only branched into 0 and 1, and where there is
    no room for them. Children that SCIP has not processed are hollow; they are open during a search
    and discarded after it. Equal arguments give equal arrays.

    Args:
        table: The processed nodes.
        current: The decision that waits; its node is marked and so is the path to it.
        size: Height and width in pixels.
        heading: Title.
        scale: Pixels in a unit: 2 draws everything twice as large.

    Returns:
        RGB, (height, width, 3) uint8.

    Raises:
        ConfigError: The size is too small, or `current` is of another search.
        MissingDependency: matplotlib is not installed.
    """
    layout = lay_out(table, current)
    marks = _load_marks()
    canvas = marks.Canvas(*_checked(size, scale), scale)
    _draw_heading(canvas, heading or "Search tree")
    canvas.text(16, 38, counts_line(table, current), color=marks.MUTED)
    if current is not None:
        canvas.text(16, 56, waiting_line(current), color=marks.MUTED)
    low, high, clipped = _color_range(layout)
    _draw_scale_of_bounds(canvas, marks, low, high, clipped)
    if len(layout.x):
        box = _Box(_LEFT, _TOP, canvas.width - _LEFT - _RIGHT, canvas.height - _TOP - _BOTTOM)
        _draw_by_depth(canvas, marks, layout, box, _shades(layout, low, high))
        marks.draw_key(canvas, [layout], 16, canvas.height - 16)
    return canvas.pixels()


def draw_trees(
    trees: Sequence[tuple[str, TreeTable]],
    *,
    size: tuple[int, int] = (560, 1080),
    heading: str = "",
    scale: float = 1.0,
) -> npt.NDArray[np.uint8]:
    """Draw trees beside each other, lower bounds downwards on one axis.

    A node's line falls by as much as its branching raised the bound. Leaves have the same width in
    all trees, so that the wider tree is the larger one. Nodes that were cut off, whose bound is
    infinite, end in a bar below their parent. The dashed line is the best feasible node.

    Args:
        trees: Title and processed nodes of each.
        size: Height and width in pixels.
        heading: Title of the whole.
        scale: Pixels in a unit.

    Returns:
        RGB, (height, width, 3) uint8.

    Raises:
        ConfigError: The size is too small, or there is no tree.
        MissingDependency: matplotlib is not installed.
    """
    if not trees:
        raise ConfigError("draw_trees needs at least one (title, table).")
    layouts = [lay_out(table) for _, table in trees]
    marks = _load_marks()
    canvas = marks.Canvas(*_checked(size, scale), scale)
    _draw_heading(canvas, heading or "Search trees")
    low, high = _finite_range(layouts)
    canvas.text(16, 38, _BOUND_CAPTION, color=marks.MUTED)
    top = _TOP + 34
    whole = _Box(_LEFT + 14, top, canvas.width - _LEFT - 26, canvas.height - top - _BOTTOM - 8)
    boxes, column = _share(layouts, [title for title, _ in trees], whole)
    _draw_bound_rules(canvas, marks, whole, low, high)
    for (title, table), layout, box in zip(trees, layouts, boxes, strict=True):
        shown = _short(title, int((box.width + 20) / _LETTER_OF_TITLE))
        canvas.text(box.left, box.top - 44, shown, size=13, weight="bold")
        canvas.text(box.left, box.top - 27, _two_counts(table), color=marks.MUTED)
        shade = _shades(layout, low, high)
        _draw_by_bound(canvas, marks, layout, box, shade, column)
    marks.draw_key(canvas, layouts, 16, canvas.height - 16)
    return canvas.pixels()


def _load_marks() -> ModuleType:
    try:
        from rewardloom.envs.branching import marks
    except ImportError as error:
        raise MissingDependency(
            f"Pictures of search trees need matplotlib, which does not import here ({error}). "
            'Run: pip install "rewardloom[milp]"'
        ) from error
    return marks


def _checked(size: tuple[int, int], scale: float) -> tuple[int, int]:
    height, width = size
    if not scale > 0 or height / scale < _SMALLEST[0] or width / scale < _SMALLEST[1]:
        raise ConfigError(
            f"A picture of {height} x {width} pixels at scale {scale} has no room for a tree: "
            f"give at least {_SMALLEST[0]} x {_SMALLEST[1]} pixels times a scale above 0."
        )
    return height, width


def _draw_heading(canvas: Any, heading: str) -> None:
    letters = int((canvas.width - 130) / _LETTER_OF_HEADING)
    canvas.text(16, 18, _short(heading, letters), size=15, weight="bold")


def _two_counts(table: TreeTable) -> str:
    plural = "" if len(table) == 1 else "s"
    return f"{len(table):,} node{plural}, deepest {int(table.depth.max(initial=0))}"


# Bounds.


def _finite(layout: TreeLayout) -> Points:
    """Return the lower bounds, NaN where there is none."""
    bound = layout.lower_bound
    return np.where(np.abs(bound) < _BEYOND, bound, np.nan)


def _finite_range(layouts: Sequence[TreeLayout]) -> tuple[float, float]:
    """Return the lowest and the highest finite bound, NaN without any."""
    bounds = np.concatenate([_finite(layout) for layout in layouts])
    bounds = bounds[np.isfinite(bounds)]
    return (float(bounds.min()), float(bounds.max())) if len(bounds) else (np.nan, np.nan)


def _color_range(layout: TreeLayout) -> tuple[float, float, bool]:
    """Return the bounds of the first and last color, and whether there are higher ones.

    Of many nodes the highest twentieth share the last color, so that a few that were far off do
    not take the differences of the others.
    """
    low, high = _finite_range([layout])
    bounds = _finite(layout)
    if np.isfinite(bounds).sum() >= _MANY:
        common = float(np.nanquantile(bounds, 0.95))
        if low < common < high:
            return low, common, True
    return low, high, False


def _shades(layout: TreeLayout, low: float, high: float) -> Points:
    return (_finite(layout) - low) / (high - low if high > low else 1.0)


def _draw_scale_of_bounds(
    canvas: Any, marks: ModuleType, low: float, high: float, clipped: bool
) -> None:
    if np.isnan(low) or canvas.width < _ROOM_FOR_SCALE:
        return
    right = canvas.width - 16
    canvas.text(right, 17, "lower bound", color=marks.MUTED, ha="right")
    if not high > low:
        canvas.text(right, 38, number(low), color=marks.MUTED, ha="right")
        return
    last = ("≥ " if clipped else "") + number(high)
    canvas.text(right, 38, last, color=marks.MUTED, ha="right")
    right -= marks.text_width(last, 11) + 6
    canvas.gradient(right - 70, 33, 70, 9)
    canvas.text(right - 76, 38, number(low), color=marks.MUTED, ha="right")


# By depth.


def _draw_by_depth(
    canvas: Any, marks: ModuleType, layout: TreeLayout, box: _Box, shade: Points
) -> None:
    levels = int(layout.depth.max()) + 1
    column = min(box.width / layout.leaves, _WIDEST_COLUMN)
    row = min((box.height - 16) / max(levels - 1, 1), _TALLEST_ROW)
    left = box.left + (box.width - column * (layout.leaves - 1)) / 2
    x, y = left + column * layout.x, box.top + 8 + row * layout.depth
    at: Points = np.stack([x, y], axis=1)
    style = marks.Style.fitting(column, row)
    _draw_depth_rules(canvas, marks, box, row, levels)
    edges = np.stack([at[layout.parent_row], at], axis=1)
    marks.draw_marks(canvas, layout, at, edges, shade, style)
    _draw_labels(canvas, marks, layout, at, row, style)


def _draw_depth_rules(canvas: Any, marks: ModuleType, box: _Box, row: float, levels: int) -> None:
    step = next(s for s in (1, 2, 5, 10, 20, 50, 100, 200, 500, 10**9) if s * row >= 26)
    depths = np.arange(0, levels, step)
    y = box.top + 8 + row * depths
    ends = np.array([box.left - 6, box.left + box.width])
    rules = np.stack([np.broadcast_to(ends, (len(y), 2)), np.stack([y, y], axis=1)], axis=2)
    canvas.lines(rules, marks.RULE, 0.8, zorder=0)
    for depth, height in zip(depths.tolist(), y.tolist(), strict=True):
        canvas.text(box.left - 11, height, str(depth), size=10, color=marks.MUTED, ha="right")


def _draw_labels(
    canvas: Any, marks: ModuleType, layout: TreeLayout, at: Points, row: float, style: Any
) -> None:
    """Write the branching variable between the two edges below a node, where it fits."""
    first, last = _children(layout, at)
    candidates = np.flatnonzero((layout.branching >= 0) & (last > first))
    candidates = candidates[np.argsort(first[candidates] - last[candidates], kind="stable")]
    general = set(layout.branching[np.isfinite(layout.split) & (layout.split != 0)].tolist())
    for parent in candidates[:_MOST_LABELS].tolist():
        spread = last[parent] - first[parent]
        for label in _labels(layout, parent, general):
            above = (marks.text_width(label, style.label) + 4) / spread * row
            above = max(above, style.mark / 2 + 4)
            if above + style.label <= row - 1:
                x, y = (first[parent] + last[parent]) / 2, at[parent, 1] + above + style.label / 2
                canvas.text(x, y, label, size=style.label, ha="center", zorder=9)
                break


def _labels(layout: TreeLayout, parent: int, general: set[int]) -> list[str]:
    """Return what may stand below a node, the best first: with the bounds if not 0 and 1."""
    variable = int(layout.branching[parent])
    name = _short(layout.names[variable], _LETTERS_OF_LABEL)
    if variable not in general:
        return [name]
    split = layout.split[parent]
    return [f"{name} {split:.15g}|{split + 1:.15g}", name]


def _children(layout: TreeLayout, at: Points) -> tuple[Points, Points]:
    """Return x of each node's first and last child."""
    below = np.flatnonzero(layout.parent_row >= 0)
    above = layout.parent_row[below]
    first, last = np.full(len(at), np.inf), np.full(len(at), -np.inf)
    np.minimum.at(first, above, at[below, 0])
    np.maximum.at(last, above, at[below, 0])
    return first, last


def _short(name: str, most: int) -> str:
    return name if len(name) <= most else name[: most - 1] + "…"


# By bound.


def _share(
    layouts: Sequence[TreeLayout], titles: Sequence[str], whole: _Box
) -> tuple[list[_Box], float]:
    """Return a box for every tree and the width of a column, which is the same in all.

    Widths are in proportion to leaves, but none is less than its title's if there is room.
    """
    gap = 30.0
    room = whole.width - gap * (len(layouts) - 1)
    leaves = np.array([max(layout.leaves, 1) for layout in layouts], dtype=np.float64)
    letters = np.array([max(len(title), _FEWEST_LETTERS) for title in titles])
    least = np.minimum(_LETTER_OF_TITLE * letters, room / len(layouts))
    narrow = np.zeros(len(layouts), dtype=bool)
    widths: Points = room * leaves / leaves.sum()
    while (widths < least - 1e-9).any():
        narrow |= widths < least
        rest = room - least[narrow].sum()
        widths = np.where(narrow, least, rest * leaves / leaves[~narrow].sum())
    column = min(float(np.min(widths / leaves)), _WIDEST_COLUMN)
    starts = whole.left + np.cumsum(widths + gap) - widths - gap
    boxes = [
        _Box(float(start), whole.top, float(width), whole.height)
        for start, width in zip(starts, widths, strict=True)
    ]
    return boxes, column


def _draw_bound_rules(canvas: Any, marks: ModuleType, box: _Box, low: float, high: float) -> None:
    if np.isnan(low):
        return
    for value in marks.ticks(low, high):
        y = box.top + (box.height - 2 * _DROP) * (value - low) / (high - low if high > low else 1.0)
        ends = np.array([[[box.left - 8, y], [box.left + box.width, y]]])
        canvas.lines(ends, marks.RULE, 0.8, zorder=0)
        canvas.text(box.left - 13, y, number(value), size=10, color=marks.MUTED, ha="right")


def _draw_by_bound(
    canvas: Any, marks: ModuleType, layout: TreeLayout, box: _Box, shade: Points, column: float
) -> None:
    if not len(layout.x):
        return
    x = box.left + column * (layout.x + 0.5)
    height = (box.height - 2 * _DROP) * _inherited(shade, layout.parent_row)
    drop = np.where(np.isnan(shade) & (layout.kind != 0), _DROP, 0.0)
    y = box.top + height + drop
    at = np.stack([x, y], axis=1)
    parents = at[layout.parent_row]
    corner = np.stack([x, parents[:, 1]], axis=1)
    edges = np.stack([parents, corner, at], axis=1)
    best = marks.best_row(layout)
    if best >= 0:
        line = np.array([[[box.left, y[best]], [box.left + box.width, y[best]]]])
        canvas.lines(line, marks.MUTED, 1.0, zorder=0.5, linestyles=(0, (5, 3)))
    marks.draw_marks(canvas, layout, at, edges, shade, marks.Style.fitting(column, 14.0))


def _inherited(shade: Points, parent_row: npt.NDArray[np.int64]) -> Points:
    """Give nodes without a bound that of the nearest node above that has one, the root 0."""
    found = shade.copy()
    found[np.isnan(found) & (parent_row < 0)] = 0.0
    while np.isnan(found).any():
        found = np.where(np.isnan(found), found[parent_row], found)
    return found
