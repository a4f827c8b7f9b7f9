"""Random numbers of a text, which do not depend on when it is asked about."""

from __future__ import annotations

import hashlib

__all__ = ["chances"]


def chances(seed: int, text: str) -> tuple[float, float]:
    """Return two numbers in [0, 1) that look random and depend on nothing else."""
    data = f"{seed} {text}".encode("utf-8", "surrogatepass")
    digest = hashlib.blake2b(data, digest_size=16).digest()
    first, second = digest[:8], digest[8:]
    return int.from_bytes(first, "big") / 2**64, int.from_bytes(second, "big") / 2**64
