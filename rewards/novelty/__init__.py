"""Bonuses for what is new to a network: RND, ICM, NGU and E3B."""

from rewardloom.rewards.novelty.e3b import E3BDesign as E3BDesign
from rewardloom.rewards.novelty.icm import ICMDesign as ICMDesign
from rewardloom.rewards.novelty.ngu import NGUDesign as NGUDesign
from rewardloom.rewards.novelty.rnd import RNDDesign as RNDDesign
from rewardloom.rewards.novelty.settings import NoveltyLearning as NoveltyLearning
