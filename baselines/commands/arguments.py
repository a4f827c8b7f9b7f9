"""Reads the small languages of the command line: `NAME:key=value,key=value` and `key=value`.

- `parse_design`: a reward design with its arguments.
- `parse_wrapper`: a wrapper's import path with its arguments.
- `parse_setting`: one key and its value.
- `step_count`: a whole number that may be written 1e6 or 1_000_000.
"""

from __future__ import annotations

import json
from typing import Any

from rewardloom.errors import ConfigError

__all__ = ["parse_design", "parse_setting", "parse_wrapper", "settings", "step_count"]

_WORDS = {"True": True, "False": False, "None": None}
_OPEN, _CLOSE = "[{(", "]})"


def parse_design(text: str) -> dict[str, Any]:
    """Return {"design": name, key: value, ...} of "name:key=value,key=value".

    Values are JSON where they parse as JSON, so brackets, braces and quotes protect commas; other
    values are strings.

    Raises:
        ConfigError: no name, a part without "=", or a key given twice.
    """
    name, _, rest = text.partition(":")
    if not name.strip():
        raise ConfigError(f"A design is written NAME:key=value,key=value; got {text!r}.")
    return {"design": name.strip(), **_arguments(rest, where=f"in design {text!r}")}


def parse_wrapper(text: str) -> dict[str, Any]:
    """Return {"wrapper": "module:Class", key: value, ...} of "module:Class:key=value,key=value".

    Raises:
        ConfigError: no module or class, a part without "=", or a key given twice.
    """
    module, _, rest = text.partition(":")
    name, _, rest = rest.partition(":")
    if not module.strip() or not name.strip():
        raise ConfigError(f"A wrapper is written MODULE:CLASS:key=value,key=value; got {text!r}.")
    arguments = _arguments(rest, where=f"in wrapper {text!r}")
    return {"wrapper": f"{module.strip()}:{name.strip()}", **arguments}


def settings(parts: list[str], *, where: str) -> dict[str, Any]:
    """Return key -> value of several "key=value".

    Raises:
        ConfigError: a part without "=", or a key given twice.
    """
    found: dict[str, Any] = {}
    for part in parts:
        key, value = parse_setting(part, where=where)
        if key in found:
            raise ConfigError(f"{key!r} is given twice {where}.")
        found[key] = value
    return found


def parse_setting(text: str, *, where: str) -> tuple[str, Any]:
    """Return the key and the value of "key=value".

    Raises:
        ConfigError: there is no "=", or nothing before it.
    """
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise ConfigError(f"Expected key=value {where}, got {text!r}.")
    return key.strip(), _value(value.strip())


def step_count(text: str) -> int:
    """Return a whole number written 100000, 100_000 or 1e5; argparse reports a ValueError."""
    number = float(text)
    if not number.is_integer():
        raise ValueError(text)
    return int(number)


def _arguments(text: str, *, where: str) -> dict[str, Any]:
    return settings([part for part in _split(text) if part.strip()], where=where)


def _value(text: str) -> Any:
    if text in _WORDS:
        return _WORDS[text]
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text


def _split(text: str) -> list[str]:
    """Split at the commas outside brackets, braces, parentheses and double quotes."""
    parts, depth, quoted = [""], 0, False
    for character in text:
        quoted ^= character == '"'
        if not quoted:
            depth += (character in _OPEN) - (character in _CLOSE)
            if character == "," and depth <= 0:
                parts.append("")
                continue
        parts[-1] += character
    return parts
