"""Scores an agent on the world itself, without any reward design.

- `evaluate`: a saved agent of a run.
- `evaluate_model`: an agent in memory.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from stable_baselines3.common.utils import set_random_seed

from rewardloom.baselines.training.algorithms import Agent, algorithm_class
from rewardloom.baselines.training.config import TrainConfig
from rewardloom.baselines.training.devices import checked_device
from rewardloom.baselines.training.folder import RunFolder
from rewardloom.baselines.training.players import Outcome, Player, choose_actions, make_player
from rewardloom.baselines.training.threads import torch_threads
from rewardloom.errors import ConfigError, RunError

__all__ = ["evaluate", "evaluate_model"]

_AT_ONCE = 8  # episodes; more costs memory and saves little


def evaluate(
    run_or_model: str | Path,
    *,
    episodes: int = 20,
    seed: int = 0,
    deterministic: bool = False,
    device: str = "cpu",
) -> dict[str, Any]:
    """Play a saved agent on its world without designs.

    Args:
        run_or_model: A run's folder (its final agent), or a zip inside one, such as a checkpoint's.
        episodes: How many, at least 1. Episode e always starts from the same seed.
        seed: At least 0; other seeds give other episodes than those of training.
        deterministic: Take the most probable action; False samples as in training.
        device: "cpu", "cuda", "cuda:1", ...

    Returns:
        See `evaluate_model`.

    Raises:
        RunError: there is no agent or no configuration.
        ConfigError: a number is out of range, or the device is not there.
    """
    model_path, folder = _locate(Path(run_or_model))
    config = folder.read_config(designs=False)
    player = make_player(config)
    try:
        agent_class = algorithm_class(config, masked=player.masked)
    finally:
        player.close()
    model = agent_class.load(model_path, device=checked_device(device))
    with torch_threads(config.torch_threads):
        return evaluate_model(
            model, config, episodes=episodes, seed=seed, deterministic=deterministic
        )


def evaluate_model(
    model: Agent, config: TrainConfig, *, episodes: int, seed: int, deterministic: bool = False
) -> dict[str, Any]:
    """Play `episodes` episodes with an agent and sum them up.

    Seeds the global random generators.

    Returns:
        `episodes`, those that are scored; `failed_episodes`, those left out because the
        infrastructure failed; `seed`, `deterministic`; `raw_return`, `length` and each of
        `metrics` (the world's `info["episode_metrics"]`) as {"mean", "std", "values"}, std over
        episodes with divisor n; `is_success`, the share of episodes, or None where the world does
        not say. An episode of a PettingZoo world is a game, its `raw_return` the mean over its
        agents of each agent's sum of rewards; those sums are in `agent_returns`, by agent, in the
        same form.

    Raises:
        RunError: the infrastructure failed in every episode.
    """
    if episodes < 1 or seed < 0:
        raise ConfigError(f"episodes must be >= 1 and seed >= 0, got {episodes} and {seed}.")
    set_random_seed(_seed(seed, 0))
    players: list[Player] = []
    try:
        for _ in range(min(_AT_ONCE, episodes)):
            players.append(make_player(config))
        played = _play(model, players, episodes, seed, deterministic)
    finally:
        for player in players:
            player.close()
    finished = [outcome for outcome in played if not outcome.failed]
    if not finished:
        raise RunError(
            f"The infrastructure of {config.world} failed in all {episodes} evaluation episodes, "
            "so there is no score. Mend it, then run: rewardloom evaluate RUN"
        )
    successes = [outcome.is_success for outcome in finished if outcome.is_success is not None]
    result = {
        "episodes": len(finished),
        "failed_episodes": episodes - len(finished),
        "seed": seed,
        "deterministic": deterministic,
        "raw_return": _summary([outcome.raw_return for outcome in finished]),
        "length": _summary([outcome.length for outcome in finished]),
        "metrics": _summaries([outcome.metrics for outcome in finished]),
        "is_success": float(np.mean(successes)) if successes else None,
    }
    if finished[0].agent_returns:
        result["agent_returns"] = _summaries([outcome.agent_returns for outcome in finished])
    return result


def _play(
    model: Agent, players: list[Player], episodes: int, seed: int, deterministic: bool
) -> list[Outcome]:
    """Play episodes 0, 1, ... on the first free player; return them in that order."""
    finished: dict[int, Outcome] = {}
    playing = dict(enumerate(range(len(players))))  # player -> episode
    for slot, player in enumerate(players):
        player.reset(_seed(seed, 1 + slot))
    waiting = iter(range(len(players), episodes))
    while playing:
        active = [players[slot] for slot in playing]
        chosen = choose_actions(model, active, deterministic=deterministic)
        for slot, actions in zip(list(playing), chosen, strict=True):
            if not players[slot].step(actions):
                continue
            finished[playing[slot]] = players[slot].outcome()
            following = next(waiting, None)
            if following is None:
                del playing[slot]
            else:
                playing[slot] = following
                players[slot].reset(_seed(seed, 1 + following))
    return [finished[episode] for episode in range(episodes)]


def _summaries(rows: list[dict[str, float]]) -> dict[str, Any]:
    """Return one summary per name, over the episodes that have it."""
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: _summary([row[name] for row in rows if name in row]) for name in names}


def _summary(values: list[float]) -> dict[str, Any]:
    return {"mean": float(np.mean(values)), "std": float(np.std(values)), "values": values}


def _seed(seed: int, episode: int) -> int:
    """Return a seed apart from those of training, whose spawn keys have one entry."""
    return int(np.random.SeedSequence(seed, spawn_key=(0, episode)).generate_state(1)[0])


def _locate(path: Path) -> tuple[Path, RunFolder]:
    """Return the agent's zip and the run it belongs to."""
    if path.suffix == ".zip":
        for parent in list(path.parents)[:3]:
            if RunFolder(parent).exists and path.is_file():
                return path, RunFolder(parent)
        raise RunError(f"{path} is no agent inside a run's folder (with config.json beside it).")
    folder = RunFolder(path)
    folder.read_config(designs=False)
    if not folder.model.is_file():
        raise RunError(
            f"{path} has no model.zip yet. Finish it with --resume {path}, or evaluate one of its "
            f"checkpoints: {folder.checkpoints}/<step>/model.zip."
        )
    return folder.model, folder
