"""The folders at the root install as one package; these guard the mapping."""

import subprocess
import sys
from pathlib import Path

import pytest
from setuptools import find_packages

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = {"core": "rewardloom", **{n: f"rewardloom.{n}" for n in ("envs", "rewards")}}
FOLDERS |= {n: f"rewardloom.{n}" for n in ("wrappers", "baselines")}


def declared():
    text = (ROOT / "pyproject.toml").read_text()
    block = text.split("packages = [", 1)[1].split("]", 1)[0]
    return {part.strip().strip('",') for part in block.splitlines() if part.strip().startswith('"')}


def test_every_package_folder_is_declared():
    found = set()
    for folder, name in FOLDERS.items():
        found.add(name)
        found |= {f"{name}.{sub}" for sub in find_packages(str(ROOT / folder))}
    assert declared() == found


def test_the_links_for_type_checkers_match_the_folders():
    links = ROOT / ".links" / "rewardloom"
    wanted = {p.name for p in (ROOT / "core").iterdir() if p.name != "__pycache__"}
    wanted |= set(FOLDERS) - {"core"}
    present = {p.name for p in links.iterdir() if p.name != "__pycache__"}
    assert present == wanted
    assert all(link.exists() for link in links.iterdir())


def run(code):
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_importing_the_package_needs_numpy_and_gymnasium_only():
    heavy = "torch stable_baselines3 nle pettingzoo matplotlib rich minigrid pygame carla docker"
    out = run(
        "import sys, rewardloom, rewardloom.rewards\n"
        "import rewardloom.wrappers, rewardloom.wrappers.vector\n"
        f"print(sorted(set('{heavy}'.split()) & set(sys.modules)))"
    )
    assert out == "[]"


def test_no_module_is_imported_under_its_folders_name():
    out = run(
        "import sys, rewardloom.wrappers, rewardloom.baselines\n"
        "print([n for n in ('core','envs','rewards','wrappers','baselines') if n in sys.modules])"
    )
    assert out == "[]"


@pytest.mark.parametrize("repeat", [1, 2])
def test_registration_is_idempotent_and_quiet(repeat):
    out = run(
        "import warnings; warnings.simplefilter('error')\n"
        "import gymnasium as gym, rewardloom\n"
        f"for _ in range({repeat}): rewardloom.register_worlds()\n"
        "print(len([i for i in gym.registry if i.startswith('rewardloom/')]))"
    )
    assert int(out) == len(__import__("rewardloom.registration", fromlist=["x"]).WORLDS)


def test_an_unknown_world_names_the_nearest():
    import gymnasium as gym

    import rewardloom

    assert rewardloom.__version__
    with pytest.raises(gym.error.NameNotFound, match="NetHackScore"):
        gym.make("rewardloom/NetHackScor-v0")
