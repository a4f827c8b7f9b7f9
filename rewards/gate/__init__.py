"""Gated accumulation: levels of reward that open what lies below them."""

from rewardloom.rewards.gate.design import GateDesign as GateDesign
from rewardloom.rewards.gate.gating import GatedEpisodes as GatedEpisodes
from rewardloom.rewards.gate.gating import gate_episodes as gate_episodes
from rewardloom.rewards.gate.levels import Level as Level
