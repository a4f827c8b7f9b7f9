"""Imports pyscipopt, or says in one line how to get it."""

from __future__ import annotations

import importlib
from types import ModuleType

from rewardloom.errors import MissingDependency

__all__ = ["load_scip"]


def load_scip() -> ModuleType:
    """Import and return `pyscipopt`.

    Raises:
        MissingDependency: pyscipopt is not installed.
    """
    try:
        return importlib.import_module("pyscipopt")
    except ImportError as error:
        raise MissingDependency(
            "Branching worlds need SCIP through pyscipopt, which does not import here "
            f'({error}). Run: pip install "rewardloom[milp]"'
        ) from error
