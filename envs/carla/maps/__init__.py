"""Maps: OpenDRIVE compiled to lane graphs, and what is asked of them.

- `compile_map`, `compile_text`: OpenDRIVE to a `LaneGraph`.
- `LaneGraph`: the compiled arrays, saved and loaded as `.npz`.
- `LaneIndex`, `LaneHits`: nearest lanes of many points at once.
"""

from rewardloom.envs.carla.maps.compiler import compile_map, compile_text
from rewardloom.envs.carla.maps.graph import LaneGraph
from rewardloom.envs.carla.maps.index import LaneHits, LaneIndex

__all__ = ["LaneGraph", "LaneHits", "LaneIndex", "compile_map", "compile_text"]
