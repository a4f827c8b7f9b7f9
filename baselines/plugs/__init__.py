"""SB3 plugs for reward designs: VecEnv wrapper, relabelling buffers, VectorEnv bridge."""

from rewardloom.baselines.plugs.vec_env import DesignVecReward as DesignVecReward
from rewardloom.baselines.plugs.vector_env import VectorEnvToVecEnv as VectorEnvToVecEnv
