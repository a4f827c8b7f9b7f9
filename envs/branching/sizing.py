"""How large LPs with cuts get, found out by searching a few instances.

- `probe`: the largest LP at the first decision of some instances.
"""

from __future__ import annotations

import dataclasses

from rewardloom.envs.branching.observations import observer
from rewardloom.envs.branching.session import BranchingSession
from rewardloom.envs.branching.settings import SearchSettings
from rewardloom.envs.branching.sources import Size, Source

__all__ = ["probe"]

_PROBES = 4
_NONE = Size(0, 0, 0)


def probe(source: Source, settings: SearchSettings) -> Size:
    """Return the largest numbers of columns, rows and coefficients at first decisions.

    Zeros where SCIP solves all that were tried without a decision.

    Args:
        source: Its first instances are searched, each up to its first decision.
        settings: How SCIP searches.
    """
    sizes = [_size(source, settings, seed) for seed in range(min(_PROBES, source.count))]
    return Size(*(max(parts) for parts in zip(*sizes, strict=True)))


def _size(source: Source, settings: SearchSettings, seed: int) -> Size:
    model = source.numbered(seed).build()
    settings = dataclasses.replace(settings, seed=seed)
    with BranchingSession(model, settings, observe=observer("bipartite", model)) as session:
        decision = session.start()
    if decision is None:
        return _NONE
    parts = decision.observation
    return Size(len(parts["columns"]), len(parts["rows"]), len(parts["edge_values"]))
