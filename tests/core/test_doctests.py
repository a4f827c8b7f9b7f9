"""Every example in a docstring runs, imported under its installed name."""

import doctest
import importlib
import pkgutil

import pytest

import rewardloom


def modules():
    names = ["rewardloom"]
    for package in ("rewardloom", "rewardloom.rewards", "rewardloom.wrappers", "rewardloom.envs"):
        found = importlib.import_module(package)
        names += [m.name for m in pkgutil.walk_packages(found.__path__, package + ".")]
    return sorted({name for name in names if "baselines" not in name})


@pytest.mark.parametrize("name", modules())
def test_examples(name):
    assert rewardloom.__version__
    result = doctest.testmod(importlib.import_module(name))
    assert result.failed == 0
