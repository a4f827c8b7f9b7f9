"""How one action of the agent becomes keys: the plain way, and the way of "ext28".

- `play_plain`: the key alone; most questions are declined.
- `play_extended`: questions about items can be answered, spells cast, skills advanced.
- `answer`: the key that answers a question under "ext28".
- `EXTENDED_QUESTIONS`: the questions that "ext28" leaves to the agent.
"""

from __future__ import annotations

import re

from rewardloom.envs.nethack.backend import nethack
from rewardloom.envs.nethack.engine import KEPT_QUESTIONS, SPACE, YES, Engine

__all__ = ["EXTENDED_QUESTIONS", "answer", "play_extended", "play_plain"]

EXTENDED_QUESTIONS = (*KEPT_QUESTIONS, b"drink", b"Drink", b"Pay?", b"Itemized")

_CAST = int(nethack.Command.CAST)
_ENHANCE = int(nethack.Command.ENHANCE)
_FIRST_ENTRY = ord("a")
_CAN_ENHANCE = b"feel more confident in your"
_OFFERED = re.compile(rb"\[(?:\$|-)?\s?(?!or \?)([a-zA-Z])")


def play_plain(engine: Engine, key: int) -> None:
    """Press a key and clear the prompts it caused."""
    engine.press(key)
    engine.settle()


def play_extended(engine: Engine, key: int) -> None:
    """Press a key, or answer the open question with it, and follow up spells and skills.

    Casting takes the first known spell; when the game says that a skill can be advanced, the first
    one that can be is advanced.
    """
    engine.press(answer(engine.question, key) if engine.question else key)
    if key == _CAST and engine.in_menu:
        engine.press(_FIRST_ENTRY)
    engine.settle()
    told = any(_CAN_ENHANCE in segment for segment in engine.segments)
    if told and not engine.done and not engine.question:
        engine.press(_ENHANCE)
        if engine.in_menu:
            engine.press(_FIRST_ENTRY)
        engine.settle()


def answer(question: bytes, key: int) -> int:
    """Return the key that answers `question` when the agent pressed `key`.

    A question for a direction takes the key as it is. To any other, `y` (the north-west step)
    gives the first letter offered, which is yes to a yes-or-no question, and every other key
    declines.
    """
    if b"direction" in question:
        return key
    if key != YES:
        return SPACE
    offered = _OFFERED.search(question)
    return offered[1][0] if offered else YES
