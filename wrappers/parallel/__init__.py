"""Plugs for reward designs on a PettingZoo `ParallelEnv`; needs `rewardloom[parallel]`."""

from rewardloom.errors import MissingDependency

try:
    import pettingzoo as pettingzoo
except ImportError as error:
    raise MissingDependency(
        'PettingZoo is not installed. Run: pip install "rewardloom[parallel]"'
    ) from error

from rewardloom.wrappers.parallel.components import RewardComponents as RewardComponents
from rewardloom.wrappers.parallel.design import DesignReward as DesignReward
from rewardloom.wrappers.parallel.designs import CountReward as CountReward
from rewardloom.wrappers.parallel.designs import DeferReward as DeferReward
from rewardloom.wrappers.parallel.designs import IntrinsicReward as IntrinsicReward
from rewardloom.wrappers.parallel.designs import ScaleReward as ScaleReward
from rewardloom.wrappers.parallel.designs import WeightReward as WeightReward
from rewardloom.wrappers.parallel.gate import GateReward as GateReward
from rewardloom.wrappers.parallel.heron import HeronReward as HeronReward
from rewardloom.wrappers.parallel.novelty import E3BReward as E3BReward
from rewardloom.wrappers.parallel.novelty import ICMReward as ICMReward
from rewardloom.wrappers.parallel.novelty import NGUReward as NGUReward
from rewardloom.wrappers.parallel.novelty import RNDReward as RNDReward
from rewardloom.wrappers.parallel.redistribute import RedistributeReward as RedistributeReward
