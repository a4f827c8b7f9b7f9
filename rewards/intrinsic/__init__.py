"""Rewards for what the world says: captions, who labels them, and what a label pays."""

from rewardloom.rewards.intrinsic.annotators import HELPFUL as HELPFUL
from rewardloom.rewards.intrinsic.annotators import NO_LABEL as NO_LABEL
from rewardloom.rewards.intrinsic.annotators import UNHELPFUL as UNHELPFUL
from rewardloom.rewards.intrinsic.annotators import Annotator as Annotator
from rewardloom.rewards.intrinsic.annotators import Comparer as Comparer
from rewardloom.rewards.intrinsic.annotators import Goal as Goal
from rewardloom.rewards.intrinsic.annotators import GoalLike as GoalLike
from rewardloom.rewards.intrinsic.annotators import LexiconAnnotator as LexiconAnnotator
from rewardloom.rewards.intrinsic.annotators import Rules as Rules
from rewardloom.rewards.intrinsic.annotators import lexicon_goals as lexicon_goals
from rewardloom.rewards.intrinsic.annotators import lexicon_rules as lexicon_rules
from rewardloom.rewards.intrinsic.design import IntrinsicDesign as IntrinsicDesign
from rewardloom.rewards.intrinsic.models.retrieval import RetrievalModel as RetrievalModel
