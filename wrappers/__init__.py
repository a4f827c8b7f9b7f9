"""Plugs for reward designs on one `gymnasium.Env`; `vector` and `parallel` hold the twins."""

from rewardloom.wrappers.components import Component as Component
from rewardloom.wrappers.components import RewardComponents as RewardComponents
from rewardloom.wrappers.components import Transition as Transition
from rewardloom.wrappers.count import CountReward as CountReward
from rewardloom.wrappers.defer import DeferReward as DeferReward
from rewardloom.wrappers.design import DesignReward as DesignReward
from rewardloom.wrappers.e3b import E3BReward as E3BReward
from rewardloom.wrappers.gate import GateReward as GateReward
from rewardloom.wrappers.heron import HeronReward as HeronReward
from rewardloom.wrappers.icm import ICMReward as ICMReward
from rewardloom.wrappers.intrinsic import IntrinsicReward as IntrinsicReward
from rewardloom.wrappers.ngu import NGUReward as NGUReward
from rewardloom.wrappers.offline import relabel_minari as relabel_minari
from rewardloom.wrappers.redistribute import RedistributeReward as RedistributeReward
from rewardloom.wrappers.rnd import RNDReward as RNDReward
from rewardloom.wrappers.scale import ScaleReward as ScaleReward
from rewardloom.wrappers.weight import WeightReward as WeightReward
