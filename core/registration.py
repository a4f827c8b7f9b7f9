"""Registers rewardloom's worlds with Gymnasium, by string: no world is imported here.

In worker processes and configurations write `rewardloom:rewardloom/<Name>-v0`, which imports this
package first.
"""

from __future__ import annotations

from typing import Any

import gymnasium as gym

__all__ = ["NAMESPACE", "WORLDS", "register_worlds"]

NAMESPACE = "rewardloom"

_NETHACK = "rewardloom.envs.nethack:"
_BRANCHING = "rewardloom.envs.branching.world:MilpBranching"

WORLDS: dict[str, tuple[str, dict[str, Any]]] = {
    "NetHackScore-v0": (f"{_NETHACK}NetHackScore", {}),
    "NetHackStaircase2-v0": (f"{_NETHACK}NetHackStaircase", {"level": 2}),
    "NetHackStaircase3-v0": (f"{_NETHACK}NetHackStaircase", {"level": 3}),
    "NetHackStaircase4-v0": (f"{_NETHACK}NetHackStaircase", {"level": 4}),
    "NetHackStaircase2Continual-v0": (
        f"{_NETHACK}NetHackStaircase",
        {"level": 2, "continual": True},
    ),
    "NetHackStaircase3Continual-v0": (
        f"{_NETHACK}NetHackStaircase",
        {"level": 3, "continual": True},
    ),
    "NetHackStaircase4Continual-v0": (
        f"{_NETHACK}NetHackStaircase",
        {"level": 4, "continual": True},
    ),
    "NetHackOracle-v0": (f"{_NETHACK}NetHackOracle", {}),
    "NetHackOracleContinual-v0": (f"{_NETHACK}NetHackOracle", {"continual": True}),
    "NetHackOracleSober-v0": (f"{_NETHACK}NetHackOracle", {"sober": True}),
    "MilpBranching-v0": (_BRANCHING, {}),
    "MilpBranchingMicro-v0": (_BRANCHING, {"family": "micro"}),
}
"""World name -> (entry point, keyword arguments)."""

_VECTORS = {_BRANCHING: "rewardloom.envs.branching.vector:MilpBranchingVector"}
"""Entry point of a world -> that of its native vector, which `gym.make_vec` takes."""


def register_worlds() -> None:
    """Register every world once; a second call changes nothing."""
    for name, (entry_point, kwargs) in WORLDS.items():
        env_id = f"{NAMESPACE}/{name}"
        if env_id not in gym.registry:
            gym.register(
                env_id,
                entry_point=entry_point,
                vector_entry_point=_VECTORS.get(entry_point),
                kwargs=kwargs,
            )
