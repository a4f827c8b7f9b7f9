"""The rule files that ship with the library, by name."""

from __future__ import annotations

from pathlib import Path

from rewardloom.errors import ConfigError, unknown_name

__all__ = ["LEXICONS", "lexicon_path"]

LEXICONS = {"nethack": "lexicon.json", "minigrid": "lexicon_minigrid.json"}


def lexicon_path(name: str) -> Path:
    """Return the path of a shipped rule file; `rules=` takes its name as well.

    Args:
        name: "nethack" (the default rules of the lexicon; goals "score", "combat", "gold",
            "stairs", "explore") or "minigrid" (for the captions of `MiniGridCaptions`; goals
            "progress", "explore", "collect").

    Raises:
        ConfigError: no such file, with the nearest name.

    >>> from rewardloom.rewards import LexiconAnnotator
    >>> lexicon = LexiconAnnotator("progress", rules="minigrid")
    >>> lexicon.explain("You pick up the yellow key.")
    'key-taken'
    """
    if name not in LEXICONS:
        raise ConfigError(unknown_name("lexicon", name, LEXICONS))
    return Path(__file__).with_name(LEXICONS[name])
