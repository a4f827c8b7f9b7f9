"""Bonuses for what is new to a network: RND, ICM, NGU and E3B."""

from rewardloom.rewards.novelty.rnd import RNDDesign as RNDDesign
from rewardloom.rewards.novelty.settings import NoveltyLearning as NoveltyLearning
