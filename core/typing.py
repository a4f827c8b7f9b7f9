"""Array types used in signatures; the letters name the axes.

N: slots (one environment, the sub-environments of a vector, or the agents of a multi-agent one).
K: reward components. T: steps of all episodes laid end to end. E: episodes.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = ["F64N", "F64NK", "F64T", "F64TK", "I64E1", "BoolE", "BoolN", "ComponentNames"]

BoolN: TypeAlias = NDArray[np.bool_]
BoolE: TypeAlias = NDArray[np.bool_]
F64N: TypeAlias = NDArray[np.float64]
F64NK: TypeAlias = NDArray[np.float64]
F64T: TypeAlias = NDArray[np.float64]
F64TK: TypeAlias = NDArray[np.float64]
I64E1: TypeAlias = NDArray[np.int64]


class ComponentNames(tuple[str, ...]):
    """The components of a world, in the order of every K axis.

    Attributes:
        terminal: Those that mean something only at an episode's last step.
    """

    terminal: frozenset[str]

    def __new__(cls, names: Iterable[str], terminal: Iterable[str] = ()) -> ComponentNames:
        """Make the tuple of `names`; `terminal` are some of them."""
        made = super().__new__(cls, names)
        made.terminal = frozenset(terminal)
        return made
