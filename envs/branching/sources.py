"""Where the instances of a branching world come from.

- `Drawn`: an instance that was drawn, and how to build its model.
- `FamilySource`: generates programs of a family.
- `FileSource`: draws from a file or the files of a folder.
- `make_source`: the one that a world's arguments name.
- `given_instance`: an instance named in the options of a reset.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
from pyscipopt import Model

from rewardloom.envs.branching.instances import (
    FAMILIES,
    MilpInstance,
    generate,
    read_instances,
    read_model,
)
from rewardloom.errors import ConfigError, unknown_name
from rewardloom.rewards.numbers import is_integer

__all__ = ["Drawn", "FamilySource", "FileSource", "Size", "Source", "given_instance", "make_source"]

_SEEDS = 2**63 - 1
_PROBES = 8
_NO_FAMILY = {"family": "set_cover", "size": "tiny", "generator": None}  # a world's defaults


class Drawn(NamedTuple):
    """An instance that was drawn.

    Attributes:
        name: What it is called in `info["instance"]`.
        seed: What the generator was seeded with, or the file's number.
        build: Returns a fresh model of it; the caller frees it.
    """

    name: str
    seed: int
    build: Callable[[], Model]


class Size(NamedTuple):
    """How large the LPs of a source are: columns, finite sides of rows, and coefficients."""

    variables: int
    rows: int
    edges: int


class Source(Protocol):
    """Draws instances."""

    def __repr__(self) -> str:
        """Name the source, for messages."""
        ...

    def draw(self, rng: np.random.Generator) -> Drawn:
        """Draw an instance."""
        ...

    def numbered(self, seed: int) -> Drawn:
        """Return the instance of a seed."""
        ...

    @property
    def count(self) -> int:
        """How many seeds there are."""
        ...

    def size(self) -> Size:
        """Return how large the largest instance is, as far as that is known."""
        ...


class FamilySource:
    """Generates programs of a family.

    Args:
        family: One of `FAMILIES`.
        size: Name of one of the family's sizes.
        generator: Arguments of the family's generator, which win over those of the size.

    Raises:
        ConfigError: An unknown family, size or argument, or a value that the generator refuses.
    """

    def __init__(self, family: str, size: str, generator: Mapping[str, Any]):
        if not isinstance(family, str) or family not in FAMILIES:
            raise ConfigError(unknown_name("family", family, FAMILIES))
        FAMILIES[family].arguments(size, generator)
        self._family, self._size = family, size
        self._generator = dict(generator)

    def __repr__(self) -> str:
        """Name family and size."""
        return f"{self._family} of size {self._size}"

    def draw(self, rng: np.random.Generator) -> Drawn:
        """Draw a seed and return its program."""
        return self.numbered(int(rng.integers(_SEEDS)))

    def numbered(self, seed: int) -> Drawn:
        """Return the program of a seed."""
        return Drawn(f"{self._family}-{self._size}-{seed}", seed, lambda: self._build(seed))

    @property
    def count(self) -> int:
        """How many seeds there are."""
        return _SEEDS

    def size(self) -> Size:
        """Return the largest of a few programs; rows and coefficients of others may be more."""
        probes = [self._instance(seed) for seed in range(_PROBES)]
        sides = [_finite_sides(probe) for probe in probes]
        return Size(
            max(probe.num_variables for probe in probes),
            max(int(side.sum()) for side in sides),
            max(int(side @ np.diff(p.indptr)) for side, p in zip(sides, probes, strict=True)),
        )

    def _instance(self, seed: int) -> MilpInstance:
        rng = np.random.default_rng(seed)
        return generate(self._family, rng, size=self._size, **self._generator)

    def _build(self, seed: int) -> Model:
        return self._instance(seed).to_model()


class FileSource:
    """Draws from a file, or from the files of a folder with equal chances.

    A file is checked thoroughly the first time that it is drawn.

    Args:
        path: A file or folder, see `read_instances`.

    Raises:
        ConfigError: Nothing is there, or nothing that is an instance.
    """

    def __init__(self, path: str | os.PathLike[str]):
        if not isinstance(path, str | os.PathLike):
            raise ConfigError(f"instances must be a file or folder, got {path!r}.")
        self._path = os.fspath(path)
        self._files = read_instances(path)
        self._checked: set[Path] = set()

    def __repr__(self) -> str:
        """Name the file or folder."""
        return f"the instances of {self._path}"

    def draw(self, rng: np.random.Generator) -> Drawn:
        """Draw one of the files."""
        return self.numbered(int(rng.integers(len(self._files))))

    def numbered(self, seed: int) -> Drawn:
        """Return a file by its number in the order of names.

        Raises:
            ConfigError: There is no such file.
        """
        if not 0 <= seed < len(self._files):
            raise ConfigError(
                f"instance_seed is the number of a file in {self._path}, from 0 to "
                f"{len(self._files) - 1}, not {seed}."
            )
        file = self._files[seed]
        return Drawn(file.name, seed, lambda: self._read(file))

    @property
    def count(self) -> int:
        """How many files there are."""
        return len(self._files)

    def size(self) -> Size:
        """Read every file once and return the largest."""
        sizes = []
        for file in self._files:
            model = read_model(file, relaxation=False)
            try:
                sizes.append(_model_size(model))
            finally:
                model.free()
        return Size(*np.max(sizes, axis=0).tolist())

    def _read(self, file: Path) -> Model:
        model = read_model(file, relaxation=file not in self._checked)
        self._checked.add(file)
        return model


def make_source(
    family: str,
    size: str,
    generator: Mapping[str, Any] | None,
    instances: str | os.PathLike[str] | None,
) -> Source:
    """Return the source that a world's arguments name.

    Args:
        family: As in `FamilySource`.
        size: As in `FamilySource`.
        generator: As in `FamilySource`; None for nothing.
        instances: A file or folder instead of a family; None: the family.

    Raises:
        ConfigError: As the sources do, or arguments of a family beside files.
    """
    if instances is None:
        return FamilySource(family, size, generator or {})
    given = {"family": family, "size": size, "generator": generator or None}
    for name, value in given.items():
        if value != _NO_FAMILY[name]:
            raise ConfigError(
                f"{name}={value!r} says nothing of the files that instances= names. Leave one of "
                "the two out, and use rewardloom/MilpBranching-v0."
            )
    return FileSource(instances)


def given_instance(instance: Any) -> Drawn:
    """Return an instance that a reset's options name.

    Args:
        instance: An instance file, or a `MilpInstance`.

    Raises:
        ConfigError: It is neither.
    """
    if isinstance(instance, MilpInstance):
        if not instance.is_integer.any():
            raise ConfigError(
                f"The instance {instance.name} is a pure linear program: no variable is integer."
            )
        return Drawn(instance.name, -1, instance.to_model)
    if isinstance(instance, str | os.PathLike):
        path = Path(instance)
        return Drawn(path.name, -1, lambda: read_model(path))
    raise ConfigError(
        f"options['instance'] must be an instance file or a MilpInstance, got {instance!r}."
        + (" Give a number as options['instance_seed']." if is_integer(instance) else "")
    )


def _finite_sides(instance: MilpInstance) -> np.ndarray:
    return np.isfinite(instance.lhs).astype(np.int64) + np.isfinite(instance.rhs)


def _model_size(model: Model) -> Size:
    infinity = model.infinity()
    rows = edges = 0
    for constraint in model.getConss():
        sides = (-model.getLhs(constraint) < infinity) + (model.getRhs(constraint) < infinity)
        rows += sides
        edges += sides * model.getConsNVars(constraint)
    return Size(model.getNVars(), int(rows), int(edges))
