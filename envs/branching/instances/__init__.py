"""Mixed-integer programs: generated families and files."""

from rewardloom.envs.branching.instances.families import FAMILIES as FAMILIES
from rewardloom.envs.branching.instances.families import Family as Family
from rewardloom.envs.branching.instances.families import generate as generate
from rewardloom.envs.branching.instances.files import SUFFIXES as SUFFIXES
from rewardloom.envs.branching.instances.files import check_relaxation as check_relaxation
from rewardloom.envs.branching.instances.files import read_instances as read_instances
from rewardloom.envs.branching.instances.files import read_model as read_model
from rewardloom.envs.branching.instances.instance import MilpInstance as MilpInstance
