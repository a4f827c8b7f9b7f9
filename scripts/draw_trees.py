"""Draws the search trees of two policies on one generated instance.

python scripts/draw_trees.py

A policy is `random`, `mostinf` (the most infeasible candidate), the name of one of SCIP's branching
rules, such as `pscost` or `vanillafullstrong`, or a folder that `save_agent` wrote. The first
picture is of the first policy's search as it waits, the second of the whole searches.
"""

import argparse
from pathlib import Path

import numpy as np
from PIL import Image

from rewardloom.baselines.branching.agents import MostInfeasibleAgent, load_agent
from rewardloom.baselines.branching.rules import RULES, with_rule
from rewardloom.envs.branching.drawing import draw_tree, draw_trees
from rewardloom.envs.branching.instances.families import FAMILIES, generate
from rewardloom.envs.branching.observations import observer
from rewardloom.envs.branching.session import BranchingSession, evaluate
from rewardloom.envs.branching.settings import NODE_SELECTIONS, PRESETS, SearchSettings
from rewardloom.errors import unknown_name

WORDS = {
    "random": "Random",
    "mostinf": "Most infeasible",
    "pscost": "Pseudocost",
    "relpscost": "Reliability pseudocost",
}
OURS = ("random", "mostinf")
SCALE = 2  # pixels in a unit, for screens with many


def known_policy(name):
    """Return the name of a policy or the folder of an agent, for argparse."""
    if Path(name).is_dir() or name in OURS or name in RULES:
        return name
    raise argparse.ArgumentTypeError(unknown_name("policy or folder", name, {*OURS, *RULES}))


def policy_of(name, seed):
    """Return (policy, SCIP's rule or None, what the policy observes)."""
    if Path(name).is_dir():
        agent = load_agent(Path(name))
        agent.begin()
        return agent.choose, None, agent.observation
    if name == "random":
        rng = np.random.default_rng(seed)
        return (lambda decision: int(rng.integers(len(decision)))), None, "none"
    if name == "mostinf":
        return MostInfeasibleAgent().choose, None, "none"
    return (lambda _: None), name, "none"


def prepared(args, name):
    """Return policy, model, settings and observe: what a search of the instance takes."""
    policy, rule, observation = policy_of(name, args.solver_seed)
    rng = np.random.default_rng(args.instance_seed)
    model = generate(args.family, rng, size=args.size).to_model()
    settings = SearchSettings(
        preset=args.preset,
        node_selection=args.node_selection,
        seed=args.solver_seed,
        node_limit=args.node_limit,
    )
    if rule is not None:
        settings = with_rule(settings, rule)
    return policy, model, settings, observer(observation, model)


def progress(session, decisions):
    """Return what a picture of the session shows: so many decisions, or all there were."""
    if session.decision is not None:
        return f"after {decisions} decision{'' if decisions == 1 else 's'}"
    return "the whole search" if session.result.solved else f"ended by {session.result.status}"


def draw_waiting(args, name):
    """Draw the first policy's search as it waits after some decisions, or at its end."""
    policy, model, settings, observe = prepared(args, args.policy[0])
    with BranchingSession(model, settings, observe=observe) as session:
        decision = session.start()
        for _ in range(args.decisions):
            if decision is None:
                break
            choice = policy(decision)
            decision = session.default() if choice is None else session.branch(choice)
        heading = f"{name}: {progress(session, args.decisions)}"
        size = (480 * SCALE, 720 * SCALE)
        return draw_tree(session.tree, current=decision, size=size, heading=heading, scale=SCALE)


def draw_whole(args, heading):
    """Draw the whole search of every policy."""
    trees = []
    for name in args.policy:
        policy, model, settings, observe = prepared(args, name)
        result = evaluate(policy, model, settings, observe=observe)
        print(f"{name}: {result.status}, {result.nodes} nodes, {result.lp_iterations} iterations")
        trees.append((WORDS.get(name, Path(name).name), result.tree))
    return draw_trees(trees, size=(500 * SCALE, 900 * SCALE), heading=heading, scale=SCALE)


def write(path, image):
    """Write a picture in 256 colors, which is all that it has but for smoothed edges."""
    Image.fromarray(image).quantize(256).save(path, optimize=True)
    print(f"{path}: {path.stat().st_size // 1000} kB")


def main():
    """Write both pictures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--policy", nargs="+", type=known_policy, default=["random", "vanillafullstrong"]
    )
    parser.add_argument("--family", default="set_cover", choices=FAMILIES)
    parser.add_argument("--size", default="tiny", choices=("tiny", "train", "transfer"))
    parser.add_argument("--preset", default="light", choices=PRESETS)
    parser.add_argument("--node-selection", default="estimate", choices=NODE_SELECTIONS)
    parser.add_argument("--instance-seed", type=int, default=3)
    parser.add_argument("--solver-seed", type=int, default=1)
    parser.add_argument("--node-limit", type=int, help="nodes at which the searches stop")
    parser.add_argument("--decisions", type=int, default=24, help="until the first picture")
    parser.add_argument("--out", type=Path, default=Path("docs/images"), help="folder")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    name = f"{args.family}, {args.size}, seed {args.instance_seed}"
    write(args.out / "branching_tree.png", draw_waiting(args, name))
    write(args.out / "branching_two_trees.png", draw_whole(args, f"The same problem: {name}"))


if __name__ == "__main__":
    main()
