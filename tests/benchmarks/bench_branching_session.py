"""What branching worlds cost beside SCIP: hand-over, reset, abort, memory; several at once."""

import os
import statistics
import threading
import time

import numpy as np
from gymnasium.vector import AutoresetMode
from stable_baselines3.common.vec_env import DummyVecEnv, SubprocVecEnv

from rewardloom.baselines.plugs.vector_env import VectorEnvToVecEnv
from rewardloom.envs.branching.instances import generate
from rewardloom.envs.branching.session import BranchingSession, evaluate
from rewardloom.envs.branching.settings import SearchSettings
from rewardloom.envs.branching.vector import MilpBranchingVector
from rewardloom.envs.branching.world import MilpBranching

DECISIONS = 60
VECTOR_STEPS = 15
WORLD = {"family": "set_cover", "node_limit": 200}


def set_cover(seed=0):
    """Return a set cover with 400 rows and 750 columns."""
    return generate("set_cover", np.random.default_rng(seed), size="train").to_model()


def choose(decision):
    """Branch on the most fractional candidate."""
    return int(np.argmin(np.abs(decision.fractions - 0.5)))


def settings():
    """Return settings of a search that is still going on after `DECISIONS`."""
    return SearchSettings(preset="light", seed=0, decision_limit=DECISIONS)


def seconds_outside():
    """Return the processor seconds per decision of a session, after its first."""
    with BranchingSession(set_cover(), settings()) as session:
        decision, start = session.start(), time.process_time()
        while decision is not None:
            decision = session.branch(choose(decision))
        assert session.result is not None
        return (time.process_time() - start) / session.result.decisions


def seconds_inside():
    """Return the same with the policy inside SCIP's callback."""
    starts = []

    def policy(decision):
        if not starts:
            starts.append(time.process_time())
        return choose(decision)

    result = evaluate(policy, set_cover(), settings())
    return (time.process_time() - starts[0]) / result.decisions


def bridge(rounds=7):
    """Compare steps from outside with a policy inside SCIP."""
    ratios = []
    for _ in range(rounds):
        inside = seconds_inside()
        ratios.append(inside / seconds_outside())
    yield {
        "name": "steps/s of a session over a policy in the callback",
        "value": statistics.median(ratios),
        "unit": "times",
        "bound": 0.8,
        "at_least": True,
        "note": f"from {min(ratios):.2f} to {max(ratios):.2f}; set cover 400x750",
    }


def resets(rounds=5):
    """Time resets by preset and size."""
    for size in ("tiny", "train"):
        for preset in ("light", "gasse"):
            env = MilpBranching(size=size, preset=preset)
            times = []
            for seed in range(rounds):
                start = time.process_time()
                env.reset(seed=seed)
                times.append(time.process_time() - start)
            env.close()
            value = 1e3 * statistics.median(times)
            yield {"name": f"reset of set cover {size}, {preset}", "value": value, "unit": "ms"}


def resident_megabytes():
    """Return the process's memory."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def memory():
    """Measure what 200 aborted episodes leave behind."""
    env = MilpBranching()
    sizes = []
    for episode in range(240):
        env.reset(seed=episode)
        env.step(env.action_space.sample())
        if episode in (39, 239):
            env.close()
            sizes.append(resident_megabytes())
    yield {
        "name": "memory left by 200 aborted episodes",
        "value": sizes[1] - sizes[0],
        "unit": "MB",
        "bound": 12.0,
    }


def aborts():
    """Time the end of a search between decisions, and from another thread during the root."""
    session = BranchingSession(set_cover(), settings())
    session.branch(choose(session.start()))
    start = time.perf_counter()
    session.close()
    waiting = time.perf_counter() - start
    root = BranchingSession(set_cover(), SearchSettings(preset="default", seed=0))
    worker = threading.Thread(target=root.start)
    worker.start()
    time.sleep(0.3)
    start = time.perf_counter()
    root.close()
    for name, value in (("mid-solve", waiting), ("during the root", time.perf_counter() - start)):
        yield {"name": f"abort {name}, wall time", "value": value, "unit": "s", "bound": 0.5}
    worker.join()


def makers(size, count):
    """Return functions that make the worlds; child processes can import what they need."""
    return [lambda: MilpBranching(size=size, **WORLD)] * count


VECTORS = {
    "DummyVecEnv": lambda size, n: DummyVecEnv(makers(size, n)),
    "SubprocVecEnv": lambda size, n: SubprocVecEnv(makers(size, n)),
    "MilpBranchingVector": lambda size, n: VectorEnvToVecEnv(
        MilpBranchingVector(n, size=size, autoreset_mode=AutoresetMode.SAME_STEP, **WORLD)
    ),
}


def play(vector, rng):
    """Play random legal actions and return the seconds, wall time: processes run beside this."""
    start = time.perf_counter()
    for _ in range(VECTOR_STEPS):
        masks = vector.env_method("action_masks")
        vector.step(np.array([rng.choice(np.flatnonzero(mask)) for mask in masks]))
    return time.perf_counter() - start


def vectors(size, count, blocks=5):
    """Compare the ways to step several worlds, in alternating blocks of wall time."""
    made, begun = {}, {}
    for name, make in VECTORS.items():
        start = time.perf_counter()
        made[name] = make(size, count)
        made[name].seed(7)
        made[name].reset()
        begun[name] = time.perf_counter() - start
    rngs = {name: np.random.default_rng(0) for name in made}
    times = {name: [] for name in made}
    for _ in range(blocks):
        for name, vector in made.items():
            times[name].append(play(vector, rngs[name]))
    for vector in made.values():
        vector.close()
    starts = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in begun.items())
    for name in ("DummyVecEnv", "SubprocVecEnv"):
        ratios = np.array(times[name]) / times["MilpBranchingVector"]
        yield {
            "name": f"MilpBranchingVector over {name}, {count} x {size}",
            "value": float(np.median(ratios)),
            "unit": "times",
            "bound": 0.8,
            "at_least": True,
            "note": f"steps/s; made and reset: {starts}" if name == "SubprocVecEnv" else "",
        }


def run():
    """Measure everything; vectors last, since they want both cores."""
    yield from bridge()
    yield from resets()
    yield from memory()
    yield from aborts()
    for size, count in (("tiny", 2), ("tiny", 8), ("train", 4)):
        yield from vectors(size, count)
