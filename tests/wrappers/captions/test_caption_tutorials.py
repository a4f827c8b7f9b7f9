"""What the caption tutorials show beside the examples that tests/core/test_docs.py runs."""

import json
import re
import subprocess
import sys
from pathlib import Path

import gymnasium as gym
import minigrid
import pytest

from rewardloom.baselines.comparison.config import CompareConfig
from rewardloom.wrappers.captions import MiniGridCaptions

ROOT = Path(__file__).resolve().parents[3]
TUTORIALS = ROOT / "docs" / "tutorials"


def blocks(page, language):
    text = (TUTORIALS / page).read_text()
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def run(code, *flags):
    command = [sys.executable, *flags, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_walk_through_the_door_prints_what_the_page_shows():
    page = "captions_minigrid.md"
    assert run(blocks(page, "python")[0], "-W", "error") == blocks(page, "text")[0]


def test_the_minihack_example_runs_where_minihack_is_installed():
    probe = "import warnings; warnings.simplefilter('ignore'); import minihack"
    if subprocess.run([sys.executable, "-c", probe], capture_output=True, check=False).returncode:
        pytest.skip("needs minihack and setuptools < 81")
    assert "'count': 1.0" in run(blocks("captions_minihack.md", "py")[0], "-W", "ignore")


EVIDENCE = ROOT / "examples" / "evidence"


@pytest.mark.parametrize("name", ["intrinsic_minigrid", "intrinsic_key_corridor"])
def test_the_comparisons_are_configurations_with_controls_that_shuffle_all_captions(name):
    arms = {}
    for path in sorted(EVIDENCE.glob(f"{name}*.json")):
        settings = json.loads(path.read_text())
        CompareConfig.from_dict(settings)
        arms |= settings["arms"]
    assert {"extrinsic", "intrinsic", "any-caption"} <= set(arms)
    controls = [arm for arm in arms if arm.startswith("shuffled")]
    known = [set(arms[arm][0]["annotator"]["captions"]) for arm in controls]
    assert len(known) == 3
    assert known[0] == known[1] == known[2]
    heard = captions_of_random_play(settings["world"].split(":")[1])
    assert heard <= known[0]
    assert len(heard) > 10


def captions_of_random_play(world, steps=2000):
    assert minigrid.__version__
    env = MiniGridCaptions(gym.make(world, disable_env_checker=True))
    env.action_space.seed(0)
    heard = {env.reset(seed=seed)[1]["caption"] for seed in range(9)}
    for _ in range(steps):
        _, _, terminated, truncated, info = env.step(env.action_space.sample())
        heard.add(info["caption"])
        if terminated or truncated:
            env.reset()
    return heard
