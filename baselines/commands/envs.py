"""`rewardloom envs`: lists the worlds and the reward designs."""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import re
from importlib import metadata
from itertools import groupby
from typing import Any, NamedTuple

from rewardloom.registration import NAMESPACE, WORLDS
from rewardloom.rewards.catalog import DESIGNS

__all__ = ["WorldRow", "add_parser", "run", "world_rows"]

_EXTRAS = {"branching": "milp"}
"""Folder of a world -> the extra that it needs, where the two have different names."""


class WorldRow(NamedTuple):
    """What a listing says about one world.

    Attributes:
        id: Its Gymnasium id.
        components: Names of its reward components; empty where they cannot be read without a
            package that is not installed.
        terminal: Those that mean something only at the last step.
        needs: "" if it needs nothing more than rewardloom; else the packages, and the command that
            installs them where they are missing.
    """

    id: str
    components: tuple[str, ...]
    terminal: tuple[str, ...]
    needs: str


def add_parser(subparsers: Any) -> None:
    """Add `envs` to the command line."""
    subparsers.add_parser(
        "envs",
        help="list the worlds and the reward designs",
        description="List the worlds with their reward components and the reward designs.",
    )


def run(args: argparse.Namespace) -> int:
    """Print two tables."""
    from rich.console import Console
    from rich.table import Table

    worlds = Table(title="Worlds", title_justify="left", show_lines=True)
    worlds.add_column("id", no_wrap=True)
    worlds.add_column("reward components (* at the last step)")
    worlds.add_column("needs")
    for (names, terminal, needs), rows in groupby(world_rows(), key=lambda row: row[1:]):
        marked = (f"{name}*" if name in terminal else name for name in names)
        worlds.add_row("\n".join(row.id for row in rows), ", ".join(marked), needs)
    designs = Table("name", "what it pays", "wrapper", title="Designs", title_justify="left")
    for name, entry in DESIGNS.items():
        designs.add_row(name, entry.summary, entry.wrapper)
    console = Console()
    console.print(worlds)
    console.print(designs)
    return 0


def world_rows() -> list[WorldRow]:
    """Return one row per registered world, without making any."""
    rows = []
    for name, (entry_point, _) in WORLDS.items():
        module, _, attribute = entry_point.partition(":")
        try:
            world = getattr(importlib.import_module(module), attribute)
        except ImportError:
            world = None
        rows.append(
            WorldRow(
                f"{NAMESPACE}/{name}",
                _names(world, "reward_components"),
                _names(world, "terminal_components"),
                _needs(_extra(module)),
            )
        )
    return rows


def _names(world: Any, attribute: str) -> tuple[str, ...]:
    found = getattr(world, attribute, ())
    return found if isinstance(found, tuple) else ()


def _extra(module: str) -> str:
    """Return the name of the extra that a world's module needs."""
    folder = module.split(".")[2]
    return _EXTRAS.get(folder, folder)


def _needs(extra: str) -> str:
    """Return what an extra installs, by the package's own metadata."""
    try:
        requirements = metadata.requires("rewardloom") or []
    except metadata.PackageNotFoundError:
        return ""
    packages = [
        re.split(r"[^\w.-]", requirement, maxsplit=1)[0]
        for requirement in requirements
        if re.search(rf"extra == .{re.escape(extra)}.", requirement)
    ]
    if not packages:
        return ""
    missing = [name for name in packages if importlib.util.find_spec(name) is None]
    hint = f" (missing: pip install 'rewardloom[{extra}]')" if missing else ""
    return ", ".join(packages) + hint
