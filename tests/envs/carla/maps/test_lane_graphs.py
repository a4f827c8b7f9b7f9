"""Small OpenDRIVE documents compiled, with every number worked by hand."""

import lzma
import math

import numpy as np
import pytest
from opendrive import (
    compiled,
    crossing,
    document,
    lane,
    lane_row,
    mark,
    points_of,
    road,
    section,
)

from rewardloom.envs.carla.maps import LaneGraph, compile_map, compile_text
from rewardloom.envs.carla.maps.graph import LANE_TYPES, MARKINGS, STOP_KINDS
from rewardloom.errors import ConfigError


def ends(graph, road_id, lane_id):
    """Return x, y, yaw of the first and the last point of a lane."""
    points = points_of(graph, road_id, lane_id)
    return [
        [float(column[points][end]) for column in (graph.x, graph.y, graph.yaw)] for end in (0, -1)
    ]


def test_a_straight_road():
    slope = '<elevationProfile><elevation s="0" a="1" b="0.1" c="0" d="0"/></elevationProfile>'
    graph = compiled(
        road(1, section(lane(1, 3.0), lane(-1)), at=(10.0, 5.0, 0.0), offset=0.5, inside=slope)
    )
    right, left = points_of(graph, 1, -1), points_of(graph, 1, 1)
    # The centre lies 0.5 m left of the line: lane -1 at t = 0.5 - 2, lane 1 at t = 0.5 + 1.5.
    np.testing.assert_allclose(graph.x[right], np.linspace(10, 30, 41), atol=1e-6)
    np.testing.assert_allclose(graph.y[right], -3.5)
    np.testing.assert_allclose(graph.yaw[right], 0.0)
    np.testing.assert_allclose(graph.z[right], np.linspace(1, 3, 41), atol=1e-6)
    np.testing.assert_allclose(graph.x[left], np.linspace(30, 10, 41), atol=1e-6)
    np.testing.assert_allclose(graph.y[left], -7.0)
    np.testing.assert_allclose(graph.yaw[left], math.pi)
    np.testing.assert_allclose(graph.s[left], np.linspace(20, 0, 41))
    assert set(graph.width[left]) == {3.0}
    assert set(graph.width[right]) == {4.0}
    assert graph.lane_junction.tolist() == [-1, -1]
    assert np.isinf(graph.speed_limit).all()


def test_a_bend_to_the_left():
    quarter = 5 * math.pi  # of a circle of radius 10 around (0, 10)
    graph = compiled(
        road(1, section("", lane(-1)), length=quarter, shape='<arc curvature="0.1"/>'), spacing=0.1
    )
    start, end = ends(graph, 1, -1)
    np.testing.assert_allclose(start, [0, 2, 0], atol=1e-6)
    np.testing.assert_allclose(end, [12, -10, -math.pi / 2], atol=1e-6)
    np.testing.assert_allclose(graph.lane_length, 6 * math.pi, rtol=1e-4)


def test_a_spiral():
    """Curvature 0 to 0.1 over 20 m turns by 1 rad; the end is the Fresnel integrals' series."""
    graph = compiled(
        road(1, section("", lane(-1, 0.0)), shape='<spiral curvStart="0" curvEnd="0.1"/>')
    )
    _, end = ends(graph, 1, -1)
    x = 20 * (1 - 1 / 10 + 1 / 216 - 1 / 9360 + 1 / 685440)
    y = 20 * (1 / 3 - 1 / 42 + 1 / 1320 - 1 / 75600 + 1 / 6894720)
    np.testing.assert_allclose(end, [x, -y, -1.0], atol=1e-6)


def test_a_spiral_that_straightens_bends_first():
    graph = compiled(
        road(1, section("", lane(-1, 0.0)), shape='<spiral curvStart="0.1" curvEnd="0"/>')
    )
    points = points_of(graph, 1, -1)
    turned = -graph.yaw[points]
    # heading(u) = 0.1 u - u^2 / 400: 0.75 rad half way, 1 rad at the end
    np.testing.assert_allclose(turned[[20, 40]], [0.75, 1.0], atol=1e-6)


@pytest.mark.parametrize(
    ("shape", "length"),
    [
        # v = 0.01 w^2 up to w = 10; its length is the integral of sqrt(1 + (0.02 w)^2)
        ('<poly3 a="0" b="0" c="0.01" d="0"/>', 25 * (0.2 * math.sqrt(1.04) + math.asinh(0.2))),
        (
            '<paramPoly3 pRange="normalized" aU="0" bU="10" cU="0" dU="0" '
            'aV="0" bV="0" cV="1" dV="0"/>',
            10.0663,
        ),
        (
            '<paramPoly3 pRange="arcLength" aU="0" bU="1" cU="0" dU="0" '
            'aV="0" bV="0" cV="0.01" dV="0"/>',
            10.0,
        ),
    ],
)
def test_a_parabola_in_each_notation(shape, length):
    graph = compiled(road(1, section("", lane(-1, 0.0)), length=length, shape=shape))
    _, end = ends(graph, 1, -1)
    np.testing.assert_allclose(end, [10, -1, -math.atan(0.2)], atol=1e-4)


def test_a_lane_that_widens_turns_with_its_middle():
    graph = compiled(road(1, section("", lane(-1, 3.0, widening=0.1))))
    points = points_of(graph, 1, -1)
    np.testing.assert_allclose(graph.width[points][[0, -1]], [3.0, 5.0], atol=1e-6)
    np.testing.assert_allclose(graph.y[points][[0, -1]], [1.5, 2.5], atol=1e-6)
    np.testing.assert_allclose(graph.yaw[points], math.atan(0.05))


def test_where_traffic_keeps_left_the_lanes_run_the_other_way():
    graph = compiled(road(1, section(lane(1), lane(-1)), rule="LHT"))
    np.testing.assert_allclose(ends(graph, 1, -1), [[20, 2, math.pi], [0, 2, math.pi]], atol=1e-6)
    np.testing.assert_allclose(ends(graph, 1, 1), [[0, -2, 0], [20, -2, 0]], atol=1e-6)


def test_markings_and_lane_changes():
    """Lane -1 lies left of lane -2 as driven; their border can be crossed to the right only."""
    graph = compiled(
        road(
            1,
            section(
                lane(1, marks=mark("curb")),
                lane(-1, marks=mark("solid") + mark("broken", "decrease", offset=10))
                + lane(-2, marks=mark("broken", "both"))
                + lane(-3, kind="shoulder", marks=mark("odd")),
                centre=mark("broken"),
            ),
            length=20.0,
        )
    )
    inner, outer, shoulder = (points_of(graph, 1, number) for number in (-1, -2, -3))
    names = np.array(MARKINGS)
    assert set(names[graph.mark_left[inner]]) == {"broken"}
    assert names[graph.mark_right[inner]][[0, -1]].tolist() == ["solid", "broken"]
    assert names[graph.mark_left[outer]][[0, -1]].tolist() == ["solid", "broken"]
    assert set(names[graph.mark_right[shoulder]]) == {"other"}
    assert names[graph.mark_left[points_of(graph, 1, 1)]][0] == "broken"
    assert names[graph.mark_right[points_of(graph, 1, 1)]][0] == "curb"
    # 1 allows to the right, 2 to the left; lane 1 comes the other way, the shoulder is no lane
    assert graph.lane_change[inner].tolist() == [0] * 20 + [1] * 21
    assert not graph.lane_change[outer].any()
    rows = [lane_row(graph, 1, number) for number in (1, -1, -2, -3)]
    assert graph.lane_right[rows].tolist() == [-1, rows[2], -1, -1]
    assert graph.lane_left[rows].tolist() == [-1, -1, rows[1], -1]
    assert LANE_TYPES[graph.lane_type[rows[3]]] == "shoulder"


def test_a_junction():
    graph = compiled(*crossing())
    rows = {key: lane_row(graph, *key) for key in [(n, m) for n in (1, 2, 3) for m in (1, -1)]}
    eastward = [(rows[1, -1], rows[2, -1]), (rows[2, -1], rows[3, -1])]
    westward = [(rows[3, 1], rows[2, 1]), (rows[2, 1], rows[1, 1])]
    assert sorted(map(tuple, graph.successors.tolist())) == sorted(eastward + westward)
    assert graph.lane_junction[[rows[1, -1], rows[2, -1], rows[2, 1]]].tolist() == [-1, 9, 9]
    assert graph.stop_x.size == 1
    assert STOP_KINDS[graph.stop_kind[0]] == "light"
    assert (graph.stop_signal[0], graph.stop_group[0]) == (50, 0)
    np.testing.assert_allclose([graph.stop_x[0], graph.stop_y[0]], [20, 2], atol=1e-6)
    assert (graph.stop_yaw[0], graph.stop_width[0]) == (0.0, 4.0)
    assert graph.stop_point[0] == points_of(graph, 1, -1).stop - 1
    assert graph.group_junction.tolist() == [9]
    assert graph.group_controller.tolist() == [70]
    assert graph.group_sequence.tolist() == [2]


def test_lane_links_and_connections_say_the_same():
    """Files give the contacts of a junction's entry twice; either alone joins the lanes."""
    text = document(*crossing())
    wanted = compile_text(text).successors
    for left_out in ('<predecessor id="-1"/>', '<laneLink from="-1" to="-1"/>'):
        assert text.count(left_out) == 1
        successors = compile_text(text.replace(left_out, "")).successors
        np.testing.assert_array_equal(successors, wanted)
    neither = text.replace('<predecessor id="-1"/>', "").replace('<laneLink from="-1"', "<x ")
    assert len(compile_text(neither).successors) == len(wanted) - 1


def test_a_limit_is_handed_on_through_a_junction_along_the_traffic():
    graph = compiled(*crossing())
    assert set(graph.speed_limit[points_of(graph, 1, -1)]) == {10.0}
    assert set(graph.speed_limit[points_of(graph, 2, -1)]) == {10.0}
    assert set(graph.speed_limit[points_of(graph, 3, -1)]) == {10.0}
    assert np.isinf(graph.speed_limit[points_of(graph, 2, 1)]).all()


def test_speed_signs_act_from_where_they_stand():
    signs = (
        '<objects><object id="5" name="Speed_90" s="4" t="-6" hdg="0"/></objects>'
        '<signals><signal id="6" type="274" s="12" t="5" orientation="-" value="36"/></signals>'
        '<type s="0"><speed max="5"/></type>'
    )
    graph = compiled(road(1, section(lane(1), lane(-1)), inside=signs), spacing=1.0)
    np.testing.assert_allclose(graph.speed_limit[points_of(graph, 1, -1)], [5] * 4 + [25] * 17)
    np.testing.assert_allclose(graph.speed_limit[points_of(graph, 1, 1)], [5] * 8 + [10] * 13)
    np.testing.assert_allclose(graph.sign_limit, [10, 25])
    np.testing.assert_allclose(graph.sign_x, [12, 4])
    np.testing.assert_allclose(graph.sign_y, [-5, 6])


def test_stop_and_yield_signs_and_a_light_without_controller():
    signals = "".join(
        f'<signal id="{number}" type="{kind}" s="{s}" t="0" orientation="{way}"/>'
        for number, kind, s, way in [(1, 206, 15, "+"), (2, 205, 5, "-"), (3, 1000001, 18, "+")]
    )
    graph = compiled(road(1, section(lane(1), lane(-1)), inside=f"<signals>{signals}</signals>"))
    found = {
        int(signal): (STOP_KINDS[kind], round(float(x), 6), round(float(y), 6), int(group))
        for signal, kind, x, y, group in zip(
            graph.stop_signal,
            graph.stop_kind,
            graph.stop_x,
            graph.stop_y,
            graph.stop_group,
            strict=True,
        )
    }
    assert found == {
        1: ("stop", 15.0, 2.0, -1),
        2: ("yield", 5.0, -2.0, -1),
        3: ("light", 18.0, 2.0, 0),
    }
    assert graph.group_controller.tolist() == [-1]


def test_crosswalks_in_each_notation():
    head = '<object id="1" type="crosswalk" s="10" t="1" length="8" width="2"'
    local = "".join(
        f'<cornerLocal u="{u}" v="{v}"/>' for u, v in [(-4, -1), (4, -1), (4, 1), (-4, -1)]
    )
    along = "".join(f'<cornerRoad s="{s}" t="{t}"/>' for s, t in [(2, 4), (4, 4), (4, -4)])
    objects = (
        f'<objects>{head} hdg="{math.pi / 2}"><outline>{local}</outline></object>'
        f'{head} hdg="0"><outlines><outline>{along}</outline></outlines></object>'
        f'{head} hdg="{math.pi / 2}"/></objects>'
    )
    graph = compiled(road(1, section("", lane(-1)), inside=objects))
    # Turned by 90 degrees, u runs to the left of the road (-y in CARLA's frame), v backwards.
    np.testing.assert_allclose(graph.crosswalk(0), [[11, 3], [11, -5], [9, -5]], atol=1e-12)
    np.testing.assert_allclose(graph.crosswalk(1), [[2, -4], [4, -4], [4, 4]], atol=1e-12)
    np.testing.assert_allclose(graph.crosswalk(2), [[11, 3], [11, -5], [9, -5], [9, 3]], atol=1e-12)


def test_sections_of_a_road_follow_each_other():
    graph = compiled(
        road(
            1,
            section("", lane(-1, link='<successor id="-2"/>'))
            + section("", lane(-1, 3.0) + lane(-2, 2.0), s=8.0),
        )
    )
    first, second = lane_row(graph, 1, -1), lane_row(graph, 1, -2, 1)
    assert graph.successors.tolist() == [[first, second]]
    np.testing.assert_allclose(graph.y[points_of(graph, 1, -2, 1)], 4.0)
    np.testing.assert_allclose(graph.lane_length[[first, second]], [8, 12], atol=1e-6)


def test_saved_maps_come_back_and_others_are_refused(tmp_path):
    graph = compiled(*crossing())
    graph.save(tmp_path / "map.npz")
    again = LaneGraph.load(tmp_path / "map.npz")
    for name, column in vars(graph).items():
        stored = getattr(again, name)
        assert stored.dtype == column.dtype
        np.testing.assert_array_equal(stored, column)
        with pytest.raises(ValueError, match="read-only"):
            stored[...] = 0
    np.savez(tmp_path / "old.npz", **{**vars(graph), "format_version": 0})
    with pytest.raises(ConfigError, match="has format 0"):
        LaneGraph.load(tmp_path / "old.npz")
    np.savez(tmp_path / "other.npz", a=1)
    with pytest.raises(ConfigError, match="is no compiled map"):
        LaneGraph.load(tmp_path / "other.npz")
    (tmp_path / "text.npz").write_text("text")
    with pytest.raises(ConfigError, match="is no compiled map"):
        LaneGraph.load(tmp_path / "text.npz")
    with pytest.raises(ConfigError, match="There is no compiled map"):
        LaneGraph.load(tmp_path / "absent.npz")


def test_a_file_and_its_text_compile_to_the_same(tmp_path):
    text = document(*crossing())
    (tmp_path / "a.xodr").write_text(text)
    (tmp_path / "a.xodr.xz").write_bytes(lzma.compress(text.encode()))
    wanted = compile_text(text)
    for name in ("a.xodr", "a.xodr.xz"):
        graph = compile_map(tmp_path / name)
        for field, column in vars(wanted).items():
            np.testing.assert_array_equal(getattr(graph, field), column)
