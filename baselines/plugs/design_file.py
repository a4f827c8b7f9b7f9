"""Keeps a reward design's memory beside a model's zip.

- `save_design`, `load_design`: write and restore it.

The file holds tensors and plain Python values only, so it is read without unpickling code.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from rewardloom.errors import ConfigError
from rewardloom.rewards.design import RewardDesign

__all__ = ["load_design", "save_design"]

_KIND = "__array__"  # marks an encoded numpy array
_CLASS = "__design__"  # of the design that wrote the file
_PLAIN = (type(None), bool, int, float, str, bytes)


def save_design(path: str | Path, design: RewardDesign) -> Path:
    """Write a design's memory beside a model's zip, as `<path without .zip>.design.pt`.

    An older file is replaced whole or not at all.

    Args:
        path: What `model.save` got.
        design: Its `state_dict` may hold tensors, numpy arrays and plain Python values, nested.

    Raises:
        ConfigError: the state holds something else.
    """
    target = _beside(path)
    temporary = target.with_name(f".{target.name}.tmp")
    kind = type(design).__name__
    torch.save({_CLASS: kind, "state": _encoded(design.state_dict(), kind)}, temporary)
    os.replace(temporary, target)
    return target


def load_design(path: str | Path, design: RewardDesign) -> None:
    """Restore what `save_design` wrote beside a model's zip, on the CPU.

    Args:
        path: What `model.load` gets.
        design: Made with the same arguments.

    Raises:
        ConfigError: there is no such file, or it holds what another design has learned.
    """
    source = _beside(path)
    if not source.is_file():
        raise ConfigError(f"There is no {source}; save_design({str(path)!r}, design) writes it.")
    held = torch.load(source, map_location="cpu", weights_only=True)
    kind = type(design).__name__
    written_by = held.get(_CLASS, kind)  # files of earlier versions hold the state alone
    if written_by != kind:
        raise ConfigError(
            f"{source} holds the memory of a {written_by} and cannot be loaded into a {kind}. Make "
            "the design that was saved, or give another path."
        )
    state = _decoded(held["state"] if _CLASS in held else held)
    try:
        design.load_state_dict(state)
    except ConfigError:
        raise
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise ConfigError(
            f"The memory in {source} does not fit this {kind} ({type(error).__name__}: {error}). "
            "Make the design with the arguments that it was saved with."
        ) from error


def _beside(path: str | Path) -> Path:
    path = Path(path)
    return path.with_name(f"{path.name.removesuffix('.zip')}.design.pt")


def _encoded(value: Any, where: str) -> Any:
    """Return `value` in types that torch reads without unpickling; `where` is for errors."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, torch.Tensor):
        return value.detach().cpu()
    if isinstance(value, Mapping):
        return {key: _encoded(part, f"{where}[{key!r}]") for key, part in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_encoded(part, f"{where}[{k}]") for k, part in enumerate(value))
    if isinstance(value, np.ndarray):
        return _encoded_array(value, where)
    if type(value) in _PLAIN:
        return value
    raise ConfigError(
        f"{where} of the design's state is a {type(value).__name__}, which cannot be saved. Give "
        "tensors, numpy arrays and plain Python values in state_dict()."
    )


def _encoded_array(array: np.ndarray, where: str) -> dict[str, Any]:
    if array.dtype == object or array.dtype.kind in "SU":
        data = _encoded(array.ravel().tolist(), where)
        return {_KIND: str(array.dtype), "data": data, "shape": list(array.shape)}
    return {_KIND: str(array.dtype), "data": torch.from_numpy(array.copy())}


def _decoded(value: Any) -> Any:
    if isinstance(value, dict) and _KIND in value:
        if isinstance(value["data"], torch.Tensor):
            return value["data"].numpy()
        array = np.empty(len(value["data"]), value[_KIND])
        array[:] = _decoded(value["data"])
        return array.reshape(value["shape"])
    if isinstance(value, dict):
        return {key: _decoded(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(map(_decoded, value))
    return value
