"""The 27 bottom-line numbers ("blstats"): names, positions and honest bounds.

- `Stat`: name -> position.
- `BLSTATS_LOW`, `BLSTATS_HIGH`: bounds of each number.
- `HALLUCINATING`: the bit of the condition mask.
"""

from __future__ import annotations

import enum

import numpy as np

from rewardloom.envs.nethack.backend import nethack

__all__ = ["BLSTATS_HIGH", "BLSTATS_LOW", "HALLUCINATING", "Stat"]

HALLUCINATING = int(nethack.BL_MASK_HALLU)


class Stat(enum.IntEnum):
    """Position of a bottom-line number."""

    X = 0
    Y = 1
    STRENGTH = 2
    STRENGTH_PERCENT = 3
    DEXTERITY = 4
    CONSTITUTION = 5
    INTELLIGENCE = 6
    WISDOM = 7
    CHARISMA = 8
    SCORE = 9
    HIT_POINTS = 10
    MAX_HIT_POINTS = 11
    DEPTH = 12
    GOLD = 13
    ENERGY = 14
    MAX_ENERGY = 15
    ARMOR_CLASS = 16
    MONSTER_LEVEL = 17
    EXPERIENCE_LEVEL = 18
    EXPERIENCE_POINTS = 19
    TIME = 20
    HUNGER = 21
    CARRYING_CAPACITY = 22
    DUNGEON = 23
    LEVEL = 24
    CONDITION = 25
    ALIGNMENT = 26


_COUNT = (0, 2**31 - 1)
_BOUNDS: dict[Stat, tuple[int, int]] = {
    Stat.X: (0, 78),
    Stat.Y: (0, 20),
    Stat.STRENGTH_PERCENT: (0, 125),
    Stat.SCORE: _COUNT,
    Stat.HIT_POINTS: (0, 9999),
    Stat.MAX_HIT_POINTS: (0, 9999),
    Stat.DEPTH: (-10, 127),  # the elemental planes lie above the ground
    Stat.GOLD: _COUNT,
    Stat.ENERGY: (0, 9999),
    Stat.MAX_ENERGY: (0, 9999),
    Stat.ARMOR_CLASS: (-128, 127),
    Stat.MONSTER_LEVEL: (0, 127),
    Stat.EXPERIENCE_LEVEL: (0, 30),
    Stat.EXPERIENCE_POINTS: _COUNT,
    Stat.TIME: _COUNT,
    Stat.HUNGER: (0, 6),
    Stat.CARRYING_CAPACITY: (0, 5),
    Stat.DUNGEON: (0, 15),
    Stat.LEVEL: (0, 127),
    Stat.CONDITION: (0, 2**13 - 1),
    Stat.ALIGNMENT: (-1, 1),
}
_ATTRIBUTE = (0, 25)

BLSTATS_LOW = np.array([_BOUNDS.get(stat, _ATTRIBUTE)[0] for stat in Stat], np.int64)
BLSTATS_HIGH = np.array([_BOUNDS.get(stat, _ATTRIBUTE)[1] for stat in Stat], np.int64)
