"""Plugs for reward designs on a `gymnasium.vector.VectorEnv`: one design for all of it."""

from rewardloom.wrappers.vector.components import RewardComponents as RewardComponents
from rewardloom.wrappers.vector.design import DesignReward as DesignReward
from rewardloom.wrappers.vector.designs import CountReward as CountReward
from rewardloom.wrappers.vector.designs import DeferReward as DeferReward
from rewardloom.wrappers.vector.designs import IntrinsicReward as IntrinsicReward
from rewardloom.wrappers.vector.designs import ScaleReward as ScaleReward
from rewardloom.wrappers.vector.designs import WeightReward as WeightReward
from rewardloom.wrappers.vector.gate import GateReward as GateReward
from rewardloom.wrappers.vector.heron import HeronReward as HeronReward
from rewardloom.wrappers.vector.infos import step_components as step_components
from rewardloom.wrappers.vector.novelty import E3BReward as E3BReward
from rewardloom.wrappers.vector.novelty import ICMReward as ICMReward
from rewardloom.wrappers.vector.novelty import NGUReward as NGUReward
from rewardloom.wrappers.vector.novelty import RNDReward as RNDReward
from rewardloom.wrappers.vector.redistribute import RedistributeReward as RedistributeReward
