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

_BLANK = np.int16(nethack.GLYPH_CMAP_OFF)  # solid rock: also every cell not seen yet
_BEYOND_DEATH = ("quit", "escaped", "ascended")

# Plain integers: indexing with enum members is several times slower.
_SCORE, _GOLD, _POINTS = int(Stat.SCORE), int(Stat.GOLD), int(Stat.EXPERIENCE_POINTS)
_DEPTH, _TIME = int(Stat.DEPTH), int(Stat.TIME)
_DUNGEON, _LEVEL = int(Stat.DUNGEON), int(Stat.LEVEL)


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
        self.max_depth = stats[_DEPTH]
        self.scout = 0
        self._seen = np.empty(glyphs.shape, bool)
        self._known = {(stats[_DUNGEON], stats[_LEVEL]): self._count(glyphs)}

    def update(self, stats: list[int], glyphs: np.ndarray, over: bool) -> dict[str, float]:
        """Return the components of a step; `success` is left at 0 for the world to set.

        Args:
            stats: The numbers of the last frame at which the game was going on.
            glyphs: The map; not looked at when the game is over, because nle blanks it.
            over: The game ended at this step.
        """
        before, self.stats = self.stats, stats
        deeper = stats[_DEPTH] - self.max_depth
        if deeper > 0:
            self.max_depth += deeper
        else:
            deeper = 0
        seen = 0 if over else self._discovered(stats, glyphs)
        idle = not over and stats[_TIME] == before[_TIME]
        return {
            "score": float(stats[_SCORE] - before[_SCORE]),
            "gold": float(stats[_GOLD] - before[_GOLD]),
            "experience": float(stats[_POINTS] - before[_POINTS]),
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
            "score": float(stats[_SCORE]),
            "depth": float(stats[_DEPTH]),
            "max_depth": float(self.max_depth),
            "experience_level": float(stats[Stat.EXPERIENCE_LEVEL]),
            "gold": float(stats[_GOLD]),
            "turns": float(stats[_TIME]),
            "scout": float(self.scout),
            "ascended": float(how_done == "ascended"),
            "died": float(died),
        }

    def _discovered(self, stats: list[int], glyphs: np.ndarray) -> int:
        """Return by how much the number of known cells of this level passed its record."""
        level = (stats[_DUNGEON], stats[_LEVEL])
        known = self._count(glyphs)
        more = known - self._known.get(level, 0)
        if more <= 0:
            return 0
        self._known[level] = known
        self.scout += more
        return more

    def _count(self, glyphs: np.ndarray) -> int:
        np.not_equal(glyphs, _BLANK, out=self._seen)
        return int(np.count_nonzero(self._seen))
