"""Routes on small maps, worked by hand."""

import math

import numpy as np
import pytest
from opendrive import compiled, crossing, lane, lane_row, mark, road, section

from rewardloom.envs.carla.maps import Router, read_routes
from rewardloom.errors import ConfigError

LINKED = '<predecessor id="-1"/><successor id="-1"/>'


def chain(number, at, length, before=None, after=None, shape="<line/>"):
    """Return a one-lane road whose reference line is the lane's centre, linked to others."""
    link = "".join(
        f'<{side} elementType="road" elementId="{other}" contactPoint="{end}"/>'
        for side, other, end in (("predecessor", before, "end"), ("successor", after, "start"))
        if other
    )
    return road(
        number,
        section("", lane(-1, link=LINKED)),
        length=length,
        at=at,
        link=link,
        shape=shape,
        offset=2.0,
    )


@pytest.fixture(scope="module")
def ring():
    """A ring driven counter-clockwise: 40 m east, a half circle, 40 m west, a half circle."""
    half, bend = 10 * math.pi, '<arc curvature="0.1"/>'
    return compiled(
        chain(1, (0.0, 0.0, 0.0), 40.0, 4, 2),
        chain(2, (40.0, 0.0, 0.0), half, 1, 3, bend),
        chain(3, (40.0, 20.0, math.pi), 40.0, 2, 4),
        chain(4, (0.0, 20.0, math.pi), half, 3, 1, bend),
    )


@pytest.fixture(scope="module")
def parallel():
    """Two lanes 3 m apart along 100 m; changing to the right is allowed between 30 and 70 m."""
    marks = mark("solid") + mark("broken", "decrease", 30) + mark("solid", offset=70)
    return compiled(road(1, section("", lane(-1, 3.0, marks=marks) + lane(-2, 3.0)), length=100.0))


def test_a_route_runs_along_the_lanes(ring):
    path = Router(ring).through([[10.0, 0.5], [30.0, -20.0]])
    assert path.length == pytest.approx(30 + 10 * math.pi + 10, abs=0.01)
    np.testing.assert_allclose(path.xy[[0, 30, -1]], [[10, 0], [40, 0], [30, -20]], atol=1e-5)
    np.testing.assert_allclose(np.diff(path.distance)[:-1], 1.0)
    assert 0 < path.distance[-1] - path.distance[-2] <= 1
    np.testing.assert_allclose(path.yaw[:30], 0.0, atol=1e-6)
    bend = (path.distance > 30.5) & (path.distance < 61)
    np.testing.assert_allclose(path.yaw[bend], -(path.distance[bend] - 30) / 10, atol=1e-3)
    assert ring.lane_road[ring.lane[path.point]][[0, 29, 31, 60, 62]].tolist() == [1, 1, 2, 2, 3]


def test_a_place_behind_is_reached_all_the_way_round(ring):
    path = Router(ring).through([[10.0, 0.0], [8.0, 0.0]])
    assert path.length == pytest.approx(80 + 20 * math.pi - 2, abs=0.02)


def test_key_points_are_passed_in_order(ring):
    path = Router(ring).through([[10.0, 0.0], [20.0, 0.0], [15.0, 0.0]])
    assert path.length == pytest.approx(80 + 20 * math.pi + 5, abs=0.02)


def test_a_lane_is_changed_where_its_marking_allows(parallel):
    path = Router(parallel).through([[0.0, 1.5], [100.0, 4.5]])
    changing = (path.y > 1.5 + 1e-6) & (path.y < 4.5 - 1e-6)
    assert path.x[changing].min() >= 39
    assert path.x[changing].max() <= 61
    assert path.y[0] == pytest.approx(1.5)
    assert path.y[-1] == pytest.approx(4.5)
    assert (np.diff(path.y) >= -1e-9).all()
    np.testing.assert_allclose(path.yaw, 0.0)
    assert 100 < path.length < 101
    halfway = path.y > 3.0
    row = parallel.lane[path.point]
    assert set(row[~halfway]) == {lane_row(parallel, 1, -1)}
    assert set(row[halfway & (path.y > 3.1)]) == {lane_row(parallel, 1, -2)}


def test_a_lane_change_near_its_end_is_moved_to_where_it_is_allowed(parallel):
    path = Router(parallel).through([[60.0, 1.5], [100.0, 4.5]])
    assert path.y[path.x > 80].min() == pytest.approx(4.5)


def test_past_where_a_change_was_allowed_it_is_made_late(parallel):
    path = Router(parallel).through([[80.0, 1.5], [100.0, 4.5]])
    np.testing.assert_allclose(path.y[[0, -1]], [1.5, 4.5])
    assert path.length < 21


def test_a_change_that_no_marking_allows_is_no_way(parallel):
    with pytest.raises(ConfigError, match=r"No way leads from key point 0 .* to key point 1"):
        Router(parallel).through([[0.0, 4.5], [100.0, 1.5]])


def test_two_lanes_are_changed_one_after_the_other():
    marks = mark("broken", "both")
    lanes = "".join(lane(-number, 3.0, marks=marks) for number in (1, 2, 3))
    graph = compiled(road(1, section("", lanes), length=90.0))
    path = Router(graph).through([[0.0, 7.5], [90.0, 1.5]])
    np.testing.assert_allclose(path.y[[0, 45, -1]], [7.5, 4.5, 1.5], atol=1e-6)
    assert (np.diff(path.y) <= 1e-9).all()


def test_where_lanes_fork_the_one_that_leads_on_is_meant():
    """Roads 2 and 3 both begin at (20, 0); key point 1 lies on both, key point 2 on road 3."""
    forks = [
        f'<connection id="{n}" incomingRoad="1" connectingRoad="{n}" contactPoint="start">'
        '<laneLink from="-1" to="-1"/></connection>'
        for n in (2, 3)
    ]
    graph = compiled(
        road(
            1,
            section("", lane(-1)),
            link='<successor elementType="junction" elementId="9"/>',
            offset=2.0,
        ),
        *(
            road(n, section("", lane(-1)), at=(20.0, 0.0, turn), junction=9, offset=2.0)
            for n, turn in ((2, 0.0), (3, 0.3))
        ),
        f'<junction id="9">{"".join(forks)}</junction>',
    )
    end = [20 + 15 * math.cos(0.3), -15 * math.sin(0.3)]
    path = Router(graph).through([[0.0, 0.0], [21.0, -0.1], end])
    assert path.length == pytest.approx(35.0, abs=0.01)


def test_key_points_off_the_road_and_shapes_are_refused(ring):
    router = Router(ring)
    with pytest.raises(ConfigError, match=r"Key point 1 .* off the road: .* 10\.0 m away"):
        router.through([[10.0, 0.0], [20.0, -10.0]])
    with pytest.raises(ConfigError, match=r"Key point 0 .* off the road"):
        router.through([[math.nan, 0.0], [20.0, 0.0]])
    with pytest.raises(ConfigError, match="must not all lie at one place"):
        router.through([[10.0, 0.0], [10.0, 0.1]])
    for shape in ([[1.0, 2.0]], [1.0, 2.0], np.zeros((2, 3))):
        with pytest.raises(ConfigError, match=r"shape \(K >= 2, 2\)"):
            router.through(shape)


def test_random_drives_have_their_length_and_repeat(ring):
    router = Router(ring)
    path = router.random(np.random.default_rng(3), 500.0)
    again = router.random(np.random.default_rng(3), 500.0)
    other = router.random(np.random.default_rng(4), 500.0)
    assert 500 <= path.length <= 500.5 + 1e-6
    np.testing.assert_array_equal(path.xy, again.xy)
    assert (path.xy[0] != other.xy[0]).any()


def test_a_random_drive_turns_at_forks_and_starts_off_junctions():
    graph = compiled(*crossing())
    router, rng = Router(graph), np.random.default_rng(0)
    starts = {
        int(graph.lane_road[graph.lane[router.random(rng, 15.0).point[0]]]) for _ in range(40)
    }
    assert starts == {1, 3}
    with pytest.raises(ConfigError, match="No random drive of 60 m"):
        router.random(rng, 60.0)
    with pytest.raises(ConfigError, match="must be positive"):
        router.random(rng, 0.0)


ROUTES = """<routes><route id="7" town="Town02"><waypoints><position x="1" y="-2.5" z="0"/>
<position x="3" y="4" z="0.5"/></waypoints><scenarios><scenario name="A_1" type="A">
<trigger_point x="1" y="2" z="3" yaw="90"/></scenario></scenarios></route></routes>"""


def test_a_route_file_is_read(tmp_path):
    (tmp_path / "routes.xml").write_text(ROUTES)
    (task,) = read_routes(tmp_path / "routes.xml")
    assert (task.id, task.town) == (7, "Town02")
    assert task.key_points.tolist() == [[1.0, -2.5, 0.0], [3.0, 4.0, 0.5]]
    assert task.scenarios == (("A_1", "A", 1.0, 2.0, 3.0, 90.0),)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('town="Town02"', "", "route 7: the attribute 'town' is missing"),
        ('x="3"', 'x="three"', "<position> of route 7: x='three' is not a finite number"),
        ('<position x="3" y="4" z="0.5"/>', "", "route 7: it has 1 <position>"),
        ("trigger_point", "trigger", "route 7: it has no <trigger_point>"),
        ("<route ", "<way ", "not well-formed"),
        ("routes>", "OpenDRIVE>", "outermost element is <OpenDRIVE>, not <routes>"),
    ],
)
def test_a_broken_route_is_named(tmp_path, old, new, message):
    assert old in ROUTES
    file = tmp_path / "routes.xml"
    file.write_text(ROUTES.replace(old, new))
    with pytest.raises(ConfigError, match=message) as caught:
        read_routes(file)
    assert str(file) in str(caught.value)


def test_route_files_that_are_none_are_refused(tmp_path):
    with pytest.raises(ConfigError, match="There is no route file"):
        read_routes(tmp_path / "absent.xml")
    (tmp_path / "empty.xml").write_text("<routes/>")
    with pytest.raises(ConfigError, match="it has no <route>"):
        read_routes(tmp_path / "empty.xml")
    route = ROUTES.removeprefix("<routes>").removesuffix("</routes>")
    (tmp_path / "twice.xml").write_text(f"<routes>{route}{route}</routes>")
    with pytest.raises(ConfigError, match="route 7: this id is used twice"):
        read_routes(tmp_path / "twice.xml")
