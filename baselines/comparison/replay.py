"""Records one evaluation episode of a trained agent; run as a module, in a process of its own.

    python -m rewardloom.baselines.comparison.replay RUN TARGET

writes TARGET.json, and TARGET.webp (pictures) or the text frames inside TARGET.json.

- `Replay`: what was recorded.
- `record`: plays and writes.
"""

from __future__ import annotations

import dataclasses
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from stable_baselines3.common.utils import set_random_seed

from rewardloom.baselines.comparison.animation import Frames, fit_text, to_picture, write_animation
from rewardloom.baselines.training.algorithms import Agent, algorithm_class
from rewardloom.baselines.training.config import TrainConfig
from rewardloom.baselines.training.folder import RunFolder, write_json
from rewardloom.baselines.training.players import Player, choose_actions, make_player
from rewardloom.baselines.training.threads import torch_threads

__all__ = ["Replay", "record"]

_MAX_STEPS = 5_000
_SEED = 1_000_003  # apart from the seeds of training and evaluation, which are hashed


@dataclasses.dataclass(frozen=True)
class Replay:
    """One recorded episode.

    Attributes:
        kind: "picture" (an animated WebP beside the file), "text", or "none".
        reason: Why there is none.
        steps: Steps that were played.
        raw_return: Sum of the world's own reward over them, of a game the mean over its agents.
        ended: Whether the episode ended within them.
        milliseconds: From one frame to the next.
        frames: The frames of "text"; empty for the others.
    """

    kind: Literal["picture", "text", "none"]
    reason: str = ""
    steps: int = 0
    raw_return: float = 0.0
    ended: bool = True
    milliseconds: int = 100
    frames: tuple[str, ...] = ()


def record(run: Path, target: Path) -> Replay:
    """Play one episode of a run's agent on its world without designs and write it.

    Args:
        run: Folder of a finished run.
        target: Path without a suffix.
    """
    config = RunFolder(run).read_config(designs=False)
    plain = make_player(config)
    try:
        agent_class = algorithm_class(config, masked=plain.masked)
        modes = plain.world.metadata.get("render_modes", [])
    finally:
        plain.close()
    mode = next((mode for mode in ("rgb_array", "ansi") if mode in modes), None)
    if mode is None:
        replay = Replay("none", f"{config.world} renders neither pictures nor text")
    else:
        with torch_threads(1):
            model = agent_class.load(RunFolder(run).model, device="cpu")
            replay = _record(model, config, mode, target)
    target.parent.mkdir(parents=True, exist_ok=True)
    write_json(target.with_suffix(".json"), dataclasses.asdict(replay))
    return replay


def _record(model: Agent, config: TrainConfig, mode: str, target: Path) -> Replay:
    set_random_seed(config.seed)
    player = make_player(config, render_mode=mode)
    try:
        frames = Frames(to_picture if mode == "rgb_array" else str)
        steps, raw_return, ended = _play(player, model, frames.add, config.eval_deterministic)
        frames.close()
    finally:
        player.close()
    milliseconds = frames.milliseconds(player.world.metadata.get("render_fps"))
    facts: dict[str, Any] = {"steps": steps, "raw_return": raw_return, "ended": ended}
    if mode == "ansi":
        kept = fit_text(frames.kept)
        return Replay("text", milliseconds=milliseconds, frames=kept, **facts)
    target.parent.mkdir(parents=True, exist_ok=True)
    milliseconds = write_animation(target.with_suffix(".webp"), frames.kept, milliseconds)
    return Replay("picture", milliseconds=milliseconds, **facts)


def _play(
    player: Player,
    model: Agent,
    show: Callable[[Callable[[], Any]], None],
    deterministic: bool,
) -> tuple[int, float, bool]:
    """Play one episode; `show` is offered a picture before the first and after every step."""
    player.reset(_SEED)
    show(player.world.render)
    over = False
    while not over and player.outcome().length < _MAX_STEPS:
        [actions] = choose_actions(model, [player], deterministic=deterministic)
        over = player.step(actions)
        show(player.world.render)
    outcome = player.outcome()
    return outcome.length, outcome.raw_return, over


def main() -> int:
    """Record what the command line names."""
    for driver in ("SDL_VIDEODRIVER", "SDL_AUDIODRIVER"):
        os.environ.setdefault(driver, "dummy")  # pygame's worlds draw without a screen or a card
    run, target = sys.argv[1:]
    record(Path(run), Path(target))
    return 0


if __name__ == "__main__":
    sys.exit(main())
