"""Programs from files, and one clear error for those that cannot be branched on.

- `read_instances`: the instance files of a folder, or one file.
- `read_model`: a file as a SCIP model.
- `check_relaxation`: refuse a model whose relaxation is infeasible or unbounded.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from rewardloom.envs.branching.backend import load_scip
from rewardloom.errors import ConfigError

if TYPE_CHECKING:
    from pyscipopt import Model

__all__ = ["SUFFIXES", "check_relaxation", "read_instances", "read_model"]

SUFFIXES = (".mps", ".lp", ".cip", ".mps.gz", ".lp.gz", ".cip.gz")
"""What the name of an instance file ends in."""

_LINEAR = ("linear", "knapsack", "setppc", "logicor", "varbound")
_UNUSABLE = {
    "infeasible": "it has no solution: the relaxation is infeasible already",
    "unbounded": "it is unbounded: the relaxation has no optimum",
    "inforunbd": "it is infeasible or unbounded",
}


def read_instances(path: str | os.PathLike[str]) -> list[Path]:
    """Return the instance files at `path`, sorted by name.

    Args:
        path: A file, or a folder whose files with one of `SUFFIXES` are taken (not those of its
            sub-folders; other files are passed over).

    Raises:
        ConfigError: Nothing is there, a file has another suffix, or a folder holds no instance.
    """
    place = Path(path)
    if place.is_dir():
        found = sorted(entry for entry in place.iterdir() if entry.is_file() and _is_named(entry))
        if not found:
            raise ConfigError(f"The folder {place} holds no instance: no file in {_listing()}.")
        return found
    if not place.is_file():
        raise ConfigError(f"There is no instance file or folder {place}.")
    if not _is_named(place):
        raise ConfigError(f"{place} is no instance file: its name does not end in {_listing()}.")
    return [place]


def read_model(path: str | os.PathLike[str], *, relaxation: bool = True) -> Model:
    """Read an instance file into a fresh, quiet `pyscipopt.Model`; the caller frees it.

    Args:
        path: One instance file, with one of `SUFFIXES`.
        relaxation: Also solve the linear relaxation once (on a copy) and refuse a program whose
            relaxation is infeasible or unbounded. Turn it off for a file that passed before.

    Raises:
        ConfigError: The file is missing, empty or unreadable, or the program has no variable, no
            constraint, no integer variable, a constraint that is not linear, or an infeasible or
            unbounded relaxation. The message names the file.
        MissingDependency: pyscipopt is not installed.
    """
    file = _one_file(path)
    if file.stat().st_size == 0:
        raise ConfigError(f"The instance file {file} is empty.")
    model = load_scip().Model()
    model.hideOutput()
    try:
        try:
            model.readProblem(str(file))
        except Exception as error:  # SCIP's return codes come as several types
            raise ConfigError(
                f"SCIP cannot read the instance file {file} ({error}); it prints the line that it "
                "stumbled over, if any, on stderr."
            ) from error
        _check_program(model, file)
        if relaxation:
            check_relaxation(model, str(file))
    except BaseException:
        model.free()
        raise
    return model


def check_relaxation(model: Model, where: str) -> None:
    """Solve the linear relaxation of `model` on a copy; `model` itself stays as it is.

    Args:
        model: A model in problem stage.
        where: What the message calls the program.

    Raises:
        ConfigError: The relaxation is infeasible or unbounded. (A program without an integral
            solution that has a relaxation shows only in the search.)
    """
    copy = load_scip().Model(sourceModel=model, origcopy=True)
    try:
        copy.hideOutput()
        copy.setParam("misc/catchctrlc", False)
        copy.relax()
        copy.optimizeNogil()
        status = copy.getStatus()
    finally:
        copy.free()
    if status in _UNUSABLE:
        raise ConfigError(f"Nothing to branch on in {where}: {_UNUSABLE[status]}.")


def _one_file(path: str | os.PathLike[str]) -> Path:
    if Path(path).is_dir():
        raise ConfigError(f"{path} is a folder; list its files with read_instances.")
    return read_instances(path)[0]


def _check_program(model: Model, file: Path) -> None:
    if model.getNVars() == 0:
        raise ConfigError(f"The instance file {file} defines no variable.")
    constraints = model.getConss()
    if not constraints:
        raise ConfigError(f"The instance file {file} defines no constraint.")
    kinds = sorted({kind for c in constraints if (kind := c.getConshdlrName()) not in _LINEAR})
    if kinds:
        raise ConfigError(
            f"The instance file {file} has constraints that are not linear ({', '.join(kinds)}); "
            "the branching world takes mixed-integer linear programs."
        )
    if model.getNBinVars() + model.getNIntVars() == 0:
        raise ConfigError(
            f"The instance file {file} is a pure linear program: no variable is integer."
        )


def _is_named(file: Path) -> bool:
    return file.name.lower().endswith(SUFFIXES)


def _listing() -> str:
    return ", ".join(SUFFIXES)
