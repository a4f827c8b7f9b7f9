"""Small OpenDRIVE documents for tests, put together from their parts as text."""

from rewardloom.envs.carla.maps import compile_text

STRAIGHT = "<line/>"


def lane(number, width=4.0, kind="driving", link="", marks="", widening=0.0):
    """Return one `<lane>`; `link` is the inside of its `<link>`."""
    widths = f'<width sOffset="0" a="{width}" b="{widening}" c="0" d="0"/>' if number else ""
    return f'<lane id="{number}" type="{kind}"><link>{link}</link>{widths}{marks}</lane>'


def mark(kind, change=None, offset=0):
    """Return one `<roadMark>`."""
    allowed = f' laneChange="{change}"' if change else ""
    return f'<roadMark sOffset="{offset}" type="{kind}"{allowed}/>'


def section(left="", right="", s=0.0, centre=""):
    """Return one `<laneSection>`."""
    return (
        f'<laneSection s="{s}"><left>{left}</left><center>{lane(0, marks=centre)}</center>'
        f"<right>{right}</right></laneSection>"
    )


def road(
    number,
    sections,
    *,
    length=20.0,
    at=(0.0, 0.0, 0.0),
    shape=STRAIGHT,
    junction=-1,
    link="",
    inside="",
    offset=0.0,
    rule="RHT",
):
    """Return one `<road>` of a single geometry; `inside` goes in as it is."""
    x, y, heading = at
    return (
        f'<road id="{number}" length="{length}" junction="{junction}" rule="{rule}">'
        f"<link>{link}</link><planView>"
        f'<geometry s="0" x="{x}" y="{y}" hdg="{heading}" length="{length}">{shape}</geometry>'
        f'</planView><lanes><laneOffset s="0" a="{offset}" b="0" c="0" d="0"/>{sections}</lanes>'
        f"{inside}</road>"
    )


def document(*parts):
    """Return a whole document."""
    return f"<OpenDRIVE>{''.join(parts)}</OpenDRIVE>"


def compiled(*parts, spacing=0.5):
    """Return the lane graph of a document with these parts."""
    return compile_text(document(*parts), spacing=spacing)


def lane_row(graph, road_id, lane_id, section_index=0):
    """Return the row of a lane."""
    found = (
        (graph.lane_road == road_id)
        & (graph.lane_id == lane_id)
        & (graph.lane_section == section_index)
    ).nonzero()[0]
    assert found.size == 1
    return int(found[0])


def points_of(graph, road_id, lane_id, section_index=0):
    """Return the slice of a lane's points."""
    row = lane_row(graph, road_id, lane_id, section_index)
    return slice(int(graph.lane_first[row]), int(graph.lane_first[row + 1]))


def crossing():
    """Return a junction (9): road 1 drives east into road 2 inside it and on into road 3.

    Light 50 stands for lane -1 of road 2 one metre in; controller 70 switches it. Roads 1 and 3
    have a lane each way; both ways lead through the junction. Road 1 has a limit of 36 km/h.
    """
    both = (
        lane(1, link='<predecessor id="1"/><successor id="1"/>'),
        lane(-1, link='<predecessor id="-1"/><successor id="-1"/>'),
    )
    lights = (
        '<signals><signal id="50" type="1000001" s="1" t="-4" orientation="+">'
        '<validity fromLane="-1" toLane="-1"/></signal></signals>'
    )
    return (
        road(
            1,
            section(lane(1), lane(-1)),
            link='<successor elementType="junction" elementId="9"/>',
            inside='<type s="0"><speed max="36" unit="km/h"/></type>',
        ),
        road(
            2,
            section(*both),
            length=10.0,
            at=(20.0, 0.0, 0.0),
            junction=9,
            link='<predecessor elementType="road" elementId="1" contactPoint="end"/>'
            '<successor elementType="road" elementId="3" contactPoint="start"/>',
            inside=lights,
        ),
        road(
            3,
            section(lane(1), lane(-1)),
            at=(30.0, 0.0, 0.0),
            link='<predecessor elementType="junction" elementId="9"/>',
        ),
        '<controller id="70"><control signalId="50"/></controller>',
        '<junction id="9"><connection id="0" incomingRoad="1" connectingRoad="2" '
        'contactPoint="start"><laneLink from="-1" to="-1"/></connection>'
        '<connection id="1" incomingRoad="3" connectingRoad="2" contactPoint="end">'
        '<laneLink from="1" to="1"/></connection><controller id="70" sequence="2"/></junction>',
    )
