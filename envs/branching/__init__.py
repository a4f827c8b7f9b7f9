"""Branching decisions of SCIP's search for mixed-integer programs.

Importing this package imports pyscipopt: `rewardloom.errors.MissingDependency` says how to install
it.
"""

from rewardloom.envs.branching.backend import load_scip

load_scip()
