"""Training and evaluating one agent: configuration, checkpoints, callbacks.

`train`, `evaluate` and `RunResult` load torch and Stable-Baselines3 when they are first asked for.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from rewardloom.baselines.training.config import TrainConfig as TrainConfig
from rewardloom.baselines.training.config import load_config as load_config

if TYPE_CHECKING:
    from rewardloom.baselines.training.evaluation import evaluate as evaluate
    from rewardloom.baselines.training.run import RunResult as RunResult
    from rewardloom.baselines.training.run import train as train

_LAZY = {
    "RunResult": "rewardloom.baselines.training.run",
    "evaluate": "rewardloom.baselines.training.evaluation",
    "train": "rewardloom.baselines.training.run",
}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_LAZY[name]), name)
