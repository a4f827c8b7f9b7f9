"""Answers of annotators in a file of JSON lines that several processes may share.

- `Record`: one answer, to a caption or to a pair.
- `RecordFile`: reads what is new in the file, and appends.

A line is one JSON object: `annotator` and `version` (who answered), then `caption` and `label`, or
`first`, `second` and `preference`.
"""

from __future__ import annotations

import contextlib
import json
import os
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple

__all__ = ["Record", "RecordFile"]


class Record(NamedTuple):
    """One answer.

    Attributes:
        name: The annotator's name.
        version: Its version.
        item: A caption, or a pair of captions.
        answer: In [0, 1].
    """

    name: str
    version: str
    item: str | tuple[str, str]
    answer: float


class RecordFile:
    """A file of records.

    Lines that are no records, such as one cut short by a crash, are skipped; they are warned of
    once, with the number of the first. Reading and appending take a lock on the file (where the
    system has `flock`) and whole lines are appended, so several processes can share it.

    Args:
        path: The file; need not exist.
    """

    def __init__(self, path: str | os.PathLike[str]):
        self.path = Path(path)
        self._offset = 0
        self._line = 0
        self._told = False

    def read_new(self) -> list[Record]:
        """Return the records that were added since the last call, by anybody.

        Raises:
            OSError: the file cannot be read. One that is not there holds nothing.
        """
        try:
            size = self.path.stat().st_size
        except FileNotFoundError:
            return []
        if size < self._offset:  # somebody began the file anew
            self._offset = self._line = 0
        if size == self._offset:
            return []
        with self.path.open("rb") as file, _locked(file, exclusive=False):
            file.seek(self._offset)
            text = file.read()
        self._offset += len(text)
        return list(self._parse(text))

    def append(self, records: Iterable[Record]) -> None:
        """Add records at the end; the folder is made if there is none.

        Raises:
            OSError: the file cannot be written.
        """
        lines = "".join(json.dumps(_entry(record)) + "\n" for record in records)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a+b", buffering=0) as file, _locked(file, exclusive=True):
            if end := file.seek(0, os.SEEK_END):
                file.seek(end - 1)
                if file.read(1) != b"\n":  # the last writer was cut short
                    lines = "\n" + lines
            file.write(lines.encode())

    def _parse(self, text: bytes) -> Iterator[Record]:
        bad, first = 0, 0
        for number, line in enumerate(text.split(b"\n"), self._line + 1):
            if not line.strip():
                continue
            record = _record(line)
            if record is not None:
                yield record
            elif not (bad := bad + 1) > 1:
                first = number
        self._line += text.count(b"\n")
        if bad and not self._told:
            self._told = True
            warnings.warn(
                f"Skipped {bad} line(s) of {str(self.path)!r} that hold no answer, the first of "
                f"them line {first}.",
                stacklevel=4,
            )


def _entry(record: Record) -> dict[str, Any]:
    entry: dict[str, Any] = {"annotator": record.name, "version": record.version}
    if isinstance(record.item, str):
        return entry | {"caption": record.item, "label": record.answer}
    first, second = record.item
    return entry | {"first": first, "second": second, "preference": record.answer}


def _record(line: bytes) -> Record | None:
    try:
        entry = json.loads(line)
        if "caption" in entry:
            item, answer = entry["caption"], entry["label"]
            texts = (item,)
        else:
            item, answer = (entry["first"], entry["second"]), entry["preference"]
            texts = item
        name, version = entry["annotator"], entry["version"]
    except (ValueError, LookupError, TypeError, RecursionError):
        return None
    if not all(isinstance(text, str) for text in (name, version, *texts)):
        return None
    if isinstance(answer, bool) or not isinstance(answer, int | float) or not 0 <= answer <= 1:
        return None
    return Record(name, version, item, float(answer))


@contextlib.contextmanager
def _locked(file: IO[bytes], *, exclusive: bool) -> Iterator[None]:
    try:
        import fcntl
    except ImportError:  # no POSIX: appending whole lines has to do
        yield
        return
    fcntl.flock(file, fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH)
    try:
        yield
    finally:
        fcntl.flock(file, fcntl.LOCK_UN)
