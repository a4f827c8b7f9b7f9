"""Checkpoints: everything that a run needs to go on as if it had never stopped.

- `Checkpoint`: one saved boundary.
- `save_checkpoint`: writes one so that it is either whole or not there.
- `latest_checkpoint`: finds the newest; `restore` gives its states back.
- `save_agent`: writes a model zip.

A checkpoint holds the agent with its optimizer, the random states of Python, numpy and torch, the
memory of the designs, and how many rows the tables had. It holds no environment: at a boundary
all of them are reset. `state.pt` is a pickle; load only what you trained yourself.
"""

from __future__ import annotations

import io
import json
import os
import random
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from rewardloom.baselines.training.algorithms import Agent
from rewardloom.baselines.training.folder import RunFolder, write_bytes, write_json
from rewardloom.errors import RunError
from rewardloom.rewards.design import RewardDesign

__all__ = ["Checkpoint", "latest_checkpoint", "restore", "save_agent", "save_checkpoint"]

_TEMPORARY = ".writing"


class Checkpoint(NamedTuple):
    """One saved boundary.

    Attributes:
        path: Its folder.
        step: Environment steps taken when it was saved.
        updates: Gradient epochs done, which SB3 logs.
        rows: Rows of each table that were written before it.
    """

    path: Path
    step: int
    updates: int
    rows: dict[str, int]


def save_checkpoint(
    folder: RunFolder,
    model: Agent,
    designs: Mapping[str, RewardDesign],
    *,
    rows: Mapping[str, int],
    keep: int,
) -> None:
    """Save a boundary at the model's present step and drop all but the latest `keep`.

    Raises:
        OSError: the disk is full or not writable; earlier checkpoints are untouched.
    """
    step = model.num_timesteps
    temporary = folder.checkpoints / _TEMPORARY
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    try:
        save_agent(model, temporary / "model.zip")
        state = io.BytesIO()
        memory = {name: design.state_dict() for name, design in designs.items()}
        torch.save({"random": _random_states(), "designs": memory}, state)
        write_bytes(temporary / "state.pt", state.getvalue())
        write_json(
            temporary / "checkpoint.json",
            {"step": step, "updates": model._n_updates, "rows": dict(rows)},
        )
        os.rename(temporary, folder.checkpoints / str(step))
        _sync(folder.checkpoints)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    for path in _saved(folder)[:-keep]:
        shutil.rmtree(path)


def save_agent(model: Agent, path: Path) -> None:
    """Write an agent's zip in one go; through memory, as torch hides a full disk's OSError."""
    content = io.BytesIO()
    model.save(content)
    write_bytes(path, content.getvalue())


def latest_checkpoint(folder: RunFolder) -> Checkpoint | None:
    """Return the newest checkpoint, or None if the run was stopped before the first.

    Raises:
        RunError: its files cannot be read.
    """
    saved = _saved(folder)
    if not saved:
        return None
    path = saved[-1]
    try:
        facts = json.loads((path / "checkpoint.json").read_text(encoding="utf-8"))
        return Checkpoint(path, facts["step"], facts["updates"], facts["rows"])
    except (OSError, KeyError, json.JSONDecodeError) as error:
        raise RunError(
            f"The checkpoint {path} cannot be read ({error}). Delete that folder to go on from the "
            "one before it."
        ) from error


def restore(checkpoint: Checkpoint, designs: Mapping[str, RewardDesign]) -> None:
    """Give the designs and the random generators the states they had at the checkpoint."""
    state = torch.load(checkpoint.path / "state.pt", map_location="cpu", weights_only=False)
    for name, design in designs.items():
        design.load_state_dict(state["designs"][name])
    _set_random_states(state["random"])


def _saved(folder: RunFolder) -> list[Path]:
    """Return the folders of whole checkpoints, oldest first."""
    if not folder.checkpoints.is_dir():
        return []
    found = [path for path in folder.checkpoints.iterdir() if path.name.isdigit()]
    return sorted(found, key=lambda path: int(path.name))


def _random_states() -> dict[str, Any]:
    states = {
        "python": random.getstate(),
        "numpy": np.random.get_state(),
        "torch": torch.get_rng_state(),
    }
    if torch.cuda.is_available():
        states["cuda"] = torch.cuda.get_rng_state_all()
    return states


def _set_random_states(states: dict[str, Any]) -> None:
    random.setstate(states["python"])
    np.random.set_state(states["numpy"])
    torch.set_rng_state(states["torch"])
    if "cuda" in states and torch.cuda.is_available():
        torch.cuda.set_rng_state_all(states["cuda"])


def _sync(path: Path) -> None:
    """Have the operating system put a folder's entries onto the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
