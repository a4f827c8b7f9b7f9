"""Branching decisions of SCIP's search for mixed-integer programs."""
