import subprocess
import sys

import pytest

IMPORTS = """
import sys
from rewardloom.rewards.intrinsic.models.classification import ClassificationModel
from rewardloom.rewards.intrinsic.models.ranking import RankingModel
"""


def python(program):
    return subprocess.run([sys.executable, "-c", IMPORTS + program], capture_output=True, text=True)


def test_importing_the_learned_models_loads_no_torch():
    done = python("assert 'torch' not in sys.modules")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("model", ["ClassificationModel", "RankingModel"])
def test_without_torch_the_command_that_installs_it_is_named(model):
    done = python(f"sys.modules['torch'] = None; {model}()")
    assert "MissingDependency" in done.stderr
    assert 'pip install "rewardloom[baselines]"' in done.stderr
