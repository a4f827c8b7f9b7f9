"""Who says what captions are worth: the two questions, and what an answer looks like.

- `Annotator`: labels captions one by one.
- `Comparer`: says which of two captions shows more progress.
- `HELPFUL`, `UNHELPFUL`, `NO_LABEL`: the labels; anything between the first two is a soft label.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from rewardloom.typing import F64N

__all__ = ["HELPFUL", "NO_LABEL", "UNHELPFUL", "Annotator", "Comparer"]

HELPFUL = 1.0
UNHELPFUL = 0.0
NO_LABEL = float("nan")
"""There is no answer; the caption, or the pair, may be asked about again."""


@runtime_checkable
class Annotator(Protocol):
    """Labels captions. A language model, a person or a list of rules can be behind it.

    Attributes:
        name: What labels, and for which goal; goes into records.
        version: Changes whenever an answer could change; goes into records.
    """

    name: str
    version: str

    def label(self, captions: Sequence[str]) -> F64N:
        """Return how helpful each caption is.

        Args:
            captions: Distinct texts.

        Returns:
            (len(captions),) float64 in [0, 1]: `HELPFUL`, `UNHELPFUL`, a probability of being
            helpful between them, or NaN (`NO_LABEL`).
        """
        ...


@runtime_checkable
class Comparer(Protocol):
    """Compares captions.

    Attributes:
        name: What compares, and for which goal; goes into records.
        version: Changes whenever an answer could change; goes into records.
    """

    name: str
    version: str

    def compare(self, pairs: Sequence[tuple[str, str]]) -> F64N:
        """Return how sure it is that the first caption of each pair shows more progress.

        Args:
            pairs: Distinct pairs of texts.

        Returns:
            (len(pairs),) float64 in [0, 1]: 1.0 for the first, 0.0 for the second, 0.5 for a tie,
            or NaN (`NO_LABEL`).
        """
        ...
