"""Where torch computes.

- `checked_device`: the name of a device that is here.
"""

from __future__ import annotations

import torch

from rewardloom.errors import ConfigError

__all__ = ["checked_device"]


def checked_device(name: str) -> str:
    """Return `name`, or raise `ConfigError` for a device that is not here.

    SB3 would quietly take the CPU instead of a missing GPU.
    """
    try:
        kind = torch.device(name).type
    except RuntimeError:
        raise ConfigError(f"There is no device {name!r}; use auto, cpu or cuda.") from None
    if kind == "cuda" and not torch.cuda.is_available():
        raise ConfigError(
            f"device={name!r}, but torch finds no CUDA GPU here; `rewardloom doctor` says why. "
            "Use auto or cpu."
        )
    return name
