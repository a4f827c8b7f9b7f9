"""NetHack worlds over nle, repaired where stock nle breaks the Gymnasium contract.

Importing this package imports nle: `rewardloom.errors.MissingDependency` says how to install it.
"""

from rewardloom.envs.nethack.actions import EXT28 as EXT28
from rewardloom.envs.nethack.actions import TASK23 as TASK23
from rewardloom.envs.nethack.oracle import NetHackOracle as NetHackOracle
from rewardloom.envs.nethack.score import NetHackScore as NetHackScore
from rewardloom.envs.nethack.staircase import NetHackStaircase as NetHackStaircase
from rewardloom.envs.nethack.stats import Stat as Stat
from rewardloom.envs.nethack.world import EpisodeRecord as EpisodeRecord
from rewardloom.envs.nethack.world import NetHackWorld as NetHackWorld
