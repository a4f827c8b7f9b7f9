"""Who says what captions are worth: lexicon, language model, embeddings, earlier answers.

The two questions are `Annotator.label` and `Comparer.compare`. `make_annotator` builds any of the
annotators here from plain data.
"""

from rewardloom.rewards.intrinsic.annotators.breaker import Health as Health
from rewardloom.rewards.intrinsic.annotators.cached import CachedAnnotator as CachedAnnotator
from rewardloom.rewards.intrinsic.annotators.cached import ReplayAnnotator as ReplayAnnotator
from rewardloom.rewards.intrinsic.annotators.embedding import (
    EmbeddingAnnotator as EmbeddingAnnotator,
)
from rewardloom.rewards.intrinsic.annotators.embedding import sentence_encoder as sentence_encoder
from rewardloom.rewards.intrinsic.annotators.factory import make_annotator as make_annotator
from rewardloom.rewards.intrinsic.annotators.goals import Goal as Goal
from rewardloom.rewards.intrinsic.annotators.goals import GoalLike as GoalLike
from rewardloom.rewards.intrinsic.annotators.goals import read_goal as read_goal
from rewardloom.rewards.intrinsic.annotators.goals import shipped_goals as shipped_goals
from rewardloom.rewards.intrinsic.annotators.lexicon import LexiconAnnotator as LexiconAnnotator
from rewardloom.rewards.intrinsic.annotators.lexicon import Rules as Rules
from rewardloom.rewards.intrinsic.annotators.lexicons import lexicon_path as lexicon_path
from rewardloom.rewards.intrinsic.annotators.openai import OpenAIAnnotator as OpenAIAnnotator
from rewardloom.rewards.intrinsic.annotators.protocol import HELPFUL as HELPFUL
from rewardloom.rewards.intrinsic.annotators.protocol import NO_LABEL as NO_LABEL
from rewardloom.rewards.intrinsic.annotators.protocol import UNHELPFUL as UNHELPFUL
from rewardloom.rewards.intrinsic.annotators.protocol import Annotator as Annotator
from rewardloom.rewards.intrinsic.annotators.protocol import Comparer as Comparer
from rewardloom.rewards.intrinsic.annotators.rules import lexicon_goals as lexicon_goals
from rewardloom.rewards.intrinsic.annotators.rules import lexicon_rules as lexicon_rules
from rewardloom.rewards.intrinsic.annotators.shuffled import ShuffledAnnotator as ShuffledAnnotator
from rewardloom.rewards.intrinsic.annotators.stand_ins import CallableAnnotator as CallableAnnotator
from rewardloom.rewards.intrinsic.annotators.stand_ins import NoisyAnnotator as NoisyAnnotator
