"""What all NetHack worlds share: the Gymnasium contract around the engine.

- `NetHackWorld`: the abstract world; a task adds its success condition and its reward.
- `EpisodeRecord`: what is known of a finished episode.
"""

from __future__ import annotations

import itertools
import operator
import os
import weakref
from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar, Literal, NamedTuple

import gymnasium as gym
import numpy as np

from rewardloom.envs.nethack.actions import EXT28, resolve_actions
from rewardloom.envs.nethack.backend import BACKEND
from rewardloom.envs.nethack.engine import KEPT_QUESTIONS, Engine
from rewardloom.envs.nethack.observations import observation_space, observe, preset_keys
from rewardloom.envs.nethack.progress import COMPONENTS, METRICS, Progress
from rewardloom.envs.nethack.prompts import EXTENDED_QUESTIONS, play_extended, play_plain
from rewardloom.envs.nethack.rendering import render_ansi, render_rgb
from rewardloom.envs.nethack.settings import (
    argument_names,
    check_character,
    check_choice,
    check_count,
    check_flag,
    check_number,
)
from rewardloom.errors import BackendUnavailable, ConfigError, refuse_unknown

__all__ = ["EpisodeRecord", "NetHackWorld"]

_TERMINAL = ("tty_chars", "tty_colors", "tty_cursor")
_STARTS = 100
_MAX_SEED = 2**63 - 1
_recorders = itertools.count()


class EpisodeRecord(NamedTuple):
    """A finished episode.

    Attributes:
        steps: Its length.
        end_status: How it ended, as in `info["end_status"]`; "cut_off" if by `reset()`.
        metrics: As in `info["episode_metrics"]`.
        seeds: The game's seeds (core, display).
        ttyrec: The recording, or None.
    """

    steps: int
    end_status: str
    metrics: dict[str, float]
    seeds: tuple[int, int]
    ttyrec: str | None


class NetHackWorld(gym.Env[dict[str, np.ndarray], np.int64]):
    """A NetHack game as a Gymnasium environment; the arguments are those of the tasks' pages.

    A task defines `_succeeded` and `_reward`. The game is built at the first reset, so an
    environment that was not started yet can be pickled and copied.
    """

    metadata: dict[str, Any] = {"render_modes": ["rgb_array", "ansi"], "render_fps": 15}  # noqa: RUF012
    reward_components: ClassVar[tuple[str, ...]] = COMPONENTS
    terminal_components: ClassVar[tuple[str, ...]] = ()
    episode_metrics: ClassVar[tuple[str, ...]] = METRICS

    def __init__(
        self,
        *,
        reward_scale: float,
        actions: str | Sequence[int] = "task23",
        observations: Literal["compact", "oni", "full"] = "compact",
        caption: Literal["joined", "stock"] = "joined",
        horizon: int | None = 5000,
        character: str = "mon-hum-neu-mal",
        lgen: int | None = None,
        fix_moon_phase: bool = True,
        save_ttyrec_every: int = 0,
        ttyrec_dir: str | os.PathLike[str] | None = None,
        render_mode: str | None = None,
        **unknown: Any,
    ):
        refuse_unknown(
            unknown, argument_names(type(self)), kind="argument", where=f"of {type(self).__name__}"
        )
        self.reward_scale = check_number("reward_scale", reward_scale)
        self.continual = False
        self.keys = resolve_actions(actions)
        preset_keys(observations)
        self.observations = observations
        self.caption = check_choice("caption", caption, ("joined", "stock"))
        self.horizon = None if horizon is None else check_count("horizon", horizon, 1)
        self.character = check_character(character)
        self.lgen = None if lgen is None else check_count("lgen", lgen, 0)
        self.fix_moon_phase = check_flag("fix_moon_phase", fix_moon_phase)
        self.save_ttyrec_every = check_count("save_ttyrec_every", save_ttyrec_every, 0)
        self.ttyrec_dir = None if ttyrec_dir is None else os.path.abspath(ttyrec_dir)
        if self.save_ttyrec_every and self.ttyrec_dir is None:
            raise ConfigError("save_ttyrec_every needs ttyrec_dir, the folder for the recordings.")
        modes = self.metadata["render_modes"]
        self.render_mode = check_choice("render_mode", render_mode, (None, *modes))
        self.observation_space = observation_space(observations)
        self.action_space = gym.spaces.Discrete(len(self.keys))
        self.last_episode: EpisodeRecord | None = None
        self._extended = isinstance(actions, str) and self.keys == EXT28
        self._play = play_extended if self._extended else play_plain
        self._engine: Engine | None = None
        self._close_engine: weakref.finalize | None = None
        self._progress: Progress | None = None
        self._episode = -1
        self._steps = 0
        self._success = False
        self._seeds = (0, 0)
        self._ttyrec: str | None = None

    @abstractmethod
    def _succeeded(self, engine: Engine, stats: list[int]) -> bool:
        """Return whether the task is solved at this frame."""

    @abstractmethod
    def _reward(self, components: dict[str, float]) -> float:
        """Return the reward of a step from its components."""

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Start a new game, seeded from `self.np_random`.

        Args:
            seed: Seeds this and all later games; None goes on with the generator.
            options: Nothing or an empty dict.

        Raises:
            ConfigError: `options` is not empty.
            BackendUnavailable: NetHack did not start in 100 attempts.
        """
        super().reset(seed=seed)
        if options:
            raise ConfigError(f"The NetHack worlds take no reset options, got {options!r}.")
        if self._engine is not None and self._progress is not None and self._steps:
            self._finish(self._engine, self._progress, "cut_off")
        self._episode += 1
        engine = self._ready_engine()
        retries = self._start(engine)
        self._progress = Progress(engine.stats, engine.buffers["glyphs"])
        self._steps = 0
        self._success = False
        observation, caption = self._look(engine)
        return observation, {"caption": caption, "backend": BACKEND, "reset_retries": retries}

    def step(
        self, action: int | np.int64
    ) -> tuple[dict[str, np.ndarray], float, bool, bool, dict[str, Any]]:
        """Play one action.

        Args:
            action: Index into the action set.

        Raises:
            ResetNeeded: there is no game, or it is over.
            InvalidAction: `action` is not in the action space.
        """
        engine, progress = self._engine, self._progress
        if engine is None or progress is None:
            raise gym.error.ResetNeeded("There is no game to step; call reset() first.")
        key = self._key(action)
        engine.begin()
        self._play(engine, key)
        self._steps += 1
        components = progress.update(engine.stats, engine.buffers["glyphs"], engine.done)
        if not self._success and self._succeeded(engine, engine.stats):
            self._success = True
            components["success"] = 1.0
        terminated = engine.done or (self._success and not self.continual)
        truncated = not terminated and self._steps == self.horizon
        observation, caption = self._look(engine)
        info: dict[str, Any] = {"reward_components": components, "caption": caption}
        if terminated or truncated:
            info["is_success"] = self._success
            info["end_status"] = self._end_status(engine, truncated)
            info["episode_metrics"] = self._finish(engine, progress, info["end_status"])
        return observation, self._reward(components), terminated, truncated, info

    def render(self) -> Any:
        """Return the terminal: (384, 640, 3) uint8, or a string; None without a render mode.

        Raises:
            ResetNeeded: there is no game to show.
        """
        if self.render_mode is None:
            return None
        if self._engine is None:
            raise gym.error.ResetNeeded("There is no game to render; call reset() first.")
        chars, colors, cursor = (self._engine.buffers[key] for key in _TERMINAL)
        if self.render_mode == "ansi":
            return render_ansi(chars, colors)
        return render_rgb(chars, colors, cursor)

    def close(self) -> None:
        """End the game and remove everything it opened; more than once is fine."""
        self._progress = None
        self._drop_engine()
        super().close()

    def __repr__(self) -> str:
        """Name the world and what plays the game."""
        return f"<{type(self).__name__} on {BACKEND}>"

    def __getstate__(self) -> dict[str, Any]:
        """Refuse to copy a running game; nle cannot be copied."""
        if self._engine is not None:
            raise gym.error.Error(
                "A NetHack game in progress cannot be pickled or copied; do it before the first "
                "reset() or after close()."
            )
        return self.__dict__.copy()

    def _key(self, action: Any) -> int:
        try:
            index = operator.index(action)
        except TypeError:
            index = -1
        if not 0 <= index < len(self.keys):
            raise gym.error.InvalidAction(
                f"action must be an integer in 0..{len(self.keys) - 1}, not {action!r}."
            )
        return self.keys[index]

    def _look(self, engine: Engine) -> tuple[dict[str, np.ndarray], str]:
        text = engine.text
        if self.caption == "joined":
            segments = engine.segments
            text = segments[0] if len(segments) == 1 else b"  ".join(segments)
        shown = None if text == engine.text else text
        hero = (engine.stats[0], engine.stats[1])
        observation = observe(engine.buffers, self.observations, hero, shown)
        return observation, text.decode("latin-1")

    def _end_status(self, engine: Engine, truncated: bool) -> str:
        if engine.done:
            return engine.how_done
        return "truncated" if truncated else "success"

    def _finish(self, engine: Engine, progress: Progress, end_status: str) -> dict[str, float]:
        """Close the episode, put it into `last_episode` and return its metrics."""
        metrics = progress.metrics(engine.how_done if engine.done else "")
        self.last_episode = EpisodeRecord(
            self._steps, end_status, metrics, self._seeds, self._ttyrec
        )
        self._progress = None
        return dict(metrics)

    def _ready_engine(self) -> Engine:
        """Return an engine for the next game; a recorded game has one of its own."""
        every = self.save_ttyrec_every
        recorded = bool(every) and self._episode % every == 0
        if recorded or self._ttyrec is not None:
            self._drop_engine()
        if self._engine is None:
            self._ttyrec = self._ttyrec_path() if recorded else None
            keys = preset_keys(self.observations)
            self._engine = Engine(
                keys if self.render_mode is None else (*keys, *_TERMINAL),
                character=self.character,
                fix_moon_phase=self.fix_moon_phase,
                ttyrec=self._ttyrec,
                questions=EXTENDED_QUESTIONS if self._extended else KEPT_QUESTIONS,
            )
            self._close_engine = weakref.finalize(self, self._engine.close)
        return self._engine

    def _drop_engine(self) -> None:
        if self._engine is not None and self._close_engine is not None:
            self._engine.quit()
            self._close_engine()
        self._engine = self._close_engine = self._ttyrec = None

    def _ttyrec_path(self) -> str:
        folder = str(self.ttyrec_dir)
        os.makedirs(folder, exist_ok=True)
        name = f"nethack.{os.getpid()}.{next(_recorders)}.{self._episode}.ttyrec3.bz2"
        return os.path.join(folder, name)

    def _start(self, engine: Engine) -> int:
        """Start a game and return how many attempts failed before."""
        for attempt in range(_STARTS):
            core, disp = self.np_random.integers(0, _MAX_SEED, size=2).tolist()
            if engine.start(core, disp, self.lgen):
                self._seeds = (core, disp)
                return attempt
        raise BackendUnavailable(
            f"NetHack did not start in {_STARTS} attempts; check the character and the disk space "
            "of the temporary folder."
        )
