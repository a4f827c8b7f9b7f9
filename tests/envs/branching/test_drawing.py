"""Pictures of search trees: what they show, where, and what they refuse; trees as text by hand."""

import subprocess
import sys

import numpy as np
import pytest
from branching_trees import decision, random_table, table

from rewardloom.envs.branching.drawing import draw_tree, draw_trees, tree_text
from rewardloom.envs.branching.tree import BRANCHED, CUT_OFF, FEASIBLE
from rewardloom.errors import ConfigError, MissingDependency

pytest.importorskip("matplotlib")

ORANGE, GREEN = (213, 94, 0), (0, 158, 115)  # the waiting node and its path; feasible nodes
ROOT = (1, 0, 0, BRANCHED, None, 5.0)
SMALL = [
    ROOT,
    (3, 1, 1, BRANCHED, "cost", 6.0),
    (4, 3, -1, FEASIBLE, "b", 7.25),
    (2, 1, -1, CUT_OFF, "cost", np.inf),
]


def pixels_of(image, color, tolerance=12):
    """Return the places (y, x) of a color above the key at the foot of the picture."""
    near = np.abs(image[:-34].astype(int) - color).max(axis=-1) <= tolerance
    return np.argwhere(near)


def colored(image):
    """Return the number of pixels of the tree that are not white, black or grey."""
    part = image[70:-34].astype(int)
    return int((np.ptp(part, axis=-1) > 40).sum())


@pytest.mark.parametrize("size", [(480, 720), (333, 517), (160, 240), (961, 1441)])
def test_pictures_have_the_size_that_is_asked_for(size):
    for image in (draw_tree(table(SMALL), size=size), draw_trees([("a", table(SMALL))], size=size)):
        assert (image.shape, image.dtype) == ((*size, 3), np.uint8)
        assert image.flags.c_contiguous
        assert tuple(image[0, 0]) == tuple(image[-1, -1]) == (255, 255, 255)


def test_a_scale_draws_the_same_picture_larger():
    once = draw_tree(table(SMALL), heading="h")
    twice = draw_tree(table(SMALL), heading="h", size=(960, 1440), scale=2)
    smaller = twice.reshape(480, 2, 720, 2, 3).mean(axis=(1, 3))
    assert np.abs(smaller - once).mean() < 1.5


@pytest.mark.parametrize("nodes", [1, 5, 60, 1000])
def test_equal_trees_give_equal_bytes(nodes):
    first, second = (random_table(np.random.default_rng(3), nodes) for _ in range(2))
    assert np.array_equal(draw_tree(first, heading="h"), draw_tree(second, heading="h"))
    assert np.array_equal(draw_trees([("a", first)]), draw_trees([("a", second)]))


@pytest.mark.parametrize(
    "change",
    [
        {3: (2, 1, -1, FEASIBLE, "cost", 9.0)},
        {1: (3, 1, 1, BRANCHED, "cost", 5.5)},
        {2: (4, 3, 1, FEASIBLE, "b", 7.25)},
        {1: (3, 1, 1, BRANCHED, "size", 6.0), 3: (2, 1, -1, CUT_OFF, "size", np.inf)},
    ],
    ids=["outcome", "bound", "side", "variable"],
)
def test_another_tree_is_another_picture(change):
    other = [change.get(index, row) for index, row in enumerate(SMALL)]
    assert not np.array_equal(draw_tree(table(SMALL)), draw_tree(table(other)))


def test_the_heading_is_drawn():
    assert not np.array_equal(
        draw_tree(table(SMALL), heading="first"), draw_tree(table(SMALL), heading="other")
    )


def test_a_long_heading_ends_before_the_scale_of_bounds():
    long, longer = (draw_tree(table(SMALL), heading="n" * letters) for letters in (200, 300))
    assert np.array_equal(long, longer)
    assert (long[8:28, 604:624] == 255).all()


def test_the_waiting_node_and_the_path_to_it_are_marked():
    rows = [ROOT, (2, 1, -1, BRANCHED, "a", 6.0), (3, 1, 1, CUT_OFF, "a", np.inf)]
    assert not len(pixels_of(draw_tree(table(rows)), ORANGE))
    places = []
    for side in (-1, 1):
        waiting = decision(node=4, parent=2, depth=2, side=side, lower_bound=7.0)
        places.append(pixels_of(draw_tree(table(rows), current=waiting), ORANGE))
    left, right = places
    # The path goes down from the root at the left of the middle to the node at the bottom.
    assert np.ptp(left[:, 0]) > 130
    assert np.ptp(right[:, 0]) > 130
    assert left[left[:, 0].argmax(), 1] < right[right[:, 0].argmax(), 1] - 50


def test_a_root_that_waits_is_drawn_in_the_middle():
    waiting = decision(node=1, parent=0, depth=0, side=0, lower_bound=2.0)
    ring = pixels_of(draw_tree(table([]), current=waiting), ORANGE)
    assert abs(ring[:, 1].mean() - (44 + 702) / 2) < 3
    assert np.ptp(ring[:, 1]) == pytest.approx(np.ptp(ring[:, 0]), abs=1)


def test_feasible_nodes_are_green_and_nothing_else_is():
    with_one = draw_tree(table(SMALL))
    without = draw_tree(table([*SMALL[:2], (4, 3, -1, CUT_OFF, "b", np.inf), SMALL[3]]))
    assert len(pixels_of(with_one, GREEN)) > 40
    assert not len(pixels_of(without, GREEN))


def test_higher_bounds_are_darker():
    def lightness(bound):
        rows = [ROOT, (2, 1, -1, BRANCHED, "a", bound), (3, 1, 1, BRANCHED, "a", 10.0)]
        image = draw_tree(table(rows)).astype(int)
        row = image[80 + 78, : 720 // 2]  # through the child on the left
        blue = row[np.ptp(row, axis=1) > 40]
        return np.median(blue.sum(axis=1))

    assert lightness(5.0) > lightness(7.0) > lightness(10.0)


@pytest.mark.parametrize("bound", [np.inf, 1e20, -1e20, np.nan])
def test_bounds_that_are_not_finite_leave_the_scale_to_the_others(bound):
    rows = [ROOT, (2, 1, -1, BRANCHED, "a", 6.0), (3, 1, 1, CUT_OFF, "a", bound)]
    finite = [*rows[:2], (3, 1, 1, CUT_OFF, "a", np.inf)]
    for draw in (draw_tree, lambda tree: draw_trees([("a", tree)])):
        assert np.array_equal(draw(table(rows)), draw(table(finite)))


def test_an_infeasible_root_is_drawn_without_any_bound():
    tree = table([(1, 0, 0, CUT_OFF, None, np.inf)])
    empty = table([])
    assert not np.array_equal(draw_tree(tree), draw_tree(empty))
    assert not np.array_equal(draw_trees([("a", tree)]), draw_trees([("a", empty)]))


@pytest.mark.parametrize("value", [0.0, -3.5, 1e9])
def test_equal_bounds_are_drawn(value):
    rows = [ROOT, (2, 1, -1, BRANCHED, "a", 0), (3, 1, 1, BRANCHED, "a", 0)]
    rows = [(*row[:5], value) for row in rows]
    for image in (draw_tree(table(rows)), draw_trees([("a", table(rows))])):
        assert colored(image) > 60


def test_trees_beside_each_other_share_bounds_and_width_of_leaves():
    """A feasible node stands as high in either tree as its bound says."""
    one = table([ROOT, (2, 1, -1, FEASIBLE, "a", 6.0), (3, 1, 1, CUT_OFF, "a", np.inf)])
    two = table([ROOT, (2, 1, -1, FEASIBLE, "a", 8.0), (3, 1, 1, CUT_OFF, "a", np.inf)])
    image = draw_trees([("one", one), ("two", two)], size=(480, 800))
    green = pixels_of(image, GREEN)
    left, right = (green[(green[:, 1] > 400) == half] for half in (False, True))
    box_top, box_height = 108, 480 - 108 - 42 - 18
    assert left[:, 0].mean() == pytest.approx(box_top + box_height / 3, abs=3)
    assert right[:, 0].mean() == pytest.approx(box_top + box_height, abs=3)


def test_the_larger_tree_is_the_wider_one():
    large, small = (random_table(np.random.default_rng(3), nodes) for nodes in (300, 20))
    image = draw_trees([("large", large), ("small", small)])
    columns = np.flatnonzero((np.ptp(image[110:-40].astype(int), axis=-1) > 40).any(axis=0))
    gaps = np.diff(columns)
    split = columns[gaps.argmax()]
    assert split - columns[0] > 3 * (columns[-1] - columns[columns > split][0])


@pytest.mark.parametrize("sizes", [(300, 1), (1, 300), (300, 1, 1), (1, 1, 1, 1), (1,)])
def test_titles_have_room_beside_trees_of_any_size(sizes):
    """The titles of all trees are there and end before the next one begins, or the picture does."""
    trees = [random_table(np.random.default_rng(3), nodes) for nodes in sizes]
    image = draw_trees([("n" * 22, tree) for tree in trees], size=(400, 1080))
    dark = (image[58:70] < 90).all(axis=(2,)).any(axis=0)
    starts = np.flatnonzero(dark[1:] & ~dark[:-1])
    wide_gaps = (np.diff(starts) > 30).sum()
    assert wide_gaps == len(sizes) - 1
    assert not dark[-12:].any()


def test_pictures_refuse_what_has_no_room():
    for size in ((100, 720), (480, 100)):
        with pytest.raises(ConfigError, match="no room for a tree"):
            draw_tree(table(SMALL), size=size)
    for scale in (0.0, -1.0, 10.0, float("nan")):
        with pytest.raises(ConfigError, match="no room for a tree"):
            draw_trees([("a", table(SMALL))], scale=scale)
    with pytest.raises(ConfigError, match="at least one"):
        draw_trees([])


def test_long_names_and_dollar_signs_are_drawn_as_they_are():
    name = "$y_{$_and_more"  # not a formula, were it read as one
    rows = [ROOT, (2, 1, -1, CUT_OFF, name, np.inf), (3, 1, 1, CUT_OFF, name, np.inf)]
    assert draw_tree(table(rows), heading="$x^{$").shape == (480, 720, 3)


def test_missing_matplotlib_names_the_command(monkeypatch):
    monkeypatch.delitem(sys.modules, "rewardloom.envs.branching.marks", raising=False)
    monkeypatch.delattr("rewardloom.envs.branching.marks", raising=False)
    for name in [name for name in sys.modules if name.partition(".")[0] == "matplotlib"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingDependency, match=r'pip install "rewardloom\[milp\]"'):
        draw_tree(table(SMALL))
    assert "cost >=" in tree_text(table(SMALL))


def test_importing_the_module_does_not_import_matplotlib():
    code = (
        "import sys, rewardloom.envs.branching.drawing as d; sys.exit('matplotlib' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_drawing_leaves_the_settings_of_matplotlib_alone():
    import matplotlib

    before = dict(matplotlib.rcParams)
    draw_tree(table(SMALL))
    assert dict(matplotlib.rcParams) == before


def test_text_of_a_finished_tree_by_hand():
    assert tree_text(table(SMALL), heading="tiny").splitlines() == [
        "tiny",
        "4 nodes: 2 branched, 1 feasible, 1 cut off; deepest 2",
        "best feasible node 7.25",
        "",
        "last nodes:",
        "    node  depth  branching               bound  outcome",
        "       1      0  -                           5  branched",
        "       3      1  cost >= 1                   6  branched",
        "       4      2  b <= 0                   7.25  feasible",
        "       2      1  cost <= 0                 inf  cut off",
    ]


def test_text_of_a_waiting_search_by_hand():
    waiting = decision(node=5, parent=3, depth=2, side=1, lower_bound=6.5, candidates=1)
    lines = tree_text(table(SMALL), current=waiting).splitlines()
    assert lines[:8] == [
        "4 nodes done (2 branched, 1 feasible, 1 cut off), 1 waiting; deepest 2",
        "dual bound 6.5, primal inf",
        "",
        "node 5 waits at depth 2, 1 candidate, lower bound 6.5; the path:",
        "    node  depth  branching               bound  outcome",
        "       1      0  -                           5  branched",
        "       3      1  cost >= 1                   6  branched",
        "       5      2  b >= 1                    6.5  waiting",
    ]


def test_text_before_the_first_node_is_processed():
    waiting = decision(node=1, parent=0, depth=0, side=0, lower_bound=2.0)
    lines = tree_text(table([]), current=waiting).splitlines()
    assert lines[0] == "0 nodes done, 1 waiting"
    assert lines[-1].split() == ["1", "0", "-", "2", "waiting"]


def test_text_leaves_the_middle_of_a_long_path_out():
    rows = [ROOT]
    rows += [(node, node - 1, 1, BRANCHED, "a", 5.0 + node) for node in range(2, 30)]
    waiting = decision(node=30, parent=29, depth=29, side=-1, lower_bound=99.0)
    lines = tree_text(table(rows), current=waiting).splitlines()
    path = lines[4 : lines.index("last nodes:") - 1]
    assert len(path) == 14
    assert [line.split()[0] for line in path[1:]] == ["1", "2", "...", *map(str, range(21, 31))]
    assert path[3].split() == ["...", "18", "more"]
    assert path[-1].split()[2:4] == ["?", "<="]  # nothing tells its variable
    assert [line.split()[0] for line in lines[-8:]] == [str(node) for node in range(22, 30)]


def test_a_branching_without_a_processed_child_is_named_in_text_and_picture():
    waiting = decision(node=2, parent=1, depth=1, side=1, lower_bound=6.0)
    known, other, unknown = (table([ROOT], how) for how in ({1: ("Y", 3)}, {1: ("Z", 3)}, None))
    assert "2      1  Y >= 4" in tree_text(known, current=waiting)
    assert "2      1  ? >=  " in tree_text(unknown, current=waiting)
    images = [draw_tree(tree, current=waiting) for tree in (known, other, unknown)]
    assert not np.array_equal(images[0], images[1])
    assert not np.array_equal(images[0], images[2])


def test_bounds_of_a_branching_are_drawn_unless_they_are_0_and_1():
    binary, three, four = (draw_tree(table([ROOT], {1: ("Y", split)})) for split in (0, 3, 4))
    for image in (three, four):
        assert (image[110:170] < 90).all(axis=-1).sum() > (binary[110:170] < 90).all(axis=-1).sum()
    assert not np.array_equal(three, four)
