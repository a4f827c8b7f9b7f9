"""Dense redistribution: an episode's return, spread over its steps."""

from rewardloom.rewards.redistribute.design import RedistributeDesign as RedistributeDesign
from rewardloom.rewards.redistribute.settings import MODES as MODES
from rewardloom.rewards.redistribute.settings import Learning as Learning
