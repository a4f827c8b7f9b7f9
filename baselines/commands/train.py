"""`rewardloom train`: trains one agent, or continues a run."""

from __future__ import annotations

import argparse
import signal
from typing import TYPE_CHECKING, Any

from rewardloom.baselines.commands.arguments import (
    parse_design,
    parse_wrapper,
    settings,
    step_count,
)
from rewardloom.baselines.training.config import TrainConfig, read_settings
from rewardloom.baselines.training.folder import RunFolder
from rewardloom.errors import ConfigError

if TYPE_CHECKING:
    from rewardloom.baselines.training.run import RunResult

__all__ = ["add_config_arguments", "add_parser", "config_settings", "run"]

_PLAIN = ("world", "steps", "algo", "num_envs", "seed", "device", "torch_threads",
          "checkpoint_every", "keep_checkpoints", "eval_episodes",
          "eval_deterministic")  # fmt: skip


def add_parser(subparsers: Any) -> None:
    """Add `train` to the command line."""
    parser = subparsers.add_parser(
        "train",
        help="train one agent, or continue a run",
        description="Train PPO (MaskablePPO where the world has action masks) on a world under "
        "any chain of reward designs.",
    )
    parser.add_argument("world", nargs="?", help="Gymnasium id or pettingzoo:MODULE")
    add_config_arguments(parser)
    place = parser.add_mutually_exclusive_group()
    place.add_argument("--out", metavar="DIR", help="folder of the new run")
    place.add_argument("--resume", metavar="DIR", help="continue the run in this folder")
    parser.add_argument("--overwrite", action="store_true", help="replace a run in --out")
    parser.add_argument("--no-progress", action="store_true", help="show no progress")


def add_config_arguments(parser: argparse.ArgumentParser) -> None:
    """Add one argument per field of `TrainConfig` except the world; none has a default."""
    add = parser.add_argument
    add("--config", metavar="FILE", help="JSON with fields of TrainConfig; flags win over it")
    add("--design", action="append", metavar="NAME:KEY=VALUE,...",
        help="a reward design; repeat to chain them from the innermost outwards")  # fmt: skip
    add("--wrapper", action="append", metavar="MODULE:CLASS:KEY=VALUE,...",
        help="a wrapper of the world; repeat to chain them, the innermost first")  # fmt: skip
    add("--component", action="append", metavar="NAME=SOURCE",
        help="a reward component: info key, 'reward' or module:function; repeatable")  # fmt: skip
    add("--world-set", action="append", metavar="KEY=VALUE",
        help="a keyword argument of the world; repeatable")  # fmt: skip
    add("--set", action="append", metavar="KEY=VALUE",
        help="an argument of the algorithm, e.g. n_steps=128; repeatable")  # fmt: skip
    add("--steps", type=step_count, metavar="N", help="environment steps over all environments")
    add("--num-envs", type=int, metavar="N", help="environments stepped together (8)")
    add("--seed", type=int, metavar="N", help="0")
    add("--algo", metavar="NAME", help="auto, ppo or maskable_ppo (auto)")
    add("--device", metavar="NAME", help="auto, cpu, cuda, cuda:1, ... (auto)")
    add("--torch-threads", type=int, metavar="N", help="CPU threads of torch (1)")
    add("--checkpoint-every", type=step_count, metavar="N", help="steps (a tenth of --steps)")
    add("--keep-checkpoints", type=int, metavar="N", help="how many stay on disk (2)")
    add("--eval-episodes", type=int, metavar="N", help="episodes of the final evaluation (20)")
    add("--eval-deterministic", action="store_true", default=None,
        help="score the most probable actions instead of drawn ones")  # fmt: skip


def config_settings(args: argparse.Namespace) -> dict[str, Any]:
    """Return the fields of `TrainConfig` that the arguments give, those of --config included.

    Raises:
        ConfigError: an argument that cannot be read.
    """
    found = read_settings(args.config) if args.config else {}
    found |= {name: getattr(args, name) for name in _PLAIN if getattr(args, name) is not None}
    if args.design is not None:
        found["designs"] = [parse_design(text) for text in args.design]
    if args.wrapper is not None:
        found["wrappers"] = [parse_wrapper(text) for text in args.wrapper]
    for field, flag, parts in (
        ("world_kwargs", "--world-set", args.world_set),
        ("components", "--component", args.component),
        ("algo_kwargs", "--set", args.set),
    ):
        if parts is not None:
            found[field] = {**found.get(field, {}), **settings(parts, where=f"in {flag}")}
    return found


def run(args: argparse.Namespace) -> int:
    """Train and say where the result lies; 130 or 143 after Ctrl-C or SIGTERM."""
    given = config_settings(args)
    if args.resume:
        if given or args.overwrite:
            raise ConfigError(
                "--resume continues a run with its own settings; leave the others out: "
                f"rewardloom train --resume {args.resume}"
            )
        config, out = RunFolder(args.resume).read_config(), args.resume
    elif args.out:
        for field, usage in (("world", "WORLD"), ("steps", "--steps N")):
            if field not in given:
                raise ConfigError(
                    f"{usage} is missing. Example: rewardloom train CartPole-v1 --steps 50000 "
                    "--out runs/cartpole"
                )
        config, out = TrainConfig.from_dict(given), args.out
    else:
        raise ConfigError("Give the folder of the run: --out DIR (new) or --resume DIR.")

    from rewardloom.baselines.training.run import train

    try:
        result = train(
            config,
            out,
            resume=bool(args.resume),
            overwrite=args.overwrite,
            progress=not args.no_progress,
        )
    except KeyboardInterrupt:  # a second Ctrl-C, or one outside of training
        if RunFolder(out).exists:
            print(f"Stopped. Continue with: rewardloom train --resume {out}")
            return 130
        raise
    print(_report(result))
    if result.signal_number is None:
        return 0
    return 128 + result.signal_number


def _report(result: RunResult) -> str:
    path = result.folder.path
    if result.signal_number is not None:
        name = "Ctrl-C" if result.signal_number == signal.SIGINT else "SIGTERM"
        return (
            f"{name} at step {result.step:,}; the agent so far is {result.folder.model}. Continue "
            f"from step {result.resume_step:,} with: rewardloom train --resume {path}"
        )
    share = ", ".join(f"{part} {value:.0%}" for part, value in result.timing["share"].items())
    lines = [
        f"{path}: {result.step:,} steps, {result.timing['steps_per_second']:,.0f} steps/s ({share})"
    ]
    if result.evaluation is not None:
        score = result.evaluation["raw_return"]
        lines.append(
            f"raw return {score['mean']:.4g}, standard deviation {score['std']:.4g} over "
            f"{result.evaluation['episodes']} evaluation episodes without designs"
        )
    return "\n".join(lines)
