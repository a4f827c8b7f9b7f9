"""Steps per second of the NetHack worlds beside stock nle with the same observation keys.

Both play the same seeded games with the same random actions, in alternating blocks of one process;
the copies that stock nle leaves to its user are not charged to it.
"""

import time

import numpy as np
from blocks import block_times
from nle.env import tasks

from rewardloom.envs.nethack import NetHackScore
from rewardloom.envs.nethack.observations import PRESETS

STEPS = 3000
BLOCKS = 9


class Player:
    """Steps an environment with random actions; game by game both kinds get the same seeds."""

    def __init__(self, env, seed_game):
        self.env = env
        self.seed_game = seed_game
        self.games = 0
        self.count = 0
        self.actions = np.random.default_rng(0).integers(23, size=4096).tolist()
        self.start()

    def start(self):
        self.seed_game(self.env, self.games)
        self.games += 1

    def __call__(self):
        self.count += 1
        _, _, terminated, truncated, _ = self.env.step(self.actions[self.count & 4095])
        if terminated or truncated:
            self.start()


def start_ours(env, game):
    env.reset(seed=game)


def start_stock(env, game):
    core, disp = np.random.default_rng(game).integers(0, 2**63 - 1, size=2).tolist()
    env.unwrapped.seed(core, disp)
    env.reset()


def compare(preset):
    """Return the seconds per step of our world and of stock nle."""
    keys = ("glyphs", "blstats", "message") if preset == "compact" else PRESETS[preset]
    stock = tasks.NetHackScore(observation_keys=keys, render_mode="ansi", fix_moon_phase=True)
    players = {
        "ours": Player(NetHackScore(observations=preset), start_ours),
        "stock": Player(stock, start_stock),
    }
    times = block_times(players, STEPS, BLOCKS)
    for player in players.values():
        player.env.close()
    return times


def render_time():
    """Return the seconds of one rgb_array frame."""
    with NetHackScore(render_mode="rgb_array") as env:
        env.reset(seed=0)
        env.render()
        start = time.perf_counter()
        for _ in range(200):
            env.render()
        return (time.perf_counter() - start) / 200


def run():
    """Return the rows of the table."""
    rows = []
    for preset in PRESETS:
        times = compare(preset)
        speed = {name: f"{1 / seconds:,.0f} steps/s" for name, seconds in times.items()}
        rows.append(
            {
                "name": f"NetHackScore, {preset}: speed over stock nle",
                "value": times["stock"] / times["ours"],
                "unit": "x",
                "bound": 1.0,
                "at_least": True,
                "note": f"{speed['ours']}; stock {speed['stock']}",
            }
        )
    rows.append(
        {
            "name": "rgb_array frame",
            "value": render_time() * 1e3,
            "unit": "ms",
            "bound": None,
            "note": "384 x 640 pixels",
        }
    )
    return rows


if __name__ == "__main__":
    for row in run():
        print(f"{row['name']}: {row['value']:.3f} {row['unit']} ({row['note']})")
