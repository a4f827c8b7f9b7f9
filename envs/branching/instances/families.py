"""The families of programs and their sizes.

- `Family`: a generator with named sizes.
- `FAMILIES`: family name -> `Family`.
- `generate`: draw one program by name.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

from rewardloom.envs.branching.instances.combinatorial_auction import combinatorial_auction
from rewardloom.envs.branching.instances.facility_location import facility_location
from rewardloom.envs.branching.instances.independent_set import independent_set
from rewardloom.envs.branching.instances.instance import MilpInstance
from rewardloom.envs.branching.instances.micro import micro
from rewardloom.envs.branching.instances.multiple_knapsack import multiple_knapsack
from rewardloom.envs.branching.instances.set_cover import set_cover
from rewardloom.errors import ConfigError, refuse_unknown, unknown_name

__all__ = ["FAMILIES", "Family", "generate"]

Size = Mapping[str, Any]


@dataclass(frozen=True)
class Family:
    """A generator of programs and the sizes that have a name.

    Attributes:
        generator: Called as `generator(rng, **size)`.
        sizes: Name of a size -> keyword arguments of the generator.
    """

    generator: Callable[..., MilpInstance]
    sizes: Mapping[str, Size]

    def __call__(
        self, rng: np.random.Generator, *, size: str = "train", **overrides: Any
    ) -> MilpInstance:
        """Draw one program.

        Args:
            rng: Where every random number comes from; equal states give equal programs.
            size: Name of one of `sizes`.
            **overrides: Arguments of the generator, which win over those of the size.

        Raises:
            ConfigError: An unknown size or argument, or a value that the generator refuses.
        """
        return self.generator(rng, **self.arguments(size, overrides))

    def arguments(self, size: str, overrides: Mapping[str, Any]) -> dict[str, Any]:
        """Return the generator's arguments for a size, with `overrides` put over it.

        Raises:
            ConfigError: An unknown size or argument.
        """
        name = self.generator.__name__
        if size not in self.sizes:
            raise ConfigError(unknown_name("size", size, self.sizes, where=f"of {name}"))
        parameters = inspect.signature(self.generator).parameters
        refuse_unknown(overrides, list(parameters)[1:], kind="argument", where=f"of {name}")
        return {**self.sizes[size], **overrides}


def _family(generator: Callable[..., MilpInstance], **sizes: Size) -> Family:
    frozen = {name: MappingProxyType(dict(size)) for name, size in sizes.items()}
    return Family(generator, MappingProxyType(frozen))


FAMILIES: Mapping[str, Family] = MappingProxyType(
    {
        "set_cover": _family(
            set_cover,
            tiny={"num_rows": 300, "num_columns": 500},
            train={"num_rows": 400, "num_columns": 750},
            transfer={"num_rows": 500, "num_columns": 1000},
        ),
        "combinatorial_auction": _family(
            combinatorial_auction,
            tiny={"num_items": 50, "num_bids": 150},
            train={"num_items": 100, "num_bids": 500},
            transfer={"num_items": 200, "num_bids": 1000},
        ),
        "facility_location": _family(
            facility_location,
            tiny={"num_customers": 20, "num_facilities": 20, "unsplittable": False},
            train={"num_customers": 20, "num_facilities": 20},
            transfer={"num_customers": 35, "num_facilities": 35},
        ),
        "independent_set": _family(
            independent_set,
            # Small graphs of the other kind end at the root.
            tiny={"num_nodes": 60, "graph": "erdos_renyi", "edge_probability": 0.12},
            train={"num_nodes": 500},
            transfer={"num_nodes": 1000},
        ),
        "multiple_knapsack": _family(
            multiple_knapsack,
            tiny={"num_items": 60, "num_knapsacks": 5},
            train={"num_items": 100, "num_knapsacks": 6},
            transfer={"num_items": 100, "num_knapsacks": 12},
        ),
        "micro": _family(
            micro,
            tiny={"num_variables": 15, "num_rows": 5},
            train={"num_variables": 30, "num_rows": 5},
            transfer={"num_variables": 40, "num_rows": 5},
        ),
    }
)
"""Family name -> generator with the sizes `tiny`, `train` and `transfer`.

`tiny` is for learning within minutes: a random agent makes some tens to hundreds of decisions in
the `light` preset. `train` and `transfer` are sizes of published benchmarks, except for `micro`,
which is ours, and for `train` of the facilities. `scripts/milp_sizes.py` measures them all.
"""


def generate(
    family: str, rng: np.random.Generator, *, size: str = "train", **overrides: Any
) -> MilpInstance:
    """Draw one program of a family.

    Args:
        family: One of `FAMILIES`.
        rng: Where every random number comes from; equal states give equal programs.
        size: `tiny`, `train` or `transfer`.
        **overrides: Arguments of the family's generator, which win over those of the size.

    Raises:
        ConfigError: An unknown family, size or argument, or a value that the generator refuses.
    """
    if family not in FAMILIES:
        raise ConfigError(unknown_name("family", family, FAMILIES))
    return FAMILIES[family](rng, size=size, **overrides)
