"""Sets of instances to compare policies on.

- `TestInstance`: an instance with a name, which builds fresh models of itself.
- `read_test_set`: from "family:size:count", a folder or a file.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rewardloom.envs.branching.instances import FAMILIES, read_instances
from rewardloom.envs.branching.sources import FamilySource, FileSource, Source
from rewardloom.errors import ConfigError, unknown_name

if TYPE_CHECKING:
    from pyscipopt import Model

__all__ = ["TestInstance", "read_test_set"]

_FIRST = 10**15
_LARGEST_SET = 10**6
_USAGE = (
    "Give a folder, a file, or FAMILY:SIZE:COUNT or FAMILY:SIZE:COUNT:SEED, for example "
    "set_cover:tiny:20."
)


@dataclass(frozen=True)
class TestInstance:
    """An instance of a test set; it can be sent to other processes.

    Attributes:
        test_set: What the set is called.
        name: Differs from those of the other instances of the set.
        seed: The world's `instance_seed`: of the family's generator, or the number of the file.
        source: Where it comes from.
        origin: The same text for the same instance, however its set is spelled: family, size and
            seed, or the file that a path leads to in the end.
    """

    __test__ = False  # for pytest, which collects classes of such names

    test_set: str
    name: str
    seed: int
    source: Source
    origin: str

    def build(self) -> Model:
        """Return a fresh model; the caller frees it, or the search that gets it."""
        return self.source.numbered(self.seed).build()


def read_test_set(text: str | os.PathLike[str]) -> list[TestInstance]:
    """Return the instances that a text names.

    Generated ones have the generator's seeds 10**15 + 10**6 * SEED + i for i below COUNT (SEED is 0
    where it is left out). Training meets none of them: the worlds draw seeds below 2**63, of
    which these are a vanishing part, and small seeds given by hand are not among them.

    Args:
        text: `family:size:count[:seed]`, a folder of instance files, or one such file.

    Raises:
        ConfigError: It is none of these, a name is unknown, or a number does not fit.
    """
    text = os.fspath(text)
    if Path(text).exists():
        return _from_files(text)
    family, *rest = text.split(":")
    if not rest:
        if family in FAMILIES:
            raise ConfigError(f"{text!r} lacks a size and a count. {_USAGE}")
        raise ConfigError(f"There are no instances at {text!r}. {_USAGE}")
    if family not in FAMILIES:
        raise ConfigError(unknown_name("family", family, FAMILIES, where=f"in {text!r}"))
    if len(rest) not in (2, 3):
        raise ConfigError(f"{text!r} names no instances. {_USAGE}")
    size = rest[0]
    count = _number("COUNT", rest[1], text, least=1, most=_LARGEST_SET)
    seed = _number("SEED", rest[2], text, least=0, most=_LARGEST_SET) if len(rest) == 3 else 0
    source = FamilySource(family, size, {})
    first = _FIRST + _LARGEST_SET * seed
    names = {seed: f"{family}-{size}-{seed}" for seed in range(first, first + count)}
    return [TestInstance(text, name, seed, source, name) for seed, name in names.items()]


def _from_files(text: str) -> list[TestInstance]:
    source = FileSource(text)
    files = read_instances(text)
    return [
        TestInstance(text, file.name, index, source, str(file.resolve()))
        for index, file in enumerate(files)
    ]


def _number(name: str, given: str, text: str, *, least: int, most: int) -> int:
    if not (given.isascii() and given.isdigit() and least <= int(given) <= most):
        raise ConfigError(
            f"{name} in {text!r} must be a whole number from {least} to {most}, not {given!r}. "
            f"{_USAGE}"
        )
    return int(given)
