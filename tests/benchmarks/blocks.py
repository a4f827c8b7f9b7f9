"""Timing of alternatives in alternating blocks of one process."""

import statistics
import time


def block_times(actions, steps, blocks=9):
    """Return each action's median seconds per call.

    Args:
        actions: name -> function without arguments.
        steps: Calls in one block.
        blocks: Blocks of each action; the actions take turns.
    """
    times = {name: [] for name in actions}
    for _ in range(blocks):
        for name, action in actions.items():
            start = time.perf_counter()
            for _ in range(steps):
                action()
            times[name].append((time.perf_counter() - start) / steps)
    return {name: statistics.median(values) for name, values in times.items()}
