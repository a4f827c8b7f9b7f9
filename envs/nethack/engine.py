"""Drives one NetHack game: keys in, buffers out, prompts cleared, no text lost.

- `Engine`: a game that is started, stepped and ended, over and over.
- `KEPT_QUESTIONS`: the questions that are left to the agent.
- `SPACE`, `YES`: keys.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from rewardloom.envs.nethack.backend import nethack

__all__ = ["KEPT_QUESTIONS", "SPACE", "YES", "Engine"]

SPACE = ord(" ")
YES = ord("y")

KEPT_QUESTIONS = (b"eat", b"attack", b"direction?", b"pray")
"""Questions with one of these words are left to the agent; every other one is declined."""

_ALWAYS = ("glyphs", "blstats", "message", "program_state", "internal")
_ESC = 0x1B
_QUIT = 0x80 | ord("q")
_MOST_PROMPTS = 1000

_ASKING, _WRITING, _WAITING = 1, 2, 3  # positions in nle's "internal"
_GAME_OVER, _IN_MOVE_LOOP = 0, 3  # positions in nle's "program_state"


class Engine:
    """One NetHack game after another in one copy of the game's library.

    Args:
        keys: nle observation keys that shall have a buffer, beside those the engine needs.
        character: nle's character string, for example "mon-hum-neu-mal".
        fix_moon_phase: Take moon phase and Friday 13th from the seed, not from the clock.
        ttyrec: File to record the game in, or None.
        questions: Words of the questions that are left to the agent.
        wizard: Play in the game's debug mode.

    Attributes:
        buffers: nle observation key -> the array that the game overwrites at every key.
        stats: The 27 bottom-line numbers of the last frame at which the game was going on; nle
            zeroes its buffers when a game ends.
        segments: The texts shown since `begin`, in order.
        text: The text that is in the message line now.
        question: The question that waits for an answer of the agent, or b"".
        done: No game is going on.
    """

    def __init__(
        self,
        keys: Iterable[str],
        *,
        character: str,
        fix_moon_phase: bool = True,
        ttyrec: str | None = None,
        questions: tuple[bytes, ...] = KEPT_QUESTIONS,
        wizard: bool = False,
    ):
        requested = tuple(dict.fromkeys((*_ALWAYS, *keys)))
        self._game: Any = nethack.Nethack(
            observation_keys=requested,
            playername=f"Agent-{character}",
            ttyrec=ttyrec,
            wizard=wizard,
            fix_moon_phase=fix_moon_phase,
        )
        self._requested = requested
        # nle's own wrapper around these two costs 4 % of a step.
        self._send: Any = self._game._pynethack.step
        self._is_done: Any = self._game._pynethack.done
        self._questions = questions
        self.buffers: dict[str, np.ndarray] = {}
        self.stats: list[int] = []
        self.segments: list[bytes] = []
        self.text = b""
        self.question = b""
        self.done = True

    @property
    def how_done(self) -> str:
        """How the game ended, in nle's words: "died", "starving", "ascended", ..."""
        return self._game.how_done().name.lower()

    @property
    def in_menu(self) -> bool:
        """Whether a full-screen window without a message waits to be dismissed."""
        return not self.done and bool(self._internal[_WAITING]) and not self.text

    def start(self, core: int, disp: int, lgen: int | None) -> bool:
        """Start a game from two seeds and an optional seed of the level generator.

        Returns:
            False if the game did not become playable; then it should be started anew.
        """
        self.quit()
        # the list of high scores would show earlier games on a dead hero's screen
        Path(self._game._vardir, "record").write_bytes(b"")
        self._game.set_initial_seeds(core, disp, False, lgen)
        self._take_buffers(self._game.reset())
        self.done = False
        self.text = b""
        self.begin()
        self._read()
        for _ in range(_MOST_PROMPTS):
            if self.done or self._program_state[_IN_MOVE_LOOP]:
                break
            self.press(_ESC if self._internal[_WRITING] else SPACE)
        self.settle()
        return not self.done and bool(self._program_state[_IN_MOVE_LOOP])

    def begin(self) -> None:
        """Forget the texts shown so far."""
        self.segments = []

    def press(self, key: int) -> None:
        """Send one key and read what it did."""
        self._send(key)
        self.done = self._is_done()
        self._read()

    def settle(self, *, keep_questions: bool = True) -> None:
        """Clear every prompt that is not left to the agent, keeping the texts."""
        self.question = b""
        for _ in range(_MOST_PROMPTS):
            if self.done:
                return
            internal = self._internal
            if internal[_WAITING]:
                self.press(SPACE)
            elif internal[_WRITING]:
                self.press(_ESC)
            elif internal[_ASKING]:
                if keep_questions and any(word in self.text for word in self._questions):
                    self.question = self.text
                    return
                self.press(_ESC)
            else:
                return

    def quit(self) -> None:
        """End a running game in the regular way: one that is dropped leaks about 2 kB in nle."""
        if self.done:
            return
        self.settle(keep_questions=False)
        for key in (_QUIT, YES):
            if not self.done:
                self.press(key)
        self.settle(keep_questions=False)
        self.done = True

    def close(self) -> None:
        """Free the game, its files and its copy of the library; more than once is fine."""
        self.done = True
        self._send = self._is_done = None
        self._game.close()

    def _take_buffers(self, frame: tuple[np.ndarray, ...]) -> None:
        self.buffers = dict(zip(self._requested, frame, strict=True))
        self._message = self.buffers["message"]
        self._blstats = self.buffers["blstats"]
        # numpy arrays are buffers, which their stubs say only from Python 3.12 on
        self._program_state = memoryview(self.buffers["program_state"])  # pyright: ignore[reportArgumentType]
        self._internal = memoryview(self.buffers["internal"])  # pyright: ignore[reportArgumentType]

    def _read(self) -> None:
        text = self._message.tobytes().partition(b"\0")[0]
        if text and (text != self.text or not self.segments):
            self.segments.append(text)
        self.text = text
        if not self._program_state[_GAME_OVER]:
            self.stats = self._blstats.tolist()
