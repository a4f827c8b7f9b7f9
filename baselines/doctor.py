"""`rewardloom doctor`: checks what works on this machine and names what mends the rest.

- `Finding`: one row.
- `diagnose`: all of them.
- `print_table`, `print_json`: for people and for programs.

Every package is imported in a process of its own, so that one that hangs or crashes is a finding
too; this module needs the standard library alone.
"""

from __future__ import annotations

import dataclasses
import json
import platform
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple

__all__ = ["CHECKS", "Check", "Finding", "diagnose", "print_json", "print_table"]

_TIMEOUT = 120  # seconds for one check; torch on a cold disk takes many
_DISK_GB = 2.0
_SUPPORTED = ((3, 10), (3, 12))
_NOTE = (
    "nle 1.3.0 asks for exactly gymnasium 1.2.0. With NetHack and everything else at once pip "
    "therefore takes 1.2.0: pip install 'rewardloom[all,nethack]'. To have NetHack beside the "
    "newest Gymnasium 1.x, where it works too: pip install --no-deps nle==1.3.0"
)


class Check(NamedTuple):
    """How one thing is checked.

    Attributes:
        name: Of the row.
        code: Python that prints a version and remarks, run in a process of its own; it exits with
            a traceback if the thing does not work.
        modules: Those that "missing" is about; if one cannot be found the row says missing.
        mend: The command that mends it.
        core: Whether rewardloom cannot do without.
    """

    name: str
    code: str
    modules: tuple[str, ...]
    mend: str
    core: bool = False


@dataclasses.dataclass(frozen=True)
class Finding:
    """What a check found.

    Attributes:
        name: What was checked.
        status: "works", "missing" or "broken".
        detail: Version and remarks, or the last line of the error.
        mend: The command that mends it; empty where it works.
        core: Whether rewardloom cannot do without.
    """

    name: str
    status: Literal["works", "missing", "broken"]
    detail: str
    mend: str = ""
    core: bool = False


_BASELINES = "pip install 'rewardloom[baselines]'"
_VERSION = "from importlib.metadata import version\n"

CHECKS = (
    Check(
        "gymnasium",
        "import gymnasium\nprint(gymnasium.__version__)",
        ("gymnasium",),
        "pip install 'gymnasium>=1.2,<2'",
        core=True,
    ),
    Check(
        "rewardloom",
        "import rewardloom, rewardloom.wrappers.vector, rewardloom.rewards.catalog as catalog\n"
        "for name in catalog.DESIGNS: catalog.design_class(name)\n"
        "print(f'{rewardloom.__version__}, {len(catalog.DESIGNS)} reward designs')",
        ("rewardloom",),
        "pip install --force-reinstall --no-deps rewardloom",
        core=True,
    ),
    Check(
        "torch",
        "import torch\n"
        "cuda, mps = torch.cuda.is_available(), torch.backends.mps.is_available()\n"
        "device = torch.cuda.get_device_name(0) if cuda else 'mps' if mps else 'cpu'\n"
        "kind = f'cuda ({device})' if cuda else device\n"
        "(torch.ones(8, device='cuda' if cuda else device) * 2).sum().item()\n"
        "print(f'{torch.__version__}, device {kind}, {torch.get_num_threads()} threads')",
        ("torch",),
        _BASELINES,
    ),
    Check(
        "stable-baselines3",
        f"{_VERSION}import stable_baselines3\nprint(version('stable-baselines3'))",
        ("stable_baselines3",),
        _BASELINES,
    ),
    Check(
        "sb3-contrib",
        f"{_VERSION}import sb3_contrib\n"
        "sb3, contrib = version('stable-baselines3'), version('sb3-contrib')\n"
        "assert sb3.split('.')[:2] == contrib.split('.')[:2], (\n"
        "    f'sb3-contrib {contrib} does not go with stable-baselines3 {sb3}')\n"
        "print(contrib)",
        ("sb3_contrib",),
        _BASELINES,
    ),
    Check(
        "tensorboard",
        f"{_VERSION}from tensorboard.summary.writer.record_writer import RecordWriter\n"
        "print(version('tensorboard'))",
        ("tensorboard",),
        _BASELINES,
    ),
    Check(
        "matplotlib",
        f"{_VERSION}from matplotlib.figure import Figure\nprint(version('matplotlib'))",
        ("matplotlib",),
        _BASELINES,
    ),
    Check(
        "rliable (further statistics)",
        f"{_VERSION}from rliable import library, metrics\nprint(version('rliable'))",
        ("rliable",),
        "pip install rliable 'pandas<3'",
    ),
    Check(
        "NetHack",
        f"{_VERSION}import gymnasium, rewardloom\n"
        "env = gymnasium.make('rewardloom/NetHackScore-v0')\n"
        "env.reset(seed=0)\nfor _ in range(20): env.step(env.action_space.sample())\nenv.close()\n"
        "print(f\"nle {version('nle')}, made and stepped\")",
        ("nle",),
        "pip install --no-deps nle==1.3.0",
    ),
    Check(
        "SCIP",
        f"{_VERSION}import gymnasium, rewardloom\n"
        "from pyscipopt import Model\n"
        "env = gymnasium.make('rewardloom/MilpBranchingMicro-v0')\n"
        "env.reset(seed=0)\nfor _ in range(3): env.step(env.action_space.sample())\nenv.close()\n"
        "print(f\"SCIP {Model().version()}, pyscipopt {version('pyscipopt')}, made and stepped\")",
        ("pyscipopt",),
        "pip install 'rewardloom[milp]'",
    ),
    Check(
        "pettingzoo",
        f"{_VERSION}import pettingzoo\nprint(version('pettingzoo'))",
        ("pettingzoo",),
        "pip install 'rewardloom[parallel]'",
    ),
    Check(
        "minigrid",
        "import gymnasium, minigrid\nenv = gymnasium.make('MiniGrid-Empty-5x5-v0')\n"
        "env.reset(seed=0)\nenv.close()\nprint(minigrid.__version__)",
        ("minigrid",),
        "pip install 'rewardloom[minigrid]'",
    ),
    Check(
        "video (gymnasium's RecordVideo)",
        f"{_VERSION}from moviepy.video.io.ImageSequenceClip import ImageSequenceClip\n"
        "from imageio_ffmpeg import get_ffmpeg_exe\nget_ffmpeg_exe()\n"
        "print(f\"moviepy {version('moviepy')} with ffmpeg\")",
        ("moviepy",),
        "pip install 'moviepy>=2'",
    ),
)


def diagnose(checks: Sequence[Check] = CHECKS, *, folder: Path | None = None) -> list[Finding]:
    """Check Python, the disk and everything in `checks`.

    Args:
        checks: What to check beside Python and the disk.
        folder: Where runs would go; None takes the working directory.
    """
    return [_python(), *map(_found, checks), _disk(folder or Path.cwd())]


def print_table(findings: Sequence[Finding]) -> None:
    """Print a table, or plain lines where rich is not installed."""
    try:
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text
    except ImportError:
        for finding in findings:
            mend = f"  mend: {finding.mend}" if finding.mend else ""
            print(f"{finding.status:8}{finding.name}: {finding.detail}{mend}")
        print(f"\n{_NOTE}")
        return
    colors = {"works": "green", "missing": "yellow", "broken": "bold red"}
    table = Table("what", "status")
    table.add_column("version and remarks", overflow="fold")
    table.add_column("mend it with", overflow="fold")
    for finding in findings:
        status = Text(finding.status, colors[finding.status])
        table.add_row(finding.name, status, Text(finding.detail), Text(finding.mend))
    console = Console()
    console.print(table)
    console.print(Text(_NOTE), style="dim")


def print_json(findings: Sequence[Finding]) -> None:
    """Print {"core_works": bool, "findings": [...], "note": ...}."""
    works = all(f.status == "works" for f in findings if f.core)
    rows = [dataclasses.asdict(finding) for finding in findings]
    print(json.dumps({"core_works": works, "findings": rows, "note": _NOTE}, indent=2))


def _found(check: Check) -> Finding:
    """Run one check in a process of its own."""
    looked = [f"importlib.util.find_spec({name!r})" for name in check.modules]
    code = f"import importlib.util\nassert all([{', '.join(looked)}]), 'MISSING'\n{check.code}"
    try:
        done = subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            timeout=_TIMEOUT,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except subprocess.TimeoutExpired:
        detail = f"no answer within {_TIMEOUT} s"
        return Finding(check.name, "broken", detail, check.mend, check.core)
    if done.returncode == 0:
        lines = done.stdout.strip().splitlines()
        return Finding(check.name, "works", lines[-1] if lines else "", "", check.core)
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    last = lines[-1].strip() if lines else f"exit status {done.returncode}"
    if last == "AssertionError: MISSING":
        return Finding(check.name, "missing", "not installed", check.mend, check.core)
    return Finding(check.name, "broken", last, check.mend, check.core)


def _python() -> Finding:
    low, high = _SUPPORTED
    detail = f"{platform.python_version()} on {platform.platform(terse=True)}"
    if low <= sys.version_info[:2] <= high:
        return Finding("Python", "works", detail, core=True)
    wanted = f"needs {low[0]}.{low[1]} to {high[0]}.{high[1]}; this is {detail}"
    return Finding("Python", "broken", wanted, "python3.11 -m venv .venv", core=True)


def _disk(folder: Path) -> Finding:
    free = shutil.disk_usage(folder).free / 1e9
    detail = f"{free:.1f} GB free in {folder}"
    if free >= _DISK_GB:
        return Finding("disk", "works", detail)
    return Finding("disk", "broken", f"{detail}; runs may need {_DISK_GB:.0f}", "pip cache purge")
