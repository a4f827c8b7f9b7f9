"""XML of maps and routes: typed attributes, with errors that name the file and the element.

- `Document`: a parsed file; its readers raise `ConfigError` naming the file and the element.
- `open_document`: a `.xodr` or `.xodr.xz` file as a `Document`.
"""

from __future__ import annotations

import lzma
import math
import os
from pathlib import Path
from typing import NoReturn
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from rewardloom.errors import ConfigError

__all__ = ["SUFFIXES", "Document", "open_document"]

SUFFIXES = (".xodr", ".xodr.xz")
"""What the name of a map file ends in."""


class Document:
    """A parsed file.

    Attributes:
        name: What errors call the file.
        root: Its outermost element.
    """

    def __init__(self, name: str, text: bytes | str, root: str = "OpenDRIVE") -> None:
        """Parse `text`.

        Raises:
            ConfigError: It is no XML, or its outermost element is not `root`.
        """
        self.name = name
        try:
            self.root = ElementTree.fromstring(text)
        except (ElementTree.ParseError, ValueError) as error:
            raise ConfigError(f"The file {name} is not well-formed XML: {error}.") from error
        if self.root.tag != root:
            raise ConfigError(
                f"The file {name} is of another kind: its outermost element is <{self.root.tag}>, "
                f"not <{root}>."
            )

    def refuse(self, where: str, problem: str) -> NoReturn:
        """Raise the `ConfigError` for a problem of the element described by `where`."""
        raise ConfigError(f"The file {self.name}: {where}: {problem}.")

    def number(
        self, element: Element, name: str, where: str, default: float | None = None
    ) -> float:
        """Return a finite number from an attribute; `default` replaces a missing one."""
        text = element.get(name)
        if text is None:
            if default is not None:
                return default
            self.refuse(f"<{element.tag}> of {where}", f"the attribute {name!r} is missing")
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            self.refuse(f"<{element.tag}> of {where}", f"{name}={text!r} is not a finite number")
        return value

    def integer(self, element: Element, name: str, where: str, default: int | None = None) -> int:
        """Return a whole number from an attribute; `default` replaces a missing one.

        OpenDRIVE allows any text as an id; CARLA, and so this compiler, whole numbers only.
        """
        text = element.get(name)
        if text is None:
            if default is not None:
                return default
            self.refuse(f"<{element.tag}> of {where}", f"the attribute {name!r} is missing")
        try:
            return int(text)
        except ValueError:
            self.refuse(f"<{element.tag}> of {where}", f"{name}={text!r} is not a whole number")

    def child(self, element: Element, path: str, where: str) -> Element:
        """Return the child at `path`, which must be there."""
        found = element.find(path)
        if found is None:
            self.refuse(where, f"it has no <{path}>")
        return found


def open_document(path: str | os.PathLike[str]) -> Document:
    """Read an OpenDRIVE file.

    Args:
        path: A file whose name ends in one of `SUFFIXES`.

    Raises:
        ConfigError: The file is missing, has another suffix, cannot be unpacked, or is no
            OpenDRIVE.
    """
    file = Path(path)
    if not file.is_file():
        raise ConfigError(f"There is no map file {file}.")
    if not file.name.endswith(SUFFIXES):
        raise ConfigError(
            f"{file} is no map file: its name does not end in {' or '.join(SUFFIXES)}."
        )
    data = file.read_bytes()
    if file.name.endswith(".xz"):
        try:
            data = lzma.decompress(data)
        except (lzma.LZMAError, EOFError) as error:
            raise ConfigError(f"The map {file} cannot be unpacked: {error}.") from error
    return Document(str(file), data)
