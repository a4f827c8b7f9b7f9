"""What RND, ICM, NGU and E3B add to a step, while they learn and frozen, on one core."""

import numpy as np
import torch
from blocks import block_times

from rewardloom.rewards import StepBatch, make_design

NAMES = ("rnd", "icm", "ngu", "e3b")
WIDTH, ACTIONS, EPISODE, TICKS = 32, 4, 200, 400


def batches(num_slots):
    rng = np.random.default_rng(0)
    states = rng.normal(size=(TICKS + 1, num_slots, WIDTH)).astype(np.float32)
    actions = np.eye(ACTIONS, dtype=np.float32)[rng.integers(0, ACTIONS, (TICKS, num_slots))]
    never = np.zeros(num_slots, bool)
    return [
        StepBatch(
            np.ones(num_slots),
            np.zeros((num_slots, 0)),
            ~never if t % EPISODE == EPISODE - 1 else never,
            never,
            ~never,
            never,
            obs=states[t],
            action=actions[t],
            next_obs=states[t + 1],
        )
        for t in range(TICKS)
    ]


def stepper(name, ticks, *, learns):
    """Return a function that steps a design whose episodes and networks are under way."""
    design = make_design(name, learning={"warmup_steps": 0})
    design.bind((), len(ticks[0].reward))
    for batch in ticks[: 3 * EPISODE // 2]:
        design.step(batch)
    design.update_model = learns
    at = 3 * EPISODE // 2

    def step():
        nonlocal at
        design.step(ticks[at % TICKS])
        design.summary()
        at += 1

    return step


def run():
    """Return the rows of the table."""
    torch.set_num_threads(1)
    rows = []
    for num_slots in (1, 8, 256):
        ticks = batches(num_slots)
        actions = {
            (name, learns): stepper(name, ticks, learns=learns)
            for name in NAMES
            for learns in (True, False)
        }
        times = block_times(actions, max(16, 512 // num_slots), blocks=5)
        rows += [
            {
                "name": f"{name}, {num_slots} slot(s), {'learning' if learns else 'frozen'}",
                "value": 1e6 * seconds / num_slots,
                "unit": "us/step",
                "bound": None,
            }
            for (name, learns), seconds in times.items()
        ]
    return rows


if __name__ == "__main__":
    for row in run():
        print(f"{row['name']:<50} {row['value']:>14,.2f} {row['unit']}")
