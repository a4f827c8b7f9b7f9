"""`rewardloom evaluate`: scores a trained agent on the world without reward designs."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from rewardloom.baselines.training.folder import write_json

__all__ = ["add_parser", "run"]


def add_parser(subparsers: Any) -> None:
    """Add `evaluate` to the command line."""
    parser = subparsers.add_parser(
        "evaluate",
        help="score a trained agent on the world without designs",
        description="Play a run's agent on its world without reward designs; print the result.",
    )
    parser.add_argument("run", metavar="RUN", help="a run's folder, or a model.zip inside one")
    parser.add_argument("--episodes", type=int, default=20, metavar="N", help="20")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="0")
    parser.add_argument("--deterministic", action="store_true", help="take the best action only")
    parser.add_argument("--device", default="cpu", metavar="NAME", help="cpu")
    parser.add_argument("--out", metavar="FILE", help="write the full result there as JSON")


def run(args: argparse.Namespace) -> int:
    """Evaluate and print means as JSON; the single values go into --out."""
    from rewardloom.baselines.training.evaluation import evaluate

    result = evaluate(
        args.run,
        episodes=args.episodes,
        seed=args.seed,
        deterministic=args.deterministic,
        device=args.device,
    )
    if args.out:
        write_json(Path(args.out), result)
    print(json.dumps(_without_values(result), indent=2))
    return 0


def _without_values(result: Any) -> Any:
    if not isinstance(result, dict):
        return result
    return {key: _without_values(value) for key, value in result.items() if key != "values"}
