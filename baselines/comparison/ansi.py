"""Turns terminal text into HTML: colors and bold of the SGR escape sequences, nothing else.

- `ansi_to_html`: one frame.
"""

from __future__ import annotations

import html
import re

__all__ = ["ansi_to_html"]

_ESCAPE = re.compile(r"\x1b\[([0-9;?]*)([A-Za-z])")


def ansi_to_html(text: str) -> str:
    """Return text as HTML spans with the classes `c0` to `c15`, `bold` and `inverse`.

    Sequences that move the cursor are dropped.
    """
    parts: list[str] = []
    color: int | None = None
    bold = inverse = False
    position = 0
    for match in [*_ESCAPE.finditer(text), None]:
        end = len(text) if match is None else match.start()
        if end > position:
            parts.append(_span(text[position:end], color, bold, inverse))
        if match is None:
            break
        position = match.end()
        if match[2] != "m":
            continue
        for code in (int(code or 0) for code in match[1].split(";")):
            if code == 0:
                color, bold, inverse = None, False, False
            elif code in (1, 22):
                bold = code == 1
            elif code in (7, 27):
                inverse = code == 7
            elif 30 <= code <= 37:
                color = code - 30
            elif 90 <= code <= 97:
                color = code - 82
            elif code == 39:
                color = None
    return "".join(parts)


def _span(text: str, color: int | None, bold: bool, inverse: bool) -> str:
    if color is not None and bold and color < 8:
        color += 8  # terminals show bold colors bright
    classes = [f"c{color}"] if color is not None else []
    classes += ["bold"] if bold else []
    classes += ["inverse"] if inverse else []
    escaped = html.escape(text, quote=False)
    return f'<span class="{" ".join(classes)}">{escaped}</span>' if classes else escaped
