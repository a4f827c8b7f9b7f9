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

assert minigrid.__version__

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


def test_the_minigrid_comparison_is_a_configuration_with_a_control():
    path = ROOT / "examples" / "evidence" / "intrinsic_minigrid.json"
    config = CompareConfig.from_dict(json.loads(path.read_text()))
    assert {"extrinsic", "intrinsic", "any-caption", "count"} <= set(config.arms)
    controls = [arm for arm in config.arms if arm.startswith("shuffled")]
    assert len(controls) == 3


def test_the_control_shuffles_all_captions_of_the_world():
    settings = json.loads((ROOT / "examples" / "evidence" / "intrinsic_minigrid.json").read_text())
    known = set(settings["arms"]["shuffled-0"][0]["annotator"]["captions"])
    env = MiniGridCaptions(gym.make("MiniGrid-DoorKey-6x6-v0"))
    env.action_space.seed(0)
    heard = {env.reset(seed=seed)[1]["caption"] for seed in range(3)}
    for _ in range(2000):
        _, _, terminated, truncated, info = env.step(env.action_space.sample())
        heard.add(info["caption"])
        if terminated or truncated:
            env.reset()
    assert heard <= known
    assert len(heard) > 15
