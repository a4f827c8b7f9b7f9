"""The examples in the plugs' docstrings run."""

import doctest
import importlib

import pytest

MODULES = {"attach": 7, "vec_env": 6, "vector_env": 4}


@pytest.mark.parametrize("name", MODULES)
def test_examples(name):
    result = doctest.testmod(importlib.import_module(f"rewardloom.baselines.plugs.{name}"))
    assert result.failed == 0
    assert result.attempted >= MODULES[name]
