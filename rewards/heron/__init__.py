"""HERON: a reward learned from preferences that a ranking of components gives."""

from rewardloom.rewards.heron.design import HeronDesign as HeronDesign
from rewardloom.rewards.heron.factors import Factor as Factor
from rewardloom.rewards.heron.labels import cycle_rate as cycle_rate
from rewardloom.rewards.heron.labels import hierarchical_preferences as hierarchical_preferences
from rewardloom.rewards.heron.settings import PreferenceLearning as PreferenceLearning
