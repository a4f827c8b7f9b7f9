"""`rewardloom evaluate`: scores trained agents.

Without --instances, a run on its own world without reward designs; with it, agents that branch and
SCIP's own rules on mixed-integer programs.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from rewardloom.baselines.training.folder import write_json
from rewardloom.errors import ConfigError

__all__ = ["add_parser", "run"]

_EXAMPLE = (
    "rewardloom evaluate --group imitation=runs/imitation-* --rules pscost,relpscost "
    "--instances set_cover:tiny:20 --out results/set_cover"
)
_OF_RUNS = {"episodes": 20, "seed": 0, "deterministic": False, "device": "cpu"}
_OF_BRANCHING = {
    "rules": "",
    "group": (),
    "solver_seeds": 5,
    "preset": "light",
    "node_selection": "estimate",
    "node_limit": None,
    "time_limit": None,
    "reference": "random",
    "jobs": 1,
}


def add_parser(subparsers: Any) -> None:
    """Add `evaluate` to the command line."""
    parser = subparsers.add_parser(
        "evaluate",
        help="score a trained agent on its world, or branching policies on instances",
        description="Play a run's agent on its world without reward designs and print the result. "
        "With --instances: compare agents that branch, and SCIP's rules, on mixed-integer programs "
        "with the same seeds of the solver; random branching is always among them.",
        epilog=f"Example: {_EXAMPLE}",
    )
    parser.add_argument("run", nargs="*", metavar="RUN",
        help="a run's folder, or a model.zip inside one; with --instances any number of folders "
        "of agents that branch")  # fmt: skip
    parser.add_argument("--out", metavar="PATH",
        help="write the full result there: JSON; with --instances, a folder")  # fmt: skip
    runs = parser.add_argument_group("a run on its own world")
    # Defaults are in the tables above, so that a flag of the other kind can be told.
    runs.add_argument("--episodes", type=int, metavar="N", help="20")
    runs.add_argument("--seed", type=int, metavar="N", help="0")
    runs.add_argument("--deterministic", action="store_true", default=None,
        help="take the best action only")  # fmt: skip
    runs.add_argument("--device", metavar="NAME", help="cpu")
    _add_branching(parser.add_argument_group("policies that branch"))


def _add_branching(group: Any) -> None:
    add = group.add_argument
    add("--instances", action="append", metavar="SET",
        help="FAMILY:SIZE:COUNT[:SEED], a folder or a file; repeatable")  # fmt: skip
    add("--rules", metavar="NAME,...",
        help="SCIP's own: relpscost, pscost, fullstrong, vanillafullstrong, mostinf")  # fmt: skip
    add("--group", action="append", metavar="NAME=DIR,...",
        help="agents that differ in their training seed, as one policy; patterns such as "
        "runs/imitation-* are expanded; repeatable")  # fmt: skip
    add("--solver-seeds", type=int, metavar="N", help="searches of each instance (5)")
    add("--preset", metavar="NAME", help="SCIP's settings: gasse, light, pure, default (light)")
    add("--node-selection", metavar="NAME", help="estimate")
    add("--node-limit", type=int, metavar="N", help="nodes of a search (no limit)")
    add("--time-limit", type=float, metavar="S", help="solver's seconds of a search (no limit)")
    add("--reference", metavar="NAME", help="the policy that ratios are taken to (random)")
    add("--jobs", type=int, metavar="N", help="searches at the same time (1)")


def run(args: argparse.Namespace) -> int:
    """Evaluate and print the result."""
    if args.instances:
        _refuse(args, _OF_RUNS, "has no meaning with --instances")
        _fill(args, _OF_BRANCHING)
        return _compare_policies(args)
    _refuse(args, _OF_BRANCHING, "compares policies that branch; say on what with --instances SET")
    if len(args.run) != 1:
        raise ConfigError(
            "Give one RUN, the folder of a training run; or policies that branch and --instances, "
            f"for example: {_EXAMPLE}"
        )
    if (Path(args.run[0]) / "agent.json").is_file():
        raise ConfigError(
            f"{args.run[0]} holds an agent of `rewardloom branching`, scored on instances: "
            f"rewardloom evaluate {args.run[0]} --instances SET (FAMILY:SIZE:COUNT, a folder or a "
            "file)."
        )
    _fill(args, _OF_RUNS)
    return _evaluate_run(args)


def _refuse(args: argparse.Namespace, flags: Iterable[str], why: str) -> None:
    for name in flags:
        if getattr(args, name) is not None:
            raise ConfigError(f"--{name.replace('_', '-')} {why}.")


def _fill(args: argparse.Namespace, defaults: Mapping[str, Any]) -> None:
    for name, default in defaults.items():
        if getattr(args, name) is None:
            setattr(args, name, default)


def _evaluate_run(args: argparse.Namespace) -> int:
    from rewardloom.baselines.training.evaluation import evaluate

    result = evaluate(
        args.run[0],
        episodes=args.episodes,
        seed=args.seed,
        deterministic=args.deterministic,
        device=args.device,
    )
    if args.out:
        write_json(Path(args.out), result)
    print(json.dumps(_without_values(result), indent=2))
    return 0


def _compare_policies(args: argparse.Namespace) -> int:
    from rewardloom.baselines.branching.comparison import compare_policies

    compare_policies(
        agents=args.run,
        groups=args.group,
        rules=[rule for rule in args.rules.split(",") if rule],
        instances=args.instances,
        solver_seeds=args.solver_seeds,
        jobs=args.jobs,
        reference=args.reference,
        preset=args.preset,
        node_selection=args.node_selection,
        node_limit=args.node_limit,
        time_limit=args.time_limit,
        out=args.out,
    )
    return 0


def _without_values(result: Any) -> Any:
    if not isinstance(result, dict):
        return result
    return {key: _without_values(value) for key, value in result.items() if key != "values"}
