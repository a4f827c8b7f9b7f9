#!/usr/bin/env bash
# Installs a wheel into a bare environment (numpy and gymnasium only) and uses it from elsewhere.
set -euo pipefail
wheel=$(realpath "$1")
python=$(realpath -s .venv/bin/python)
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
"$python" -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check "$wheel"
cd "$place"
venv/bin/python - <<'PY'
import sys

import gymnasium as gym

import rewardloom
from rewardloom.testing import ComponentWorld
from rewardloom.wrappers import DeferReward, WeightReward

env = DeferReward(WeightReward(ComponentWorld(), {"a": 1.0}))
env.reset(seed=0)
env.step(0)
heavy = {"torch", "nle", "stable_baselines3", "pettingzoo", "matplotlib"} & set(sys.modules)
assert not heavy, heavy
try:
    gym.make("rewardloom/NetHackScore-v0")
except rewardloom.MissingDependency as error:
    assert "pip install" in str(error), error
else:
    raise AssertionError("nle is not installed here")
print("wheel:", rewardloom.__version__, "works without extras")
PY
venv/bin/rewardloom --help > /dev/null
