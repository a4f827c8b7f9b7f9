"""Compiled towns against CARLA's own reader of OpenDRIVE, `carla.Map`.

`get_waypoint` searches a coarse approximation of the lanes and follows with a distance along
them, so on bends its answer can be some centimetres farther away than the nearest place. Where
that matters the oracle is a cloud of CARLA's own waypoints, 10 cm apart.
"""

import lzma
import math
import os
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from rewardloom.envs.carla.maps import LaneGraph, LaneIndex, Router, compile_map, read_routes
from rewardloom.envs.carla.maps.graph import MARKINGS, STOP_KINDS

carla = pytest.importorskip("carla", reason="the extra `carla` is not installed")
spatial = pytest.importorskip("scipy.spatial", reason="scipy is not installed")

DATA = Path(os.environ.get("REWARDLOOM_TEST_DATA", "")) / "carla"
pytestmark = pytest.mark.skipif(
    not os.environ.get("REWARDLOOM_TEST_DATA") or not DATA.is_dir(),
    reason="REWARDLOOM_TEST_DATA names no folder with carla/, CARLA's towns",
)

ROUTES = DATA / "longest6_even.xml"
TOWNS = ("Town01", "Town02", "Town06")
POINTS = 10_000


class Town(NamedTuple):
    """A town compiled by us, and CARLA's reading of it."""

    graph: LaneGraph
    index: LaneIndex
    oracle: "carla.Map"


@pytest.fixture(scope="module", params=TOWNS)
def town(request):
    file = DATA / f"{request.param}.xodr.xz"
    graph = compile_map(file)
    oracle = carla.Map(request.param, lzma.decompress(file.read_bytes()).decode())
    return Town(graph, LaneIndex(graph), oracle)


def box(graph):
    """Return random points over the town and 20 m around it."""
    drivable = graph.lanes_of()[graph.lane]
    x, y = graph.x[drivable], graph.y[drivable]
    low, high = [x.min() - 20, y.min() - 20], [x.max() + 20, y.max() + 20]
    return np.random.default_rng(0).uniform(low, high, (POINTS, 2))


def near_roads(graph):
    """Return random points within 4 m of random lane points."""
    rng = np.random.default_rng(1)
    centre = rng.choice(np.flatnonzero(graph.lanes_of()[graph.lane]), POINTS)
    at = np.stack([graph.x[centre], graph.y[centre]], axis=1)
    return at + rng.uniform(-4, 4, at.shape)


def asked(oracle, points):
    """Return CARLA's nearest waypoints."""
    return [oracle.get_waypoint(carla.Location(x=x, y=y)) for x, y in points.tolist()]


def place(waypoint):
    """Return x, y of a waypoint."""
    return waypoint.transform.location.x, waypoint.transform.location.y


def test_the_nearest_lane_centre_is_carlas(town):
    points = near_roads(town.graph)
    hits = town.index.nearest(points)
    cloud = np.array([place(waypoint) for waypoint in town.oracle.generate_waypoints(0.1)])
    distance, _ = spatial.cKDTree(cloud).query(points)
    assert np.mean(np.abs(distance - hits.distance) < 0.05) >= 0.999
    off_centre, _ = spatial.cKDTree(cloud).query(np.stack([hits.x, hits.y], axis=1))
    assert np.mean(off_centre < 0.06) >= 0.99  # half the cloud's spacing, and 1 cm


def test_get_waypoint_answers_the_same(town):
    points = box(town.graph)
    hits = town.index.nearest(points)
    waypoints = asked(town.oracle, points)
    away = np.linalg.norm(np.array([place(waypoint) for waypoint in waypoints]) - points, axis=1)
    assert np.mean(np.abs(away - hits.distance) < 0.05) >= 0.99
    # its answers are never the nearer ones, but for the chords of our half metres
    assert np.min(away - hits.distance) > -0.04
    junction = np.array([waypoint.is_junction for waypoint in waypoints])
    assert np.mean((town.graph.lane_junction[hits.lane] >= 0) == junction) >= 0.999


def test_lane_points_are_carlas(town):
    """Position, direction, width, junction, markings and lane changes, at random lane points."""
    graph, names = town.graph, np.array(MARKINGS)
    rng = np.random.default_rng(2)
    inner = graph.lanes_of()[graph.lane]
    inner[graph.lane_first[:-1]] = inner[graph.lane_first[1:] - 1] = False
    codes = {"NONE": "none", "Broken": "broken", "Solid": "solid", "Curb": "curb"}
    for point in rng.choice(np.flatnonzero(inner), 3000):
        row = graph.lane[point]
        road, lane_id = int(graph.lane_road[row]), int(graph.lane_id[row])
        waypoint = town.oracle.get_waypoint_xodr(road, lane_id, float(graph.s[point]))
        assert waypoint.section_id == graph.lane_section[row]
        assert math.dist(place(waypoint), (graph.x[point], graph.y[point])) < 1e-3
        assert waypoint.transform.location.z == pytest.approx(graph.z[point], abs=1e-3)
        turn = math.radians(waypoint.transform.rotation.yaw) - graph.yaw[point]
        assert math.cos(turn) > 1 - 1e-6
        assert waypoint.lane_width == pytest.approx(graph.width[point], abs=1e-3)
        assert waypoint.is_junction == (graph.lane_junction[row] >= 0)
        if waypoint.is_junction:
            assert waypoint.get_junction().id == graph.lane_junction[row]
        marks = waypoint.left_lane_marking, waypoint.right_lane_marking
        ours = names[[graph.mark_left[point], graph.mark_right[point]]].tolist()
        assert [codes[str(marking.type)] for marking in marks] == ours
        # CARLA asks the marking alone, we ask for a lane to change to as well
        assert int(waypoint.lane_change) & int(graph.lane_change[point]) == graph.lane_change[point]


def test_successors_are_carlas(town):
    graph = town.graph
    drivable = graph.lanes_of()
    keys = list(zip(graph.lane_road, graph.lane_section, graph.lane_id, strict=True))
    compared = 0
    for row in np.flatnonzero(drivable & (graph.lane_length > 0.2)):
        first, last = graph.lane_first[row], graph.lane_first[row + 1] - 1
        s = graph.s[last] + math.copysign(0.02, graph.s[first] - graph.s[last])
        road, _, lane_id = map(int, keys[row])
        waypoint = town.oracle.get_waypoint_xodr(road, lane_id, float(s))
        theirs = {(w.road_id, w.section_id, w.lane_id) for w in waypoint.next(0.06)}
        after = graph.successors[graph.successors[:, 0] == row, 1]
        assert {keys[other] for other in after[drivable[after]]} == theirs
        compared += 1
    assert compared > 80


def test_every_light_stops_the_lanes_it_stands_for(town):
    """CARLA puts lights on junction lanes; their stop lines are at most 8 m before, same id."""
    graph, compared = town.graph, 0
    lines = np.stack([graph.stop_x, graph.stop_y], axis=1)
    assert {STOP_KINDS[kind] for kind in graph.stop_kind} == {"light"}
    assert (graph.stop_group >= 0).all()
    assert (graph.group_junction[graph.stop_group] >= 0).all()
    for light in town.oracle.get_all_landmarks_of_type("1000001"):
        for low, high in light.get_lane_validities():
            for lane_id in (number for number in range(low, high + 1) if number):
                s = max(light.s, 0.01)
                waypoint = town.oracle.get_waypoint_xodr(light.road_id, lane_id, s)
                if waypoint is None or waypoint.lane_type != carla.LaneType.Driving:
                    continue
                away = np.linalg.norm(lines - place(waypoint), axis=1)
                assert away[graph.stop_signal == int(light.id)].min() < 8
                compared += 1
    assert compared >= 48


def test_speed_signs_are_carlas(town):
    theirs = town.oracle.get_all_landmarks_of_type("274")
    assert len(theirs) == town.graph.sign_x.size
    ours = np.stack([town.graph.sign_x, town.graph.sign_y], axis=1)
    for sign in theirs:
        away = np.linalg.norm(ours - (sign.transform.location.x, sign.transform.location.y), axis=1)
        assert away.min() < 0.25
        assert town.graph.sign_limit[np.argmin(away)] == pytest.approx(sign.value / 3.6)


def test_there_are_as_many_crosswalks(town):
    """CARLA closes each outline and moves it (it turns the lateral offset too): only counted."""
    theirs = len(town.oracle.get_crosswalks())
    assert town.graph.crosswalk_corners.shape[0] + town.graph.crosswalk_first.size - 1 == theirs


TABLE = {0: 1162, 2: 896, 4: 949, 6: 996, 8: 834, 10: 975, 30: 2566, 32: 2929, 34: 1463}
"""Points of longest6's routes as CARLA's planner traces them, one per metre of each piece."""


def test_routes_are_those_of_carlas_planner(town):
    """The planner drops what is left of a metre at the end of each piece, so it counts less.

    (Route 6 has 996 points, and the straight lines between its key points are 1010 m long.)
    """
    router = Router(town.graph)
    cloud = np.array([place(waypoint) for waypoint in town.oracle.generate_waypoints(0.1)])
    tree = spatial.cKDTree(cloud)
    tasks = [task for task in read_routes(ROUTES) if task.town == town.oracle.name]
    assert len(tasks) == 3
    for task in tasks:
        path = router.through(task.key_points[:, :2])
        straight = np.linalg.norm(np.diff(task.key_points, axis=0), axis=1).sum()
        assert max(straight - 3 * len(task.key_points), TABLE[task.id]) < path.length
        assert path.length < 1.055 * TABLE[task.id]
        passed, _ = spatial.cKDTree(path.xy).query(task.key_points[:, :2])
        assert passed.max() < 2
        off_lane, _ = tree.query(path.xy)
        assert np.mean(off_lane < 0.1) > (0.9 if town.oracle.name == "Town06" else 0.999)
