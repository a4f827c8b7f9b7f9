"""Nearest lanes: against a comparison with every segment, and by hand."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opendrive import compiled, crossing, lane, lane_row, road, section

from rewardloom.envs.carla.maps import LaneIndex
from rewardloom.errors import ConfigError


@pytest.fixture(scope="module")
def bends():
    """Three roads that cross: a bend with four lanes, a spiral and a straight one."""
    sides = (lane(1) + lane(2, 3.0), lane(-1) + lane(-2, 3.5) + lane(-3, 2.0, kind="sidewalk"))
    return compiled(
        road(1, section(*sides), length=60.0, shape='<arc curvature="0.05"/>'),
        road(
            2,
            section("", lane(-1)),
            length=50.0,
            at=(-20.0, 10.0, 0.3),
            shape='<spiral curvStart="0.1" curvEnd="-0.1"/>',
        ),
        road(3, section("", lane(-1)), length=80.0, at=(-30.0, 30.0, -0.6)),
    )


def least_distances(graph, points):
    """Return each point's distance to the nearest segment of a drivable lane."""
    start = np.flatnonzero(graph.lanes_of()[graph.lane])
    start = start[~np.isin(start, graph.lane_first[1:] - 1)]
    a = np.stack([graph.x[start], graph.y[start]], axis=1)
    b = np.stack([graph.x[start + 1], graph.y[start + 1]], axis=1)
    to = points[:, None] - a
    fraction = np.clip((to * (b - a)).sum(-1) / ((b - a) ** 2).sum(-1), 0, 1)
    return np.linalg.norm(to - fraction[..., None] * (b - a), axis=-1).min(axis=1)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([5.0, 40.0, 400.0]))
def test_no_other_segment_is_nearer(bends, seed, spread):
    points = np.random.default_rng(seed).normal(0.0, spread, (200, 2))
    hits = LaneIndex(bends).nearest(points)
    np.testing.assert_allclose(hits.distance, least_distances(bends, points), atol=1e-9)
    np.testing.assert_allclose(
        np.hypot(hits.x - points[:, 0], hits.y - points[:, 1]), hits.distance, atol=1e-9
    )
    assert (bends.lane[hits.point] == hits.lane).all()


def test_an_answer_by_hand():
    graph = compiled(road(1, section(lane(1), lane(-1)), at=(10.0, 0.0, 0.0)), spacing=1.0)
    index = LaneIndex(graph)
    # In CARLA's frame lane -1 runs east along y = 2, lane 1 west along y = -2.
    hits = index.nearest([[12.25, 2.5], [12.25, 1.5], [12.25, -2.5], [8.0, 2.0]])
    east, west = lane_row(graph, 1, -1), lane_row(graph, 1, 1)
    assert hits.lane.tolist() == [east, east, west, east]
    np.testing.assert_allclose(hits.lateral, [0.5, -0.5, 0.5, 2.0])
    np.testing.assert_allclose(hits.x, [12.25, 12.25, 12.25, 10.0])
    np.testing.assert_allclose(hits.y, [2, 2, -2, 2])
    np.testing.assert_allclose(hits.fraction, [0.25, 0.25, 0.75, 0.0], atol=1e-6)
    np.testing.assert_allclose(np.abs(hits.yaw), [0, 0, math.pi, 0])
    assert (hits.point - graph.lane_first[hits.lane]).tolist() == [2, 2, 17, 0]
    lateral, error = index.lane_frame([[12.25, 2.5], [12.25, -2.5]], [0.3, math.pi + 0.2])
    np.testing.assert_allclose(lateral, [0.5, 0.5])
    np.testing.assert_allclose(error, [0.3, 0.2])


def test_values_between_points_are_interpolated():
    slope = '<elevationProfile><elevation s="0" a="1" b="0.1" c="0" d="0"/></elevationProfile>'
    graph = compiled(
        road(
            1,
            section("", lane(-1, 2.0, widening=0.2)),
            shape='<arc curvature="0.02"/>',
            inside=slope,
        ),
        spacing=5.0,
    )
    first = [(graph.x[0] + graph.x[1]) / 2, (graph.y[0] + graph.y[1]) / 2]
    hits = LaneIndex(graph).nearest([first])
    assert hits.point.tolist() == [0]
    for values, column in ((hits.z, graph.z), (hits.width, graph.width), (hits.yaw, graph.yaw)):
        np.testing.assert_allclose(values[0], (column[0] + column[1]) / 2)


def test_directions_are_told_across_the_seam_of_angles():
    """The lane turns from -pi + 0.5 over pi; half way along its first segment it is -pi + 0.25."""
    line = road(
        1,
        section("", lane(-1, 0.0)),
        length=10.0,
        at=(0.0, 0.0, math.pi - 0.5),
        shape='<arc curvature="0.1"/>',
    )
    graph = compiled(line, spacing=5.0)
    middle = [[(graph.x[0] + graph.x[1]) / 2, (graph.y[0] + graph.y[1]) / 2]]
    index = LaneIndex(graph)
    np.testing.assert_allclose(index.nearest(middle).yaw, -math.pi + 0.25, atol=1e-6)
    _, error = index.lane_frame(middle, [math.pi - 0.25])
    np.testing.assert_allclose(error, -0.5, atol=1e-6)


def test_junctions_are_told():
    index = LaneIndex(compiled(*crossing()))
    assert index.is_junction([[19.0, 1.0], [21.0, 1.0], [29.0, -3.0], [31.0, 0.5]]).tolist() == [
        False,
        True,
        True,
        False,
    ]


def test_only_the_lanes_asked_for_count(bends):
    hits = LaneIndex(bends, ("sidewalk",)).nearest([[0.0, 0.0]])
    assert bends.lane_id[hits.lane].tolist() == [-3]
    with pytest.raises(ConfigError, match="no lane of the types parking"):
        LaneIndex(bends, ("parking",))
    with pytest.raises(ConfigError, match="Did you mean 'sidewalk'"):
        LaneIndex(bends, ("sidewalks",))


def test_no_points_give_no_hits(bends):
    assert LaneIndex(bends).nearest(np.zeros((0, 2))).lane.shape == (0,)


def test_points_that_are_none_are_refused(bends):
    index = LaneIndex(bends)
    with pytest.raises(ConfigError, match=r"shape \(N, 2\), not \(2,\)"):
        index.nearest([1.0, 2.0])
    with pytest.raises(ConfigError, match="point 1 is"):
        index.nearest([[1.0, 2.0], [math.nan, 0.0]])
    assert np.isfinite(index.nearest([[1e12, -1e12]]).distance).all()
