"""What the reward models of captions have in common.

- `CaptionModel`: the protocol.
- `Item`: what an annotator is asked about: a caption, or a pair of captions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Protocol, TypeAlias, runtime_checkable

from numpy.typing import NDArray

from rewardloom.typing import F64N

__all__ = ["CaptionModel", "Item"]

Item: TypeAlias = str | tuple[str, str]


@runtime_checkable
class CaptionModel(Protocol):
    """Turns annotations into the worth of captions.

    Attributes:
        annotates: Whether its items are "captions" (labelled one by one) or "pairs" (compared).
        table: caption -> worth, for captions whose worth is settled until the model changes.
            Callers read it; the model empties it when it is trained, and bounds its size.
    """

    annotates: Literal["captions", "pairs"]
    table: dict[str, float]

    @property
    def refits(self) -> int:
        """How often a network was trained; 0 for ever in a model without one."""
        ...

    @property
    def labels(self) -> int:
        """How many annotations it holds."""
        ...

    def wanted(self, captions: Sequence[str], room: int) -> Sequence[Item]:
        """Return items worth annotating, at most `room`, the most urgent last.

        Trains when labels have waited for others through too many captions.

        Args:
            captions: Captions of one tick (or rollout) that are not in `table`, or, for a model
                that compares, all of them; repeated or not.
            room: How many items the annotator's queue can take now.
        """
        ...

    def learn(self, items: Sequence[Item], labels: NDArray[Any]) -> None:
        """Take in annotations, and train when the schedule says so.

        Args:
            items: What was annotated.
            labels: (len(items),) float64 in [0, 1], none of them NaN.
        """
        ...

    def values(self, captions: Sequence[str]) -> F64N:
        """Return the worth of distinct captions, (n,) float64; 0 where there is no opinion yet.

        What is settled enters `table`.
        """
        ...

    def diagnostics(self) -> dict[str, float]:
        """Return finite numbers about labels and training; the keys never change."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """Return all that the model learned, as plain Python, numpy and CPU tensors."""
        ...

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        ...
