"""Helpers for testing worlds and reward designs, for users too."""

from rewardloom.testing.reference import Tick as Tick
from rewardloom.testing.reference import reference_rewards as reference_rewards
from rewardloom.testing.reference import reference_ticks as reference_ticks
from rewardloom.testing.worlds import COMPONENTS as COMPONENTS
from rewardloom.testing.worlds import ComponentWorld as ComponentWorld
from rewardloom.testing.worlds import NullEnv as NullEnv
from rewardloom.testing.worlds import NullVectorEnv as NullVectorEnv
