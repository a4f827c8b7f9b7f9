"""The command `rewardloom`.

Every subcommand is a module of `rewardloom.baselines.commands` with `add_parser(subparsers)` and
`run(args) -> int`; none of them loads torch before it runs. Errors that a user can mend are one
line on standard error and exit status 2 (a wrong setting), 1 (the run failed) or 130 (Ctrl-C).
"""

from __future__ import annotations

import argparse
import difflib
import importlib
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import Any, NoReturn

import gymnasium as gym

import rewardloom
from rewardloom.errors import RunError, unknown_name

__all__ = ["COMMANDS", "main"]

COMMANDS = ("train", "evaluate", "compare", "branching", "envs", "doctor")

_FROM_EXTRA = ("torch", "stable_baselines3", "sb3_contrib", "tensorboard", "rich", "matplotlib")


class _Parser(argparse.ArgumentParser):
    """Reports an error as one line, without the usage; flags are never abbreviated."""

    def __init__(self, **kwargs: Any):
        super().__init__(**{"allow_abbrev": False, **kwargs})

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: error: {message}\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit status.

    Args:
        argv: Arguments without the program's name; None takes those of the process.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    if "" not in sys.path:  # as python -m does, so that the user's own modules are found
        sys.path.insert(0, "")
    command = next((word for word in arguments if not word.startswith("-")), None)
    prog = "rewardloom" if command not in COMMANDS else f"rewardloom {command}"
    try:
        if command is not None and command not in COMMANDS:
            return _fail(prog, unknown_name("command", command, COMMANDS), 2)
        modules = {name: _module(name) for name in COMMANDS}
        args = _parse(modules, arguments)
        if args.command is None:
            _parser(modules).print_help()
            return 0
        return modules[args.command].run(args)
    except SystemExit as end:  # argparse: --help, --version or an error it has reported
        return end.code if isinstance(end.code, int) else 1
    except KeyboardInterrupt:
        return _fail(prog, "stopped by Ctrl-C.", 130)
    except (RunError, OSError) as error:
        return _fail(prog, str(error), 1)
    except gym.error.Error as error:
        return _fail(prog, str(error), 2)
    except ImportError as error:
        if (error.name or "").partition(".")[0] not in _FROM_EXTRA:
            raise
        message = f"{error.name} is not installed. Run: pip install 'rewardloom[baselines]'"
        return _fail(prog, message, 2)


def _module(name: str) -> ModuleType:
    return importlib.import_module(f"rewardloom.baselines.commands.{name}")


def _parser(modules: dict[str, ModuleType]) -> _Parser:
    parser = _Parser(
        prog="rewardloom",
        description="Worlds whose reward is the hard part: train agents on them and compare "
        "reward designs.",
    )
    parser.add_argument(
        "--version", action="version", version=f"rewardloom {rewardloom.__version__}"
    )
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND", parser_class=_Parser)
    for module in modules.values():
        module.add_parser(subparsers)
    return parser


def _parse(modules: dict[str, ModuleType], arguments: list[str]) -> argparse.Namespace:
    """Parse, and name the nearest flag where one does not exist."""
    parser = _parser(modules)
    args, unknown = parser.parse_known_args(arguments)
    if unknown:
        prog = f"rewardloom {args.command}" if args.command else "rewardloom"
        parser.exit(2, f"{prog}: error: {_unknown_argument(parser, args.command, unknown[0])}\n")
    return args


def _unknown_argument(parser: _Parser, command: str | None, given: str) -> str:
    if not given.startswith("-"):
        return f"Unexpected argument {given!r}."
    flags = [flag for flag in _flags(parser, command) if flag.startswith("--")]
    near = difflib.get_close_matches(given.partition("=")[0], flags, n=1, cutoff=0.5)
    hint = f" Did you mean {near[0]}?" if near else ""
    return f"Unknown flag {given.partition('=')[0]!r}.{hint} Known: {', '.join(flags)}."


def _flags(parser: _Parser, command: str | None) -> list[str]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction) and command is not None:
            return list(action.choices[command]._option_string_actions)
    return list(parser._option_string_actions)


def _fail(prog: str, message: str, status: int) -> int:
    print(f"{prog}: error: {' '.join(message.split())}", file=sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(main())
