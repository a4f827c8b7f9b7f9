"""The space of branching decisions.

- `CandidateSpace`: LP column positions, of which only the candidates of a node are legal.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from gymnasium.spaces import Discrete

__all__ = ["CandidateSpace"]


class CandidateSpace(Discrete):
    """`Discrete(n)` that knows which actions are legal at the waiting decision.

    `sample()` without a mask draws a legal action, so that loops that know nothing of masks can
    play. Everything else is as in `Discrete`; `sample(mask)` takes Gymnasium's int8 mask.

    Args:
        n: Number of actions.

    Attributes:
        legal: (n,) bool, the legal actions; None while no decision waits, when all are drawn.
    """

    def __init__(self, n: int):
        super().__init__(n)
        self.legal: npt.NDArray[np.bool_] | None = None

    def sample(self, mask: Any = None, probability: Any = None) -> np.int64:
        """Draw an action: of `mask` or `probability` as in `Discrete`, else of the legal ones."""
        if mask is None and probability is None and self.legal is not None and self.legal.any():
            return np.int64(self.np_random.choice(np.flatnonzero(self.legal)))
        return super().sample(mask, probability)

    def __repr__(self) -> str:
        """Name the space and the number of actions."""
        return f"CandidateSpace({self.n})"
