"""CSV files that grow while a run trains and that a resumed run continues exactly.

- `CsvTable`: one file.
- `RunTables`: those of a run.
"""

from __future__ import annotations

import csv
import io
import os
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from rewardloom.baselines.training.folder import RunFolder

__all__ = ["EPISODE_COLUMNS", "WINDOW", "CsvTable", "RunTables"]

EPISODE_COLUMNS = ("step", "raw_return", "shaped_return", "length")
WINDOW = 100  # episodes that logged means are taken over, as in SB3

_DESIGN_COLUMNS = ("step", "design")


class CsvTable:
    """The rows of a CSV file; a reader sees them after `flush`.

    Attributes:
        rows: How many there are.
        recent: The last of those that were kept, at most `WINDOW`.

    Args:
        path: The file; an existing one is continued.
        columns: Those that come first.
        keep: Rows to keep of an existing file; what follows is cut off.
    """

    def __init__(self, path: Path, columns: Sequence[str], *, keep: int = 0):
        self._path = path
        self._columns = list(columns)
        rows: list[dict[str, Any]] = []
        if keep and path.is_file():
            with open(path, newline="", encoding="utf-8") as file:
                reader = csv.DictReader(file)
                rows = [row for _, row in zip(range(keep), reader, strict=False)]
                self._columns = list(reader.fieldnames or columns)
        self._replace(rows)
        self.rows = len(rows)
        self.recent: deque[dict[str, str]] = deque(rows, maxlen=WINDOW)

    def add(self, row: Mapping[str, Any]) -> None:
        """Append a row; a column not seen before widens the table."""
        new = [name for name in row if name not in self._columns]
        if new:
            self._widen(new)
        self._writer.writerow(row)
        self.rows += 1

    def flush(self, *, sync: bool = False) -> None:
        """Hand the rows to the operating system; `sync` waits until they are on the disk."""
        self._file.flush()
        if sync:
            os.fsync(self._file.fileno())

    def close(self) -> None:
        """Flush and close."""
        self._file.close()

    def _widen(self, new: list[str]) -> None:
        self._file.close()
        with open(self._path, newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        self._columns += new
        self._replace(rows)

    def _replace(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Write the file anew, whole or not at all, and leave it open for appending."""
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, self._columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        temporary = self._path.with_name(f".{self._path.name}.tmp")
        temporary.write_text(text.getvalue(), encoding="utf-8")
        os.replace(temporary, self._path)
        self._file = open(self._path, "a", newline="", encoding="utf-8")  # noqa: SIM115
        self._writer = csv.DictWriter(self._file, self._columns, lineterminator="\n")


class RunTables(NamedTuple):
    """The tables of a run.

    Attributes:
        episodes: `episodes.csv`.
        designs: `designs.csv`, or None where there is nothing to say about a design.
    """

    episodes: CsvTable
    designs: CsvTable | None

    @classmethod
    def open(cls, folder: RunFolder, keep: Mapping[str, int], *, speaking: bool) -> RunTables:
        """Open the tables of a run.

        Args:
            folder: The run.
            keep: Rows to keep of each table, as `rows` counted them.
            speaking: Whether there is something to say about a design.
        """
        episodes = CsvTable(folder.episodes, EPISODE_COLUMNS, keep=keep.get("episodes", 0))
        designs = None
        if speaking:
            designs = CsvTable(folder.designs, _DESIGN_COLUMNS, keep=keep.get("designs", 0))
        return cls(episodes, designs)

    @property
    def rows(self) -> dict[str, int]:
        """How many rows each table has."""
        counts = {"episodes": self.episodes.rows}
        if self.designs is not None:
            counts["designs"] = self.designs.rows
        return counts

    def sync(self) -> None:
        """Wait until all rows are on the disk."""
        for table in self:
            if table is not None:
                table.flush(sync=True)

    def close(self) -> None:
        """Flush and close."""
        for table in self:
            if table is not None:
                table.close()
