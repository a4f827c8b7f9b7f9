"""Broken and foreign maps: one error that names the file and the element."""

import pytest
from opendrive import compiled, crossing, document, lane, road, section

from rewardloom.envs.carla.maps import compile_map, compile_text
from rewardloom.errors import ConfigError

GOOD = document(*crossing())


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('elementId="3"', 'elementId="33"', "<link> of road 2: there is no road 33"),
        ('connectingRoad="2"', 'connectingRoad="5"', "<connection> of junction 9: .* no road 5"),
        ('contactPoint="start"/>', 'contactPoint="top"/>', "<successor> of road 2: contactPoint="),
        ("<line/>", "<circle/>", "<geometry> of road 1 at s=0: it holds <circle>; known shapes"),
        ("<line/>", '<arc curvature="x"/>', "<arc> of road 1: curvature='x' is not a finite"),
        ("<line/>", "<arc/>", "<arc> of road 1: the attribute 'curvature' is missing"),
        ('id="1" length="20.0"', 'id="1" length="-2"', "road 1: its length -2 is not positive"),
        ('length="20.0"><line/>', 'length="0"><line/>', "<geometry> of road 1: its length 0"),
        ('road id="1"', 'road id="one"', "<road> of the map: id='one' is not a whole number"),
        ('road id="3"', 'road id="1"', "road 1: this id is used twice"),
        ("planView", "plainView", "road 1: it has no <planView>"),
        ('<laneSection s="0.0">', '<laneSection s="90">', "<laneSection> of road 1: their s"),
        ('lane id="-1"', 'lane id="-2"', "lane -2 of road 1 at s=0: there is no lane -1 beside"),
        ('lane id="-1"', 'lane id="1"', "lane 1 of road 1 at s=0: it stands under <right>"),
        ("<width", "<border", "lane 1 of road 1 at s=0: it has no <width>"),
        ('a="4.0"', 'a="nan"', "<width> of lane 1 of road 1 at s=0: a='nan' is not a finite"),
        ('unit="km/h"', 'unit="knots"', "<speed> of road 1: unit='knots' is none of"),
        ("</signals>", '<signalReference id="8"/></signals>', "of road 2: there is no signal 8"),
        ("<OpenDRIVE>", "<OpenDRIVE><", "is not well-formed XML"),
    ],
)
def test_a_broken_element_is_named(tmp_path, old, new, message):
    assert old in GOOD
    text = GOOD.replace(old, new)
    file = tmp_path / "town.xodr"
    file.write_text(text)
    with pytest.raises(ConfigError, match=message) as caught:
        compile_map(file)
    assert str(file) in str(caught.value)


def test_other_xml_and_maps_without_roads_are_refused():
    with pytest.raises(ConfigError, match="outermost element is <osm>"):
        compile_text("<osm/>")
    with pytest.raises(ConfigError, match="it has no <road>"):
        compile_text("<OpenDRIVE/>", name="empty")
    with pytest.raises(ConfigError, match="no road has a lane beside its centre"):
        compiled(road(1, section()))


def test_signals_and_crosswalks_that_make_no_sense_are_refused():
    def inside(text):
        return compiled(road(1, section("", lane(-1)), inside=text))

    sign = '<signals><signal id="6" type="274" s="1" t="0" value="3" unit="furlong"/></signals>'
    with pytest.raises(ConfigError, match="signal 6 of road 1: unit='furlong'"):
        inside(sign)
    with pytest.raises(ConfigError, match=r"road 1 \(id 6\): the attribute 'value' is missing"):
        inside('<signals><signal id="6" type="274" s="1" t="0"/></signals>')
    line = '<cornerLocal u="0" v="0"/><cornerLocal u="1" v="0"/>'
    with pytest.raises(ConfigError, match="a crosswalk of road 1: it has fewer than 3 corners"):
        inside(f'<objects><object id="1" type="crosswalk" s="1" t="0">{line}</object></objects>')


def test_files_that_are_no_maps_are_refused(tmp_path):
    with pytest.raises(ConfigError, match="There is no map file"):
        compile_map(tmp_path / "absent.xodr")
    (tmp_path / "a.osm").write_text("")
    with pytest.raises(ConfigError, match=r"does not end in \.xodr or \.xodr\.xz"):
        compile_map(tmp_path / "a.osm")
    (tmp_path / "a.xodr.xz").write_text("plain")
    with pytest.raises(ConfigError, match="cannot be unpacked"):
        compile_map(tmp_path / "a.xodr.xz")


@pytest.mark.parametrize("spacing", [0.0, -1.0, float("nan"), float("inf")])
def test_a_spacing_that_is_none_is_refused(spacing):
    with pytest.raises(ConfigError, match="spacing must be a positive number"):
        compiled(*crossing(), spacing=spacing)
