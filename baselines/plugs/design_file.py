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
    torch.save(_encoded(design.state_dict(), type(design).__name__), temporary)
    os.replace(temporary, target)
    return target


def load_design(path: str | Path, design: RewardDesign) -> None:
    """Restore what `save_design` wrote beside a model's zip, on the CPU.

    Args:
        path: What `model.load` gets.
        design: Made with the same arguments.

    Raises:
        ConfigError: there is no such file.
    """
    source = _beside(path)
    if not source.is_file():
        raise ConfigError(f"There is no {source}; save_design({str(path)!r}, design) writes it.")
    state = torch.load(source, map_location="cpu", weights_only=True)
    design.load_state_dict(_decoded(state))


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
