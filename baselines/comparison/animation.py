"""Turns the frames of an episode into something small enough for a report.

- `Frames`: keeps an even selection of an episode whose length is not known before.
- `to_picture`, `write_animation`: pictures, as an animated WebP.
- `fit_text`: text frames.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

__all__ = ["MAX_BYTES", "Frames", "fit_text", "to_picture", "write_animation"]

MAX_BYTES = 1_500_000

_MAX_FRAMES = 160
_MAX_WIDTH = 960  # pixels
_SECONDS = 20.0  # playing time aimed at
_MILLISECONDS = (50, 200)  # fastest and slowest step from frame to frame
_HOLD = 1_500  # milliseconds that the last frame stays
_FEW_COLOURS = 256  # of a terminal or a plot, which are kept exact


class Frames:
    """Keeps every n-th frame, n doubling whenever there are too many, and the last one.

    Args:
        convert: Applied to each frame that is kept.
    """

    def __init__(self, convert: Callable[[Any], Any]):
        self._convert = convert
        self._kept: list[Any] = []
        self._stride = 1
        self._seen = 0
        self._last: Callable[[], Any] | None = None

    def add(self, render: Callable[[], Any]) -> None:
        """Offer the next frame; it is rendered only if it may be kept."""
        if self._seen % self._stride == 0:
            self._kept.append(self._convert(render()))
            self._last = None
            if len(self._kept) > 2 * _MAX_FRAMES:  # an odd number: the last one stays
                self._kept = self._kept[::2]
                self._stride *= 2
        else:
            self._last = render
        self._seen += 1

    def close(self) -> None:
        """Keep the last frame too, while the environment still stands."""
        if self._last is not None:
            self._kept.append(self._convert(self._last()))
            self._last = None

    @property
    def kept(self) -> list[Any]:
        """At most `_MAX_FRAMES` frames in order, the first and the last among them."""
        step = -(-len(self._kept) // _MAX_FRAMES)
        return [*self._kept[:-1:step], self._kept[-1]] if len(self._kept) > 1 else self._kept

    def milliseconds(self, fps: Any) -> int:
        """Return the time from frame to frame: the world's own pace where that is short enough."""
        fastest, slowest = _MILLISECONDS
        own = 1_000 / fps if isinstance(fps, int | float) and fps > 0 else slowest
        return int(np.clip(min(own, 1_000 * _SECONDS / max(len(self.kept), 1)), fastest, slowest))


def to_picture(frame: Any) -> Image.Image:
    """Return an (H, W, 3) uint8 array as a picture at most `_MAX_WIDTH` wide."""
    picture = Image.fromarray(np.asarray(frame, np.uint8)).convert("RGB")
    if picture.width > _MAX_WIDTH:
        height = round(picture.height * _MAX_WIDTH / picture.width)
        picture = picture.resize((_MAX_WIDTH, height), Image.Resampling.LANCZOS)
    return picture


def write_animation(path: Path, frames: list[Image.Image], milliseconds: int) -> int:
    """Write an animated WebP of at most `MAX_BYTES`; return the milliseconds between frames.

    Every second frame is left out until it fits.
    """
    while True:
        content = _encoded(frames, milliseconds)
        if len(content) <= MAX_BYTES or len(frames) <= 2:
            path.write_bytes(content)
            return milliseconds
        frames = [*frames[:-1:2], frames[-1]]
        milliseconds = min(2 * milliseconds, 500)


def fit_text(frames: list[str]) -> tuple[str, ...]:
    """Return the frames, every second one left out until they take at most `MAX_BYTES`."""
    while sum(len(frame.encode()) for frame in frames) > MAX_BYTES and len(frames) > 2:
        frames = [*frames[:-1:2], frames[-1]]
    return tuple(frames)


def _encoded(frames: list[Image.Image], milliseconds: int) -> bytes:
    exact = frames[len(frames) // 2].getcolors(_FEW_COLOURS) is not None
    how: dict[str, Any] = {"lossless": True, "quality": 20} if exact else {"quality": 60}
    content = io.BytesIO()
    frames[0].save(
        content,
        "WEBP",
        save_all=True,
        append_images=frames[1:],
        duration=[milliseconds] * (len(frames) - 1) + [_HOLD],
        loop=0,
        method=0,
        **how,
    )
    return content.getvalue()
