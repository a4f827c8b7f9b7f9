"""`rewardloom compare`: trains several arms over several seeds and writes one report."""

from __future__ import annotations

import argparse
import shlex
import signal
import sys
from typing import TYPE_CHECKING, Any

from rewardloom.baselines.commands.arguments import parse_setting, step_count
from rewardloom.baselines.commands.train import add_config_arguments, config_settings
from rewardloom.errors import ConfigError

if TYPE_CHECKING:
    from rewardloom.baselines.comparison.compare import CompareResult

__all__ = ["add_parser", "run"]

_EXAMPLE = (
    "rewardloom compare CartPole-v1 --arm plain --arm count=count:coef=0.1 --seeds 5 "
    "--steps 50000 --out runs/cartpole"
)
_INSTEAD = {"design": "--arm NAME=DESIGN+DESIGN", "seed": "--seeds N or --seeds 3,5,8"}


def add_parser(subparsers: Any) -> None:
    """Add `compare` to the command line."""
    parser = subparsers.add_parser(
        "compare",
        help="train several arms over several seeds, with one report",
        description="Train every arm once per seed in parallel processes, score all agents on the "
        "world without designs, and write report.html, report.png and results.csv.",
        epilog=f"Example: {_EXAMPLE}",
    )
    add = parser.add_argument
    add("world", nargs="?", help="Gymnasium id or pettingzoo:MODULE")
    add("--arm", action="append", metavar="NAME[=DESIGN+DESIGN]",
        help="an arm and its designs, each name:key=value,key=value; repeatable")  # fmt: skip
    add("--seeds", metavar="N", help="how many seeds, or a list such as 3,5,8 (2)")
    add("--jobs", type=int, metavar="N", help="runs at the same time (the number of cores)")
    add("--success-level", metavar="METRIC=LEVEL",
        help="time when training first reaches a level, e.g. raw_return=475")  # fmt: skip
    add_config_arguments(parser)
    for action in parser._actions:
        if action.dest in _INSTEAD:
            action.help = argparse.SUPPRESS
        elif action.dest == "config":
            action.help = "JSON with fields of CompareConfig; flags win over it"
    place = parser.add_mutually_exclusive_group()
    place.add_argument("--out", metavar="DIR", help="folder of the new comparison")
    place.add_argument("--resume", metavar="DIR", help="finish the comparison in this folder")
    place.add_argument("--report-only", metavar="DIR", help="write the report of DIR again")
    add("--overwrite", action="store_true", help="replace a comparison in --out")


def run(args: argparse.Namespace) -> int:
    """Compare and print the scores; 1 if a run failed, 130 or 143 when interrupted."""
    given = _settings(args)
    again = args.resume or args.report_only
    if again and (args.overwrite or set(given) - {"jobs"}):
        flag = "--resume" if args.resume else "--report-only"
        raise ConfigError(
            f"{flag} takes the settings from the folder; leave the others out: rewardloom compare "
            f"{flag} {again}"
        )
    if not again and not args.out:
        raise ConfigError("Give the folder of the comparison: --out DIR (new) or --resume DIR.")

    from rewardloom.baselines.comparison.compare import compare, make_report, read_comparison
    from rewardloom.baselines.comparison.config import CompareConfig

    if args.report_only:
        return _finish(make_report(args.report_only))
    if args.resume:
        config = read_comparison(args.resume)[0]
        config = CompareConfig.from_dict({**config.to_dict(), **given})
    else:
        for field, usage in (("world", "WORLD"), ("steps", "--steps N"), ("arms", "--arm NAME")):
            if field not in given:
                raise ConfigError(f"{usage} is missing. Example: {_EXAMPLE}")
        config = CompareConfig.from_dict(given)
    command = shlex.join(["rewardloom", *sys.argv[1:]])
    result = compare(
        config,
        args.resume or args.out,
        resume=bool(args.resume),
        overwrite=args.overwrite,
        command=command,
    )
    return _finish(result)


def _settings(args: argparse.Namespace) -> dict[str, Any]:
    """Return the fields of `CompareConfig` that the arguments give."""
    from rewardloom.baselines.comparison.config import parse_arm

    for field, instead in _INSTEAD.items():
        if getattr(args, field) is not None:
            raise ConfigError(f"compare takes {instead} in place of --{field}.")
    given = config_settings(args)
    if args.arm is not None:
        arms: dict[str, Any] = {}
        for text in args.arm:
            name, designs = parse_arm(text)
            if name in arms:
                raise ConfigError(f"Arm {name!r} is given twice.")
            arms[name] = designs
        given["arms"] = arms
    if args.seeds is not None:
        given["seeds"] = _seeds(args.seeds)
    if args.success_level is not None:
        metric, level = parse_setting(args.success_level, where="in --success-level")
        given["success_level"] = {"metric": metric, "level": level}
    if args.jobs is not None:
        given["jobs"] = args.jobs
    return given


def _seeds(text: str) -> int | list[int]:
    try:
        return [step_count(part) for part in text.split(",")] if "," in text else step_count(text)
    except ValueError:
        raise ConfigError(f"--seeds takes N or a list such as 3,5,8; got {text!r}.") from None


def _finish(result: CompareResult) -> int:
    for name, error in result.errors.items():
        print(f"{name} failed: {error}", file=sys.stderr)
    if result.signal_number is not None:
        name = signal.Signals(result.signal_number).name
        print(
            f"Stopped by {name}; nothing runs any more and what was trained is kept. Continue "
            f"with: rewardloom compare --resume {result.folder}",
            file=sys.stderr,
        )
        return 128 + result.signal_number
    from rich.console import Console

    from rewardloom.baselines.comparison.display import score_table

    Console().print(score_table(result.records))
    print(f"Report: {result.report}")
    return 1 if result.errors else 0
