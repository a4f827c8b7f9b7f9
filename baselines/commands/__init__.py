"""The subcommands of `rewardloom`, one module each: `add_parser(subparsers)` and `run(args)`."""
