"""`rewardloom branching`: trains an agent that branches."""

from __future__ import annotations

import argparse
import dataclasses
import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rewardloom.baselines.commands.arguments import settings
from rewardloom.errors import ConfigError, refuse_unknown, unknown_name

__all__ = ["LEARNERS", "add_parser", "run"]

LEARNERS = {
    "imitation": "rewardloom.baselines.branching.imitation",
    "reinforce": "rewardloom.baselines.branching.reinforce",
    "revived": "rewardloom.baselines.branching.revived.learner",
}
"""Learner -> module with `train(config, log)`, whose `config` is a frozen dataclass."""

_EXAMPLE = "rewardloom branching imitation --family set_cover --size tiny --out runs/imitation-0"
_OF_FLAGS = {"seed": "--seed N", "world_kwargs": "--family, --size and --world-set KEY=VALUE"}


def add_parser(subparsers: Any) -> None:
    """Add `branching` to the command line."""
    parser = subparsers.add_parser(
        "branching",
        help="train an agent that chooses what SCIP branches on",
        description="Train an agent on the world MilpBranching and write its folder: agent.json, "
        "agent.pt, config.json and log.csv. Score it with rewardloom evaluate --instances.",
        epilog=f"Example: {_EXAMPLE}",
    )
    add = parser.add_argument
    add("learner", metavar="LEARNER", help=", ".join(LEARNERS))
    add("--family", metavar="NAME", help="of the generated instances (set_cover)")
    add("--size", metavar="NAME", help="tiny, train or transfer (tiny)")
    add("--world-set", action="append", default=[], metavar="KEY=VALUE",
        help="any other argument of the world, such as preset=gasse; repeatable")  # fmt: skip
    add("--set", action="append", default=[], metavar="KEY=VALUE",
        help="a field of the learner's config, such as learning_rate=1e-3; repeatable")  # fmt: skip
    add("--seed", type=int, default=0, metavar="N", help="0")
    add("--out", metavar="DIR", help="folder of the new agent")
    add("--overwrite", action="store_true", help="replace an agent in --out")
    add("--no-progress", action="store_true", help="show no progress")


def run(args: argparse.Namespace) -> int:
    """Train, and say where the agent lies."""
    if args.learner not in LEARNERS:
        raise ConfigError(unknown_name("learner", args.learner, LEARNERS))
    if not args.out:
        raise ConfigError(f"Give the folder of the agent: --out DIR. Example: {_EXAMPLE}")
    given = settings(args.set, where="in --set")
    for name, flag in _OF_FLAGS.items():
        if name in given:
            raise ConfigError(f"--set {name}=... is given by {flag}.")
    world = settings(args.world_set, where="in --world-set")
    for name in ("family", "size"):
        if getattr(args, name) is not None:
            if name in world:
                raise ConfigError(f"{name!r} is given twice: by --{name} and in --world-set.")
            world[name] = getattr(args, name)
    module = importlib.import_module(LEARNERS[args.learner])
    config = _make_config(module.train, {**given, "seed": args.seed, "world_kwargs": world})

    from rewardloom.baselines.branching.training import train_into
    from rewardloom.baselines.training.devices import checked_device

    checked_device(config.device)

    train_into(
        Path(args.out),
        args.learner,
        config,
        module.train,
        overwrite=args.overwrite,
        progress=not args.no_progress,
    )
    print(f"Written: {args.out}. Score it with: rewardloom evaluate {args.out} --instances SET")
    return 0


def _make_config(train: Callable[..., Any], given: dict[str, Any]) -> Any:
    """Return the config that `train` takes, from what was given."""
    kind = train.__globals__[train.__annotations__["config"]]
    fields = [field.name for field in dataclasses.fields(kind)]
    refuse_unknown(given, fields, kind="setting", where=f"of {kind.__name__}")
    try:
        return kind(**given)
    except TypeError as error:
        raise ConfigError(f"A setting of {kind.__name__} is of the wrong type: {error}") from error
