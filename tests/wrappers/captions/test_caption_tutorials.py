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


@pytest.mark.parametrize(
    ("names", "controls", "talk"),
    [
        (["intrinsic_minigrid", "intrinsic_minigrid_shuffles"], 3, {}),
        (["intrinsic_key_corridor"], 3, {}),
        (["intrinsic_minigrid_places"], 5, {"sights": False, "places": True}),
    ],
)
def test_the_comparisons_are_configurations_with_controls_that_shuffle_all_captions(
    names, controls, talk
):
    arms = {}
    for name in names:
        settings = json.loads((EVIDENCE / f"{name}.json").read_text())
        CompareConfig.from_dict(settings)
        arms |= settings["arms"]
    assert {"extrinsic", "intrinsic", "any-caption"} <= set(arms)
    shuffled = [arm for arm in arms if arm.startswith("shuffled")]
    known = [set(arms[arm][0]["annotator"]["captions"]) for arm in shuffled]
    assert len(known) == controls
    assert all(captions == known[0] for captions in known)
    heard = captions_of_random_play(settings["world"].split(":")[1], **talk)
    assert heard <= known[0]
    assert len(heard) > 10


def captions_of_random_play(world, steps=2000, **talk):
    assert minigrid.__version__
    env = MiniGridCaptions(gym.make(world, disable_env_checker=True), **talk)
    env.action_space.seed(0)
    heard = {env.reset(seed=seed)[1]["caption"] for seed in range(9)}
    for _ in range(steps):
        _, _, terminated, truncated, info = env.step(env.action_space.sample())
        heard.add(info["caption"])
        if terminated or truncated:
            env.reset()
    return heard
