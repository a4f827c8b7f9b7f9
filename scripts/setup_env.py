"""Makes the virtual environment that `make` works in; needs nothing but Python itself.

Checks the Python version, venv support and disk space first, and names the one command that mends
what is missing. Then installs torch (the build asked for), rewardloom and its extras. A second run
with the same requirements does nothing.
"""

from __future__ import annotations

import argparse
import hashlib
import platform
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SUPPORTED = ((3, 10), (3, 12))
TORCH_CPU_INDEX = "https://download.pytorch.org/whl/cpu"
TORCH = "torch>=2.8"
GIGABYTES_NEEDED = {"cpu": 3, "default": 9}


def main() -> int:
    """Check the machine, then make or update the environment; return the exit status."""
    args = parse_args()
    started = time.monotonic()
    python = find_python(args.python)
    check_venv_support(python)
    venv = ROOT / args.venv
    stamp = venv / f".rewardloom-{fingerprint(args)}"
    if stamp.exists():
        return 0
    check_disk(args.torch)
    say(f"making {args.venv} with {python} (a few minutes the first time)")
    if not (venv / "bin" / "python").exists():
        run([python, "-m", "venv", str(venv)])
    pip = [str(venv / "bin" / "python"), "-m", "pip", "--disable-pip-version-check"]
    install_torch(pip, args.torch)
    install_package(pip, args.newest)
    for old in venv.glob(".rewardloom-*"):
        old.unlink()
    stamp.touch()
    say(f"ready after {time.monotonic() - started:.0f} s")
    return 0


def parse_args() -> argparse.Namespace:
    """Return the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--python", default="python3", help="interpreter to start from")
    parser.add_argument("--venv", default=".venv", help="folder of the environment")
    parser.add_argument(
        "--torch",
        default="cpu",
        help="cpu (default): a CPU build; default: what the package index offers (on Linux x86_64 "
        "a CUDA build of several GB); or a requirement such as torch==2.9.1",
    )
    parser.add_argument(
        "--newest",
        action="store_true",
        help="newest Gymnasium 1.x; nle, which pins 1.2.0, is added without its dependencies",
    )
    return parser.parse_args()


def find_python(wanted: str) -> str:
    """Return an interpreter of a supported version: the one asked for, or another on PATH."""
    low, high = SUPPORTED
    names = [wanted] + [f"python{low[0]}.{minor}" for minor in range(high[1], low[1] - 1, -1)]
    seen = []
    for name in names:
        path = shutil.which(name)
        version = version_of(path) if path else None
        if path and version:
            if low <= version <= high:
                return path
            seen.append(f"{name} is {version[0]}.{version[1]}")
    found = "; ".join(seen) or f"{wanted} was not found"
    fail(
        f"rewardloom needs Python {low[0]}.{low[1]} to {high[0]}.{high[1]} ({found}).",
        "sudo apt-get install python3.11 python3.11-venv   # or: brew install python@3.12",
    )


def version_of(path: str) -> tuple[int, int] | None:
    """Return (major, minor) of an interpreter, or None if it does not run."""
    code = "import sys; print(*sys.version_info[:2])"
    done = subprocess.run([path, "-c", code], capture_output=True, text=True, check=False)
    if done.returncode:
        return None
    major, minor = done.stdout.split()
    return int(major), int(minor)


def check_venv_support(python: str) -> None:
    """Stop with the mending command where the venv module is incomplete."""
    done = subprocess.run(
        [python, "-c", "import ensurepip, venv"], capture_output=True, check=False
    )
    if done.returncode:
        version = version_of(python) or (3, 11)
        fail(
            f"{python} cannot make virtual environments.",
            f"sudo apt-get install python{version[0]}.{version[1]}-venv",
        )


def check_disk(torch: str) -> None:
    """Stop where there is too little room for the environment."""
    needed = GIGABYTES_NEEDED.get(torch, GIGABYTES_NEEDED["default"])
    free = shutil.disk_usage(ROOT).free / 1e9
    if free < needed:
        fail(
            f"The environment takes about {needed} GB and {ROOT} has {free:.1f} GB free.",
            "pip cache purge   # then free some more, or clone onto a larger disk",
        )


def fingerprint(args: argparse.Namespace) -> str:
    """Return a name for what would be installed, so that a change installs again."""
    text = (ROOT / "pyproject.toml").read_text() + args.torch + str(args.newest)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def install_torch(pip: list[str], torch: str) -> None:
    """Install the torch build asked for; a CPU build never falls back to a CUDA one."""
    if torch not in ("cpu", "default"):
        say(f"installing {torch}")
        run([*pip, "install", "--quiet", torch])
        return
    if torch == "default" or not (sys.platform == "linux" and platform.machine() == "x86_64"):
        return  # the package index has only CPU builds elsewhere; the next step takes one
    have = subprocess.run(
        [*pip[:1], "-c", "import torch"], capture_output=True, check=False
    ).returncode
    if have == 0:
        return
    say("installing a CPU build of torch (TORCH=default takes the CUDA build)")
    attempts = (
        ["--no-index", "--no-deps", TORCH],  # wheels that PIP_FIND_LINKS points at
        ["--index-url", TORCH_CPU_INDEX, TORCH],
    )
    for attempt in attempts:
        command = [*pip, "install", "--quiet", "--retries", "1", *attempt]
        if subprocess.run(command, capture_output=True, check=False).returncode == 0:
            return
    fail(
        f"No CPU build of torch was found: {TORCH_CPU_INDEX} did not answer and PIP_FIND_LINKS "
        "holds none.",
        "make demo TORCH=default   # the CUDA build from the package index, several GB",
    )


def install_package(pip: list[str], newest: bool) -> None:
    """Install rewardloom, editable, with everything the tests and the demo use."""
    if newest:
        say("installing rewardloom with the newest Gymnasium 1.x")
        run([*pip, "install", "--quiet", "--editable", ".[all,dev]"])
        run([*pip, "install", "--quiet", "--no-deps", nle_requirement()])
    else:
        say("installing rewardloom, Stable-Baselines3, SCIP and NetHack")
        run([*pip, "install", "--quiet", "--editable", ".[all,nethack,dev]"])


def nle_requirement() -> str:
    """Return the nle version that pyproject.toml names."""
    for line in (ROOT / "pyproject.toml").read_text().splitlines():
        if line.startswith("nethack = "):
            return line.split('"')[1]
    raise SystemExit("setup: pyproject.toml names no nle requirement")


def run(command: list[str]) -> None:
    """Run one command in the checkout; stop with its own words if it fails."""
    done = subprocess.run(command, cwd=ROOT, check=False)
    if done.returncode:
        fail(f"'{' '.join(command)}' failed (status {done.returncode}).", "make demo   # to retry")


def say(text: str) -> None:
    """Tell what happens now."""
    print(f"[setup] {text}", flush=True)


def fail(problem: str, remedy: str) -> None:
    """Print what is wrong and the one command that mends it, and stop."""
    print(f"[setup] {problem}\n[setup] Mend it with:\n\n    {remedy}\n", file=sys.stderr)
    raise SystemExit(1)


if __name__ == "__main__":
    sys.exit(main())
