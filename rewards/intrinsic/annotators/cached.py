"""Answers that outlive a run.

- `CachedAnnotator`: asks an annotator only what a file does not hold, and writes its answers there.
- `ReplayAnnotator`: answers from such a file alone.
"""

from __future__ import annotations

import contextlib
import os
import threading
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from rewardloom.errors import ConfigError, unknown_name
from rewardloom.rewards.intrinsic.annotators import checks
from rewardloom.rewards.intrinsic.annotators.protocol import NO_LABEL, Annotator
from rewardloom.rewards.intrinsic.annotators.records import Record, RecordFile
from rewardloom.typing import F64N

__all__ = ["CachedAnnotator", "ReplayAnnotator"]


class CachedAnnotator:
    """Remembers an annotator's answers in a file, across runs and processes.

    The file has a JSON line for each answer and only grows; see `docs/annotators.md`. Answers are
    found by the annotator's name and version (for a language model: model, goal, prompt) and the
    exact captions. Those of other annotators in the same file are left alone. What has no answer is
    not stored and is asked again. Several annotators, environments and processes can share a file
    and use each other's answers; of two answers to one caption the first in the file counts, and
    within a process an answer never changes. A file that cannot be written is warned of, and asking
    goes on. All answers of this annotator are held in memory too, a few hundred bytes each: an
    answer is worth far more than its room, and none may change or be asked for twice.

    Args:
        annotator: Who is asked what the file does not hold.
        path: The file, for example "labels.jsonl"; made when there is something to write.

    Attributes:
        annotator: As given.
        name: That of the annotator. Likewise `version`.
        path: As given, as text.

    Raises:
        ConfigError: no annotator, the path cannot be read, or answers depend on what was asked
            before, as those of a `ShuffledAnnotator` without `captions` do: another run, which
            asks in another order, would contradict the file.
    """

    def __init__(self, annotator: Annotator, path: str | os.PathLike[str]):
        self.annotator = checks.check_annotator(annotator)
        if checks.depends_on_order(annotator):
            raise ConfigError(
                f"The answers of {annotator.name!r} depend on the order of the captions, so a file "
                "of them would contradict the next run. Put the cache inside, "
                '{"annotator": "shuffled", "of": {..., "cache": ...}}, or list the captions.'
            )
        self.name, self.version = annotator.name, annotator.version
        self.path = os.fspath(path)
        self._file = RecordFile(path)
        self._answers: dict[str | tuple[str, str], float] = {}
        self._lock = threading.Lock()
        self._hits = self._misses = 0
        self._told = False
        others = self._take_in(_read(self._file))
        if others and not self._answers:
            warnings.warn(
                f"{self.path!r} has no answer of {self.name!r}, version {self.version!r}, but "
                f"those of {_listed(others)}. It is asked anew, and its answers are added.",
                stacklevel=2,
            )

    def __getstate__(self) -> dict[str, Any]:
        """Everything but the lock."""
        return {key: value for key, value in self.__dict__.items() if key != "_lock"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore it, with a lock of its own."""
        self.__dict__.update(state)
        self._lock = threading.Lock()

    @property
    def available(self) -> bool:
        """Whether the annotator can be asked now."""
        return checks.is_available(self.annotator)

    def label(self, captions: Sequence[str]) -> F64N:
        """See `Annotator.label`; asks only for what the file does not hold."""
        return self._look_up(captions, lambda new: checks.label_with(self.annotator, new))

    def compare(self, pairs: Sequence[tuple[str, str]]) -> F64N:
        """See `Comparer.compare`; asks only for what the file does not hold.

        Raises:
            ConfigError: the annotator does not compare.
        """
        if not len(pairs):
            return checks.compare_with(self.annotator, [])
        asked = [(first, second) for first, second in pairs]
        return self._look_up(asked, lambda new: checks.compare_with(self.annotator, new))

    def metrics(self) -> dict[str, float]:
        """Return the annotator's counts, `cache_hits`, `cache_misses` and `cache_size`."""
        own = {"cache_hits": self._hits, "cache_misses": self._misses}
        own["cache_size"] = len(self._answers)
        return checks.metrics_of(self.annotator) | {key: float(n) for key, n in own.items()}

    def close(self) -> None:
        """Close the annotator; the file is not held open."""
        checks.close(self.annotator)

    def state_dict(self) -> dict[str, Any]:
        """Return the state of the annotator; the answers are in the file."""
        return {"annotator": checks.state_of(self.annotator)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore it."""
        checks.restore(self.annotator, state["annotator"])

    def _look_up(self, items: Sequence[Any], ask: Callable[[list[Any]], F64N]) -> F64N:
        with self._lock:
            missing = [item for item in items if item not in self._answers]
            if missing:
                with contextlib.suppress(OSError):  # then it is asked again
                    self._take_in(self._file.read_new())  # somebody else may have asked
                missing = [item for item in missing if item not in self._answers]
            self._hits += len(items) - len(missing)
            self._misses += len(missing)
        if missing:
            answers = ask(missing).tolist()
            fresh = {i: a for i, a in zip(missing, answers, strict=True) if a == a}
            self._store(fresh)
        return np.array([self._answers.get(item, NO_LABEL) for item in items], float)

    def _store(self, fresh: dict[Any, float]) -> None:
        records = [Record(self.name, self.version, item, a) for item, a in fresh.items()]
        with self._lock:
            for item, answer in fresh.items():
                self._answers.setdefault(item, answer)
            try:
                if records:
                    self._file.append(records)
            except OSError as error:
                told, self._told = self._told, True
                if not told:
                    warnings.warn(
                        f"Cannot write {self.path!r} ({error.strerror}); answers of this run are "
                        "not stored.",
                        stacklevel=5,
                    )

    def _take_in(self, records: list[Record]) -> list[Record]:
        """Keep this annotator's answers; return the records of others."""
        others = []
        for record in records:
            if (record.name, record.version) == (self.name, self.version):
                self._answers.setdefault(record.item, record.answer)
            else:
                others.append(record)
        return others


class ReplayAnnotator:
    """Answers from a file that `CachedAnnotator` wrote; needs no server.

    It takes the name and version of whoever answered, so that a run's state can be restored with
    it. Captions and pairs that the file does not hold get `NO_LABEL`; a run that asked one kind
    cannot be replayed where the other is asked.

    Args:
        path: The file.
        name: Whose answers, for example "openai:llama:score"; needed if there are several.
        version: Which version of them; needed if there are several.

    Attributes:
        name: As recorded. Likewise `version`.

    Raises:
        ConfigError: no such file, no answers in it, answers of several annotators or versions and
            none chosen, or none of the one chosen; the message lists those that are there.
    """

    def __init__(
        self, path: str | os.PathLike[str], name: str | None = None, version: str | None = None
    ):
        shown = repr(os.fspath(path))
        records = _read(RecordFile(path))
        if not records:
            raise ConfigError(f"There are no answers to replay in {shown}.")
        self.name = _one("name", [r.name for r in records], name, shown)
        mine = [record for record in records if record.name == self.name]
        self.version = _one("version", [r.version for r in mine], version, shown)
        self._answers: dict[str | tuple[str, str], float] = {}
        for record in mine:
            if record.version == self.version:
                self._answers.setdefault(record.item, record.answer)
        self._kinds = {type(item) for item in self._answers}
        self._shown = shown
        self._missing = 0

    def label(self, captions: Sequence[str]) -> F64N:
        """See `Annotator.label`.

        Raises:
            ConfigError: the file holds comparisons only; also where `captions` is empty.
        """
        return self._look_up(captions, str)

    def compare(self, pairs: Sequence[tuple[str, str]]) -> F64N:
        """See `Comparer.compare`.

        Raises:
            ConfigError: the file holds labels only; also where `pairs` is empty.
        """
        return self._look_up([(first, second) for first, second in pairs], tuple)

    def metrics(self) -> dict[str, float]:
        """Return `replay_size`, the answers held, and `replay_missing`, those asked in vain."""
        return {"replay_size": float(len(self._answers)), "replay_missing": float(self._missing)}

    def _look_up(self, items: Sequence[Any], kind: type) -> F64N:
        if kind not in self._kinds:
            held, wanted = "labels of captions", "comparisons of pairs"
            if kind is str:
                held, wanted = wanted, held
            raise ConfigError(
                f"Of {self.name!r} {self._shown} holds {held} and no {wanted}. Labels come of runs "
                'with model="retrieval" or "classification", comparisons of those with '
                'model="ranking": replay it with such a model.'
            )
        answers = np.array([self._answers.get(item, NO_LABEL) for item in items], float)
        self._missing += int(np.isnan(answers).sum())
        return answers


def _read(file: RecordFile) -> list[Record]:
    try:
        return file.read_new()
    except OSError as error:
        raise ConfigError(f"Cannot read {str(file.path)!r}: {error.strerror}.") from None


def _one(field: str, found: list[str], wanted: str | None, where: str) -> str:
    options = list(dict.fromkeys(found))
    kind = "annotator" if field == "name" else "version"
    if wanted is None:
        if len(options) > 1:
            raise ConfigError(
                f"{where} holds answers of {len(options)} {kind}s; choose one by {field}=: "
                f"{', '.join(map(repr, options))}."
            )
        return options[0]
    if wanted not in options:
        raise ConfigError(unknown_name(kind, wanted, options, where=f"in {where}"))
    return wanted


def _listed(records: list[Record]) -> str:
    names = list(dict.fromkeys(f"{r.name!r} ({r.version})" for r in records))
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
