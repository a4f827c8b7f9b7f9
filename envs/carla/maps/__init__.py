"""Maps: OpenDRIVE compiled to lane graphs, and what is asked of them.

- `compile_map`, `compile_text`: OpenDRIVE to a `LaneGraph`.
- `LaneGraph`: the compiled arrays, saved and loaded as `.npz`.
- `LaneIndex`, `LaneHits`: nearest lanes of many points at once.
- `Router`, `LanePath`: shortest routes through key points and random drives, as dense points.
- `read_routes`, `RouteTask`: routes in CARLA's leaderboard format.
"""

from rewardloom.envs.carla.maps.compiler import compile_map, compile_text
from rewardloom.envs.carla.maps.graph import LaneGraph
from rewardloom.envs.carla.maps.index import LaneHits, LaneIndex
from rewardloom.envs.carla.maps.paths import LanePath
from rewardloom.envs.carla.maps.route_files import RouteTask, read_routes
from rewardloom.envs.carla.maps.routing import Router

__all__ = [
    "LaneGraph",
    "LaneHits",
    "LaneIndex",
    "LanePath",
    "RouteTask",
    "Router",
    "compile_map",
    "compile_text",
    "read_routes",
]
