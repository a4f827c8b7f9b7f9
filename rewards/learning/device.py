"""Where a model is trained; needs torch for every device but the CPU.

- `check_device`: refuses a device that is not there, when a design is made.
- `torch_device`: the device itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rewardloom.errors import ConfigError, MissingDependency

if TYPE_CHECKING:
    import torch

__all__ = ["check_device", "torch_device"]


def check_device(name: Any) -> None:
    """Refuse a device on which nothing can be computed here; "cpu" does not load torch.

    Raises:
        ConfigError: there is no such device.
        MissingDependency: torch is not installed, and the device is not the CPU.
    """
    if name != "cpu":
        torch_device(name)


def torch_device(name: Any) -> torch.device:
    """Return the torch device called `name`.

    Raises:
        ConfigError: there is no such device here.
        MissingDependency: torch is not installed.
    """
    if not isinstance(name, str):
        raise ConfigError(f'device must be a name such as "cpu" or "cuda:0", got {name!r}.')
    try:
        import torch
    except ImportError as error:
        raise MissingDependency(
            f'device={name!r} needs torch. Run: pip install "rewardloom[baselines]"'
        ) from error
    try:
        device = torch.device(name)
        torch.zeros(1, device=device).tolist()
    except (RuntimeError, AssertionError, ImportError) as error:
        count = torch.cuda.device_count()
        found = f"cpu and {count} cuda device(s)" if count else "cpu, and no CUDA GPU"
        raise ConfigError(f"There is no device {name!r} here; torch finds {found}.") from error
    return device
