"""Which software, platform and source a run was made with."""

from __future__ import annotations

import platform
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

import rewardloom

__all__ = ["software_versions"]

_PACKAGES = (
    "gymnasium",
    "stable-baselines3",
    "sb3-contrib",
    "torch",
    "numpy",
    "nle",
    "pettingzoo",
    "mpe2",
)


def software_versions() -> dict[str, Any]:
    """Return versions by package name (those installed), python, platform and the git state.

    "git" is {"commit": hash, "changed": bool} where rewardloom runs from a checkout, else None.
    """
    versions: dict[str, Any] = {"rewardloom": rewardloom.__version__}
    for package in _PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    versions["python"] = platform.python_version()
    versions["platform"] = platform.platform()
    versions["git"] = _git_state(Path(rewardloom.__file__).parent)
    return versions


def _git_state(folder: Path) -> dict[str, Any] | None:
    try:
        tracked = _git(folder, "ls-files", "--error-unmatch", "__init__.py")
        commit = _git(folder, "rev-parse", "HEAD")
        changed = _git(folder, "status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.SubprocessError):
        return None
    return {"commit": commit, "changed": bool(changed)} if tracked else None


def _git(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=5)
    return done.stdout.strip()
