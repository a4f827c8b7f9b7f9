"""`rewardloom doctor`: says what works on this machine and what mends the rest."""

from __future__ import annotations

import argparse
from typing import Any

__all__ = ["add_parser", "run"]


def add_parser(subparsers: Any) -> None:
    """Add `doctor` to the command line."""
    parser = subparsers.add_parser(
        "doctor",
        help="say what works on this machine and what mends the rest",
        description="Check packages, devices and worlds; name the command that mends each of those "
        "that do not work. The exit status is 0 when the core works.",
    )
    parser.add_argument("--json", action="store_true", help="print JSON in place of a table")


def run(args: argparse.Namespace) -> int:
    """Print the findings."""
    from rewardloom.baselines.doctor import diagnose, print_json, print_table

    findings = diagnose()
    (print_json if args.json else print_table)(findings)
    return 1 if any(f.core and f.status != "works" for f in findings) else 0
