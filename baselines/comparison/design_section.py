"""The section of the report in which learned designs speak for themselves.

- `diagnostic_panels`: one per number that a design gives.
- `design_section`: small panels over training, design by design, and their last values.
"""

from __future__ import annotations

import html
from collections.abc import Sequence
from itertools import groupby

from rewardloom.baselines.comparison.figures import COUNTS, Panel, curve_svg, is_constant, words
from rewardloom.baselines.comparison.results import DIAGNOSTIC, ArmResult, split_diagnostic
from rewardloom.baselines.comparison.sections import arm_heads, interval, table_row

__all__ = ["design_section", "diagnostic_panels"]

_NOTE = (
    "What each design measured of itself, over environment steps: mean over the arm's seeds, bands "
    "as above. A curve spans the steps at which every run of the arm has values; between two "
    "measurements it is a straight line. Numbers that never change, and counts of what is stored, "
    "are in the table only, which shows the last measurement of each run."
)


def diagnostic_panels(arms: Sequence[ArmResult]) -> list[Panel]:
    """Return the panels of all diagnostics, those of one design after each other."""
    columns = dict.fromkeys(
        column for arm in arms for column in arm.curves if column.startswith(DIAGNOSTIC)
    )
    found = [Panel(column, words(split_diagnostic(column)[1]), "") for column in columns]
    order = list(dict.fromkeys(split_diagnostic(panel.column)[0] for panel in found))
    return sorted(found, key=lambda panel: order.index(split_diagnostic(panel.column)[0]))


def design_section(arms: Sequence[ArmResult]) -> str:
    """Return the section as HTML, or nothing where no design learned anything."""
    panels = diagnostic_panels(arms)
    if not panels:
        return ""
    parts = [
        "<h2>What the designs say of themselves</h2>",
        f'<p class="small">{_NOTE}</p>',
    ]
    for design, group in groupby(panels, key=lambda panel: split_diagnostic(panel.column)[0]):
        shown = [panel for panel in group if _says_something(panel, arms)]
        if not shown:
            continue
        figures = "".join(
            f'<figure class="card"><h4>{html.escape(panel.title)}</h4>'
            f"{curve_svg(panel, arms, small=True)}</figure>"
            for panel in shown
        )
        parts.append(f'<h3>{html.escape(design)}</h3><div class="grid small-multiples">{figures}')
        parts.append("</div>")
    parts.append(f'<div class="card scroll" style="margin-top: 1rem">{_table(panels, arms)}</div>')
    return "".join(parts)


def _says_something(panel: Panel, arms: Sequence[ArmResult]) -> bool:
    return split_diagnostic(panel.column)[1] not in COUNTS and not is_constant(panel, arms)


def _table(panels: Sequence[Panel], arms: Sequence[ArmResult]) -> str:
    """Return the last values: diagnostics down, the arms that have any across."""
    columns = [panel.column for panel in panels]
    speaking = [i for i, arm in enumerate(arms) if any(c in arm.last for c in columns)]
    rows = []
    for panel in panels:
        design, key = split_diagnostic(panel.column)
        cells = [
            interval(arms[i].last[panel.column]) if panel.column in arms[i].last else "\u2013"
            for i in speaking
        ]
        rows.append(table_row(f"{design}: {words(key).lower()}", cells))
    return (
        f'<table><thead><tr><th scope="col">At the last measurement</th>'
        f"{arm_heads(arms, speaking)}</tr></thead><tbody>{''.join(rows)}</tbody></table>"
    )
