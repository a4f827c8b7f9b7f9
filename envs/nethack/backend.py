"""Imports nle, or says in one line why it cannot be used here.

- `nethack`: nle's low-level module.
- `load_nethack`: imports it, or raises the error with the command that fixes it.
- `BACKEND`: name and version of what plays the game.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import sys
from typing import Any

from rewardloom.errors import BackendUnavailable, MissingDependency

__all__ = ["BACKEND", "load_nethack", "nethack"]

_WITHOUT_WHEELS = ("win32", "cygwin", "emscripten")


def load_nethack() -> Any:
    """Import and return `nle.nethack`.

    Raises:
        MissingDependency: nle is not installed.
        BackendUnavailable: there is no nle for this platform, or the installed one does not load.
    """
    try:
        return importlib.import_module("nle.nethack")
    except ImportError as error:
        raise _unusable(error) from error


def _unusable(error: ImportError) -> Exception:
    if sys.platform in _WITHOUT_WHEELS:
        return BackendUnavailable(
            f"The NetHack worlds need nle, which has no build for {sys.platform}; run them on "
            "Linux or macOS (on Windows: inside WSL)."
        )
    if isinstance(error, ModuleNotFoundError) and (error.name or "").split(".")[0] == "nle":
        return MissingDependency(
            'The NetHack worlds need nle: pip install "rewardloom[nethack]" (nle pins gymnasium '
            "to 1.2.0; on a newer gymnasium: pip install --no-deps nle==1.3.0)."
        )
    return BackendUnavailable(
        f"nle is installed but does not load ({error}); reinstall it: "
        "pip install --force-reinstall --no-deps nle==1.3.0"
    )


nethack: Any = load_nethack()

BACKEND = f"nle {importlib.metadata.version('nle')}"
