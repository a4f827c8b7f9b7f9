"""Maps: OpenDRIVE compiled to lane graphs, and what is asked of them.

- `compile_map`, `compile_text`: OpenDRIVE to a `LaneGraph`.
- `LaneGraph`: the compiled arrays, saved and loaded as `.npz`.
"""

from rewardloom.envs.carla.maps.compiler import compile_map, compile_text
from rewardloom.envs.carla.maps.graph import LaneGraph

__all__ = ["LaneGraph", "compile_map", "compile_text"]
