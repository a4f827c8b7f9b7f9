"""What an agent sees: the three observation presets.

- `PRESETS`: preset name -> the nle keys it shows.
- `preset_keys`: the nle keys a preset needs, by name.
- `observation_space`: the space of a preset.
- `observe`: a fresh observation of a game.
- `CROP`: side of the map window of "compact".
"""

from __future__ import annotations

import numpy as np
from gymnasium import spaces

from rewardloom.envs.nethack.backend import nethack
from rewardloom.envs.nethack.stats import BLSTATS_HIGH, BLSTATS_LOW
from rewardloom.errors import ConfigError, unknown_name

__all__ = ["CROP", "PRESETS", "observation_space", "observe", "preset_keys"]

CROP = 11
"""Side of the square map window around the hero, in cells."""

PRESETS: dict[str, tuple[str, ...]] = {
    "compact": ("blstats", "message"),
    "oni": ("tty_chars", "tty_colors", "tty_cursor", "blstats", "message", "glyphs"),
    "full": (
        "glyphs",
        "chars",
        "colors",
        "specials",
        "blstats",
        "message",
        "inv_glyphs",
        "inv_strs",
        "inv_letters",
        "inv_oclasses",
        "screen_descriptions",
        "tty_chars",
        "tty_colors",
        "tty_cursor",
        "misc",
    ),
}

_NO_GLYPH = int(nethack.MAX_GLYPH)
_HIGH: dict[str, int] = {
    "glyphs": _NO_GLYPH,
    "chars": 255,
    "colors": 15,
    "specials": 255,
    "message": 255,
    "inv_glyphs": _NO_GLYPH,
    "inv_strs": 255,
    "inv_letters": 127,
    "inv_oclasses": int(nethack.MAXOCLASSES),
    "screen_descriptions": 255,
    "tty_chars": 255,
    "tty_colors": 31,
    "tty_cursor": 255,
    "misc": 1,
}


def preset_keys(preset: str) -> tuple[str, ...]:
    """Return the nle keys that a preset copies.

    Raises:
        ConfigError: there is no such preset.
    """
    if preset not in PRESETS:
        raise ConfigError(unknown_name("observation preset", preset, PRESETS))
    return PRESETS[preset]


def observation_space(preset: str) -> spaces.Dict:
    """Return the Dict space of a preset."""
    entries: dict[str, spaces.Space] = {key: _space(key) for key in preset_keys(preset)}
    if preset == "compact":
        entries["glyph_crop"] = spaces.Box(0, _NO_GLYPH, (CROP, CROP), np.int16)
    return spaces.Dict(entries)


def observe(
    buffers: dict[str, np.ndarray], preset: str, hero: tuple[int, int], text: bytes | None
) -> dict[str, np.ndarray]:
    """Return an observation that shares no memory with the game.

    Args:
        buffers: nle key -> the game's array.
        preset: Name of the preset.
        hero: Column and row of the hero on the map.
        text: What `message` shall say, cut at 256 bytes; None for the game's own message line.
    """
    observation = {key: buffers[key].copy() for key in PRESETS[preset]}
    if text is not None:
        message = observation["message"]
        shown = text[: message.size]
        message[: len(shown)] = np.frombuffer(shown, np.uint8)
        message[len(shown) :] = 0
    if preset == "compact":
        observation["glyph_crop"] = _crop(buffers["glyphs"], *hero)
    return observation


def _space(key: str) -> spaces.Box:
    description = nethack.OBSERVATION_DESC[key]
    if key == "blstats":
        return spaces.Box(BLSTATS_LOW, BLSTATS_HIGH, dtype=description["dtype"])
    return spaces.Box(0, _HIGH[key], description["shape"], description["dtype"])


def _crop(glyphs: np.ndarray, x: int, y: int) -> np.ndarray:
    """Return the cells around (x, y); those beyond the map hold the id of no glyph."""
    rows, columns = glyphs.shape
    top, left = y - CROP // 2, x - CROP // 2
    bottom, right = top + CROP, left + CROP
    if top >= 0 and left >= 0 and bottom <= rows and right <= columns:
        return glyphs[top:bottom, left:right].copy()
    crop = np.full((CROP, CROP), _NO_GLYPH, np.int16)
    first_row, first_column = max(top, 0), max(left, 0)
    inside = glyphs[first_row : min(bottom, rows), first_column : min(right, columns)]
    height, width = inside.shape
    row, column = first_row - top, first_column - left
    crop[row : row + height, column : column + width] = inside
    return crop
