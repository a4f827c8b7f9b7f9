"""Captions judged by how near they are to a goal's words, as in ELLM (Du et al. 2023).

- `EmbeddingAnnotator`: cosines of sentence embeddings.
- `sentence_encoder`: embeddings by a sentence-transformers model in a folder of yours.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from rewardloom.errors import ConfigError, MissingDependency
from rewardloom.rewards.intrinsic.annotators.goals import Goal, GoalLike, read_goal
from rewardloom.rewards.numbers import is_number
from rewardloom.typing import F64N

__all__ = ["EmbeddingAnnotator", "Encoder", "sentence_encoder"]

Encoder: TypeAlias = Callable[[Sequence[str]], Any]

_SAME = 1e-6
"""Scores nearer than this tie: encoders are no more exact."""


class EmbeddingAnnotator:
    """Calls a caption helpful if its embedding is near enough to the goal's words.

    With a `threshold`, the score of a caption is its cosine to the goal's description, and it is
    helpful from the threshold on. Without one, the score is the cosine to the nearest helpful
    example less that to the nearest unhelpful one, and it is helpful above `margin`. Of two
    captions the one of the higher score shows more progress. A blank caption, or one that the
    encoder maps to zero, has cosine 0 to everything.

    Args:
        goal: What is helpful: the name of a shipped goal, a `Goal`, its fields, or a JSON file.
        encoder: (texts) -> (n, d) array, or the folder of a sentence-transformers model.
        threshold: A cosine in [-1, 1]; None takes the goal's examples.
        margin: How much nearer the helpful examples must be; in [-2, 2].
        encoder_name: Goes into records; a folder's own name is taken if there is none.

    Attributes:
        goal: The `Goal`.
        name: "embedding:", the encoder's name and the goal's name.
        version: A digest of the goal, and the threshold or margin.

    Raises:
        ConfigError: an unknown goal, one without both kinds of examples where there is no
            threshold, no encoder, or an encoder that gives no (n, d) array of finite numbers.
        MissingDependency: a folder is given and sentence-transformers is not installed.
    """

    def __init__(
        self,
        goal: GoalLike,
        encoder: Encoder | str | os.PathLike[str],
        *,
        threshold: float | None = None,
        margin: float = 0.0,
        encoder_name: str | None = None,
    ):
        self.goal = read_goal(goal)
        if threshold is not None and not (is_number(threshold) and -1 <= threshold <= 1):
            raise ConfigError(f"threshold must be a cosine in [-1, 1], got {threshold!r}.")
        if not (is_number(margin) and -2 <= margin <= 2):
            raise ConfigError(f"margin must be a difference of cosines in [-2, 2], got {margin!r}.")
        if threshold is not None and margin:
            raise ConfigError("margin is for examples; with a threshold, move that instead.")
        self.threshold, self.margin = threshold, float(margin)
        if isinstance(encoder, str | os.PathLike):
            encoder_name = encoder_name or Path(encoder).resolve().name
            encoder = sentence_encoder(encoder)
        if not callable(encoder):
            raise ConfigError(f"encoder must be a function or a folder, got {encoder!r}.")
        self._encoder = encoder
        self.name = f"embedding:{encoder_name or 'own'}:{self.goal.name}"
        kind = f"margin={self.margin}" if threshold is None else f"threshold={threshold}"
        self.version = f"goal {self.goal.digest} {kind}"
        self._near, self._far = self._prototypes(self.goal)

    def label(self, captions: Sequence[str]) -> F64N:
        """See `Annotator.label`."""
        scores = self.scores(captions)
        if self.threshold is None:
            return (scores > self.margin).astype(np.float64)
        return (scores >= self.threshold).astype(np.float64)

    def compare(self, pairs: Sequence[tuple[str, str]]) -> F64N:
        """See `Comparer.compare`."""
        captions = list(dict.fromkeys(caption for pair in pairs for caption in pair))
        scores = dict(zip(captions, self.scores(captions).tolist(), strict=True))
        ahead = np.array([scores[first] - scores[second] for first, second in pairs], float)
        return np.where(np.abs(ahead) <= _SAME, 0.5, np.where(ahead > 0, 1.0, 0.0))

    def scores(self, captions: Sequence[str]) -> F64N:
        """Return the score of each caption, (len(captions),) float64; see the class."""
        if not len(captions):
            return np.zeros(0)
        embedded = self._embed(captions)
        near = (embedded @ self._near.T).max(axis=1)
        return near if self._far is None else near - (embedded @ self._far.T).max(axis=1)

    def _prototypes(self, goal: Goal) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
        if self.threshold is not None:
            return self._embed([goal.description]), None
        if not goal.helpful or not goal.unhelpful:
            raise ConfigError(
                f"Goal {goal.name!r} has no helpful and unhelpful examples to compare captions "
                "with; add both, or give a threshold for the cosine to its description."
            )
        return self._embed(goal.helpful), self._embed(goal.unhelpful)

    def _embed(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Return embeddings of length 1, or 0 for blank texts."""
        rows = np.asarray(self._encoder(list(texts)), np.float64)
        if rows.ndim != 2 or len(rows) != len(texts) or not np.isfinite(rows).all():
            raise ConfigError(
                f"The encoder must return a ({len(texts)}, d) array of finite numbers for "
                f"{len(texts)} texts, got shape {rows.shape}."
            )
        rows[[not text.strip() for text in texts]] = 0.0
        lengths = np.linalg.norm(rows, axis=1, keepdims=True)
        return rows / np.where(lengths > 0, lengths, 1.0)


def sentence_encoder(
    model: str | os.PathLike[str], *, download: bool = False, batch_size: int = 64
) -> Encoder:
    """Return an encoder that runs a sentence-transformers model on the CPU.

    Args:
        model: The folder of a model; with `download`, also a model's name.
        download: Whether sentence-transformers may fetch the model. Without it nothing is fetched.
        batch_size: Texts encoded at once.

    Raises:
        ConfigError: no such folder.
        MissingDependency: sentence-transformers is not installed.
    """
    path = os.fspath(model)
    if not download and not Path(path).is_dir():
        raise ConfigError(
            f"There is no folder {path!r} with a sentence-transformers model. Give the folder of "
            "one, or encoder=sentence_encoder(name, download=True) to have it fetched."
        )
    try:
        from sentence_transformers import (  # pyright: ignore[reportMissingImports] - an extra
            SentenceTransformer,
        )
    except ImportError:
        raise MissingDependency(
            "Sentence embeddings need sentence-transformers: pip install 'rewardloom[embed]'."
        ) from None
    loaded = SentenceTransformer(path, device="cpu", local_files_only=not download)

    def encode(texts: Sequence[str]) -> NDArray[np.float64]:
        safe = [text.encode("utf-8", "replace").decode() for text in texts]  # lone surrogates
        return loaded.encode(safe, batch_size=batch_size, show_progress_bar=False)

    return encode
