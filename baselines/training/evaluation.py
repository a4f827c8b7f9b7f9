"""Scores an agent on the world itself, without any reward design.

- `evaluate`: a saved agent of a run.
- `evaluate_model`: an agent in memory.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
from sb3_contrib import MaskablePPO
from stable_baselines3.common.utils import set_random_seed

from rewardloom.baselines.training.algorithms import Agent, algorithm_class, checked_device
from rewardloom.baselines.training.config import TrainConfig
from rewardloom.baselines.training.folder import RunFolder
from rewardloom.baselines.training.threads import torch_threads
from rewardloom.baselines.training.worlds import make_world
from rewardloom.errors import ConfigError, RunError

__all__ = ["evaluate", "evaluate_model"]

_AT_ONCE = 8  # environments; more costs memory and saves little


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
    config = folder.read_config()
    env = make_world(config)
    try:
        model = algorithm_class(config, env).load(model_path, device=checked_device(device))
    finally:
        env.close()
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
        not say.

    Raises:
        RunError: the infrastructure failed in every episode.
    """
    if episodes < 1 or seed < 0:
        raise ConfigError(f"episodes must be >= 1 and seed >= 0, got {episodes} and {seed}.")
    set_random_seed(_seed(seed, 0))
    envs = [make_world(config) for _ in range(min(_AT_ONCE, episodes))]
    try:
        played = _play(model, envs, episodes, seed, deterministic)
    finally:
        for env in envs:
            env.close()
    finished = [episode for episode in played if not episode["failed"]]
    if not finished:
        raise RunError(
            f"The infrastructure of {config.world} failed in all {episodes} evaluation episodes, "
            "so there is no score. Mend it, then run: rewardloom evaluate RUN"
        )
    names = dict.fromkeys(name for episode in finished for name in episode["metrics"])
    successes = [e["is_success"] for e in finished if e["is_success"] is not None]
    return {
        "episodes": len(finished),
        "failed_episodes": episodes - len(finished),
        "seed": seed,
        "deterministic": deterministic,
        "raw_return": _summary([e["raw_return"] for e in finished]),
        "length": _summary([e["length"] for e in finished]),
        "metrics": {
            name: _summary([e["metrics"][name] for e in finished if name in e["metrics"]])
            for name in names
        },
        "is_success": float(np.mean(successes)) if successes else None,
    }


def _play(
    model: Agent, envs: list[gym.Env[Any, Any]], episodes: int, seed: int, deterministic: bool
) -> list[dict[str, Any]]:
    """Play episodes 0, 1, ... on the first free environment; return them in that order."""
    finished: list[dict[str, Any]] = [{} for _ in range(episodes)]
    playing = dict(enumerate(range(len(envs))))  # environment -> episode
    observations = {i: env.reset(seed=_seed(seed, 1 + i))[0] for i, env in enumerate(envs)}
    returns, lengths = np.zeros(episodes), np.zeros(episodes, np.int64)
    waiting = iter(range(len(envs), episodes))
    while playing:
        slots = list(playing)
        batch = [observations[i] for i in slots]
        actions = _actions(model, [envs[i] for i in slots], batch, deterministic)
        for slot, action in zip(slots, actions, strict=True):
            env, episode = envs[slot], playing[slot]
            observations[slot], reward, terminated, truncated, info = env.step(action)
            returns[episode] += float(reward)
            lengths[episode] += 1
            if not (terminated or truncated):
                continue
            finished[episode] = {
                "raw_return": float(returns[episode]),
                "length": int(lengths[episode]),
                "metrics": {k: float(v) for k, v in info.get("episode_metrics", {}).items()},
                "is_success": info.get("is_success"),
                "failed": bool(info.get("infra_failure")),
            }
            following = next(waiting, None)
            if following is None:
                del playing[slot]
            else:
                playing[slot] = following
                observations[slot] = env.reset(seed=_seed(seed, 1 + following))[0]
    return finished


def _actions(
    model: Agent, envs: list[gym.Env[Any, Any]], observations: list[Any], deterministic: bool
) -> Any:
    if isinstance(observations[0], dict):
        batch: Any = {key: np.stack([o[key] for o in observations]) for key in observations[0]}
    else:
        batch = np.stack(observations)
    if isinstance(model, MaskablePPO):
        masks = np.stack([env.get_wrapper_attr("action_masks")() for env in envs])
        return model.predict(batch, deterministic=deterministic, action_masks=masks)[0]
    return model.predict(batch, deterministic=deterministic)[0]


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
    folder.read_config()
    if not folder.model.is_file():
        raise RunError(
            f"{path} has no model.zip yet. Finish it with --resume {path}, or evaluate one of its "
            f"checkpoints: {folder.checkpoints}/<step>/model.zip."
        )
    return folder.model, folder
