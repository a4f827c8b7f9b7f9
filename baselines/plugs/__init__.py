"""SB3 plugs for reward designs: VecEnv wrapper, relabelling buffers, bridges to other APIs."""

from rewardloom.baselines.plugs.attach import attach_relabel as attach_relabel
from rewardloom.baselines.plugs.callback import RawReturnCallback as RawReturnCallback
from rewardloom.baselines.plugs.design_file import load_design as load_design
from rewardloom.baselines.plugs.design_file import save_design as save_design
from rewardloom.baselines.plugs.parallel_env import ParallelToVecEnv as ParallelToVecEnv
from rewardloom.baselines.plugs.relabel_off_policy import (
    RelabelDictReplayBuffer as RelabelDictReplayBuffer,
)
from rewardloom.baselines.plugs.relabel_off_policy import (
    RelabelNStepReplayBuffer as RelabelNStepReplayBuffer,
)
from rewardloom.baselines.plugs.relabel_off_policy import (
    RelabelReplayBuffer as RelabelReplayBuffer,
)
from rewardloom.baselines.plugs.vec_env import DesignVecReward as DesignVecReward
from rewardloom.baselines.plugs.vector_env import VectorEnvToVecEnv as VectorEnvToVecEnv
