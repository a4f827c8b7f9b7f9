"""The maths of reward designs on arrays; knows nothing of Gymnasium, SB3 or any world."""

from rewardloom.rewards.catalog import DESIGNS as DESIGNS
from rewardloom.rewards.catalog import make_design as make_design
from rewardloom.rewards.count import CountDesign as CountDesign
from rewardloom.rewards.defer import DeferDesign as DeferDesign
from rewardloom.rewards.design import EpisodeBatch as EpisodeBatch
from rewardloom.rewards.design import RewardDesign as RewardDesign
from rewardloom.rewards.design import StepBatch as StepBatch
from rewardloom.rewards.design import episode_batch as episode_batch
from rewardloom.rewards.gate import GateDesign as GateDesign
from rewardloom.rewards.gate import Level as Level
from rewardloom.rewards.gate import gate_episodes as gate_episodes
from rewardloom.rewards.heron import Factor as Factor
from rewardloom.rewards.heron import HeronDesign as HeronDesign
from rewardloom.rewards.heron import PreferenceLearning as PreferenceLearning
from rewardloom.rewards.heron import hierarchical_preferences as hierarchical_preferences
from rewardloom.rewards.intrinsic import IntrinsicDesign as IntrinsicDesign
from rewardloom.rewards.intrinsic import LexiconAnnotator as LexiconAnnotator
from rewardloom.rewards.novelty import E3BDesign as E3BDesign
from rewardloom.rewards.novelty import ICMDesign as ICMDesign
from rewardloom.rewards.novelty import NGUDesign as NGUDesign
from rewardloom.rewards.novelty import NoveltyLearning as NoveltyLearning
from rewardloom.rewards.novelty import RNDDesign as RNDDesign
from rewardloom.rewards.offline import relabel as relabel
from rewardloom.rewards.redistribute import RedistributeDesign as RedistributeDesign
from rewardloom.rewards.scale import ScaleDesign as ScaleDesign
from rewardloom.rewards.weight import WeightDesign as WeightDesign
