"""What happened at a step, as named numbers: the reward components and an episode's metrics.

- `COMPONENTS`: the names, shared by all NetHack worlds.
- `METRICS`: the names of an episode's metrics.
- `Progress`: follows one game.
"""

from __future__ import annotations

import numpy as np

from rewardloom.envs.nethack.backend import nethack
from rewardloom.envs.nethack.stats import Stat

__all__ = ["COMPONENTS", "METRICS", "Progress"]

COMPONENTS = ("score", "gold", "experience", "depth", "scout", "idle", "success")
METRICS = (
    "score",
    "depth",
    "max_depth",
    "experience_level",
    "gold",
    "turns",
    "scout",
    "ascended",
    "died",
)

_BLANK = int(nethack.GLYPH_CMAP_OFF)  # solid rock: also every cell not seen yet
_BEYOND_DEATH = ("quit", "escaped", "ascended")


class Progress:
    """Follows one game from its first frame.

    Args:
        stats: The 27 bottom-line numbers at reset.
        glyphs: The (21, 79) map at reset.

    Attributes:
        stats: The numbers after the latest step.
        max_depth: The deepest depth so far.
        scout: Map cells discovered since reset.
    """

    def __init__(self, stats: list[int], glyphs: np.ndarray):
        self.stats = stats
        self.max_depth = stats[Stat.DEPTH]
        self.scout = 0
        self._known = {(stats[Stat.DUNGEON], stats[Stat.LEVEL]): _known_cells(glyphs)}

    def update(self, stats: list[int], glyphs: np.ndarray, over: bool) -> dict[str, float]:
        """Return the components of a step; `success` is left at 0 for the world to set.

        Args:
            stats: The numbers of the last frame at which the game was going on.
            glyphs: The map; not looked at when the game is over, because nle blanks it.
            over: The game ended at this step.
        """
        before, self.stats = self.stats, stats
        deeper = max(0, stats[Stat.DEPTH] - self.max_depth)
        self.max_depth += deeper
        seen = 0 if over else self._discovered(stats, glyphs)
        idle = not over and stats[Stat.TIME] == before[Stat.TIME]
        return {
            "score": float(stats[Stat.SCORE] - before[Stat.SCORE]),
            "gold": float(stats[Stat.GOLD] - before[Stat.GOLD]),
            "experience": float(stats[Stat.EXPERIENCE_POINTS] - before[Stat.EXPERIENCE_POINTS]),
            "depth": float(deeper),
            "scout": float(seen),
            "idle": float(idle),
            "success": 0.0,
        }

    def metrics(self, how_done: str) -> dict[str, float]:
        """Return the metrics of the episode; `how_done` is empty where the game was cut off."""
        stats = self.stats
        died = bool(how_done) and how_done not in _BEYOND_DEATH
        return {
            "score": float(stats[Stat.SCORE]),
            "depth": float(stats[Stat.DEPTH]),
            "max_depth": float(self.max_depth),
            "experience_level": float(stats[Stat.EXPERIENCE_LEVEL]),
            "gold": float(stats[Stat.GOLD]),
            "turns": float(stats[Stat.TIME]),
            "scout": float(self.scout),
            "ascended": float(how_done == "ascended"),
            "died": float(died),
        }

    def _discovered(self, stats: list[int], glyphs: np.ndarray) -> int:
        """Return by how much the number of known cells of this level passed its record."""
        level = (stats[Stat.DUNGEON], stats[Stat.LEVEL])
        known = _known_cells(glyphs)
        more = max(0, known - self._known.get(level, 0))
        if more:
            self._known[level] = known
            self.scout += more
        return more


def _known_cells(glyphs: np.ndarray) -> int:
    return int(np.count_nonzero(glyphs != _BLANK))
