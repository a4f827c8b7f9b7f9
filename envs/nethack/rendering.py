"""Pictures of the game's terminal, as pixels and as text.

- `render_rgb`: the 24 x 80 terminal as a (384, 640, 3) uint8 image.
- `render_ansi`: the same as a string with ANSI color codes.
"""

from __future__ import annotations

import base64
import functools
import importlib.resources
import itertools
import json
import zlib

import numpy as np
from numpy.typing import NDArray

__all__ = ["render_ansi", "render_rgb"]

_PALETTE = np.array(
    [
        (88, 98, 120),  # the game's black is its dark blue-gray
        (205, 62, 62),
        (58, 166, 85),
        (176, 122, 56),
        (86, 128, 245),
        (188, 96, 208),
        (52, 176, 190),
        (196, 200, 206),
        (126, 134, 146),
        (255, 140, 66),
        (112, 232, 128),
        (250, 222, 92),
        (128, 172, 255),
        (240, 138, 232),
        (112, 232, 240),
        (255, 255, 255),
    ],
    np.uint8,
)
_BACKGROUND = np.array((16, 18, 24), np.uint8)


def render_rgb(
    chars: NDArray[np.uint8], colors: NDArray[np.int8], cursor: NDArray[np.uint8]
) -> NDArray[np.uint8]:
    """Return the terminal as an image; the cell under the cursor is drawn inverted.

    Args:
        chars: (24, 80) character codes.
        colors: (24, 80) color numbers; bits above the lowest four are ignored.
        cursor: (2,) row and column.
    """
    cells = _cells()
    first, count = 32, cells.shape[1]
    indices = chars.astype(np.intp) - first
    indices[(indices < 0) | (indices >= count)] = 0
    picture = cells[colors & 15, indices]
    row, column = int(cursor[0]), int(cursor[1])
    if row < picture.shape[0] and column < picture.shape[1]:
        picture[row, column] = 255 - picture[row, column]
    rows, columns, height, width, depth = picture.shape
    return picture.transpose(0, 2, 1, 3, 4).reshape(rows * height, columns * width, depth)


def render_ansi(chars: NDArray[np.uint8], colors: NDArray[np.int8]) -> str:
    """Return the terminal as 24 lines; runs of one color share a color code."""
    lines = []
    for row_chars, row_colors in zip(chars, colors & 15, strict=True):
        borders = [0, *(np.flatnonzero(np.diff(row_colors)) + 1).tolist(), row_chars.size]
        text = bytes(row_chars).replace(b"\0", b" ").decode("latin-1")
        runs = [
            f"\033[{int(row_colors[a]) // 8};3{int(row_colors[a]) % 8}m{text[a:b]}"
            for a, b in itertools.pairwise(borders)
        ]
        lines.append("".join(runs) + "\033[0m")
    return "\n".join(lines)


@functools.cache
def _cells() -> NDArray[np.uint8]:
    """Return (16 colors, 95 characters, height, width, 3) ready-made cells."""
    source = importlib.resources.files("rewardloom.envs.nethack").joinpath("font.json")
    font = json.loads(source.read_text(encoding="utf-8"))
    shape = (font["count"], font["height"], font["width"])
    raw = zlib.decompress(base64.b64decode(font["data"]))
    coverage = np.frombuffer(raw, np.uint8).reshape(shape) / 255.0
    ink = _PALETTE[:, None, None, None, :].astype(float) - _BACKGROUND
    return (_BACKGROUND + coverage[None, ..., None] * ink).round().astype(np.uint8)
