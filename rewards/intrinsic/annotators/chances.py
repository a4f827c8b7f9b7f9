"""Random numbers of a text, which do not depend on when it is asked about.

- `chances`: two of them.
- `checked_seed`: the seed they take.
"""

from __future__ import annotations

import hashlib
from typing import Any

from rewardloom.errors import ConfigError
from rewardloom.rewards.numbers import is_integer

__all__ = ["chances", "checked_seed"]


def chances(seed: int, text: str) -> tuple[float, float]:
    """Return two numbers in [0, 1) that look random and depend on nothing else."""
    data = f"{seed} {text}".encode("utf-8", "surrogatepass")
    digest = hashlib.blake2b(data, digest_size=16).digest()
    first, second = digest[:8], digest[8:]
    return int.from_bytes(first, "big") / 2**64, int.from_bytes(second, "big") / 2**64


def checked_seed(seed: Any) -> int:
    """Return `seed`, or raise `ConfigError` if it is no integer >= 0."""
    if not is_integer(seed) or seed < 0:
        raise ConfigError(f"seed must be an integer >= 0, got {seed!r}.")
    return int(seed)
