"""Rewards for what the world says: captions, who labels them, and what a label pays."""

from rewardloom.rewards.intrinsic.annotator import Annotator as Annotator
from rewardloom.rewards.intrinsic.annotator import LexiconAnnotator as LexiconAnnotator
from rewardloom.rewards.intrinsic.design import IntrinsicDesign as IntrinsicDesign
from rewardloom.rewards.intrinsic.retrieval import RetrievalModel as RetrievalModel
from rewardloom.rewards.intrinsic.rules import lexicon_goals as lexicon_goals
from rewardloom.rewards.intrinsic.rules import lexicon_rules as lexicon_rules
