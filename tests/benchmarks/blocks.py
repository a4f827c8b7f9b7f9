"""Timing of alternatives in alternating blocks of one process, in its processor time.

A busy machine stretches wall time by what other processes do; processor time leaves that out.
"""

import statistics
import time


def block_times(actions, steps, blocks=9):
    """Return each action's median processor seconds per call.

    Args:
        actions: name -> function without arguments.
        steps: Calls in one block.
        blocks: Blocks of each action; the actions take turns.
    """
    times = {name: [] for name in actions}
    for _ in range(blocks):
        for name, action in actions.items():
            start = time.process_time()
            for _ in range(steps):
                action()
            times[name].append((time.process_time() - start) / steps)
    return {name: statistics.median(values) for name, values in times.items()}
