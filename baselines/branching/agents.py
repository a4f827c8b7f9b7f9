"""What answers SCIP's question what to branch on, and how it lies on disk.

- `BranchingAgent`: what every agent is to evaluation.
- `RandomAgent`, `MostInfeasibleAgent`: agents that learn nothing.
- `save_agent`, `load_agent`: an agent as a folder.

The folder of an agent:

    agent.json    {"agent": "module:Class", "settings": {...}}; Class(**settings) builds it again
    agent.pt      the weights of its `network`; only if it has one

Neither torch nor SCIP is loaded before an agent needs it.
"""

from __future__ import annotations

import importlib
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

import numpy as np

from rewardloom.baselines.training.folder import RunFolder, write_json
from rewardloom.errors import ConfigError
from rewardloom.rewards.numbers import check_integer

if TYPE_CHECKING:
    from rewardloom.envs.branching.records import Decision

__all__ = ["BranchingAgent", "MostInfeasibleAgent", "RandomAgent", "load_agent", "save_agent"]

_EPSILON = 1e-9  # SCIP's numerics/epsilon
_RUN_AGENT = "rewardloom.baselines.policies.branching:PpoAgent"


class BranchingAgent(Protocol):
    """Chooses what to branch on.

    An agent that learned has a torch module `network` as well, whose weights are its own.

    Attributes:
        observation: What `Decision.observation` must hold, a kind of
            `rewardloom.envs.branching.observations.observer`.
        settings: Arguments of the constructor, as JSON has them.
    """

    observation: str
    settings: dict[str, Any]

    def begin(self) -> None:
        """Forget the last search: a new one starts."""
        ...

    def choose(self, decision: Decision) -> int | None:
        """Return the index of one of the decision's candidates, or None for SCIP's own rule."""
        ...


class RandomAgent:
    """Takes every candidate with the same chance.

    Args:
        seed: Of its random numbers, which start again with every search.
    """

    observation = "none"

    def __init__(self, seed: int = 0):
        self.settings: dict[str, Any] = {"seed": check_integer("seed", seed, least=0)}
        self.begin()

    def begin(self) -> None:
        """Start the random numbers again."""
        self._rng = np.random.default_rng(self.settings["seed"])

    def choose(self, decision: Decision) -> int:
        """Return any candidate."""
        return int(self._rng.integers(len(decision)))


class MostInfeasibleAgent:
    """SCIP's rule `mostinf`: the value nearest to one half, then the largest cost, then the first.

    Values count as equally near within SCIP's epsilon of 1e-9.
    """

    observation = "none"

    def __init__(self) -> None:
        self.settings: dict[str, Any] = {}

    def begin(self) -> None:
        """Do nothing: no search is remembered."""

    def choose(self, decision: Decision) -> int:
        """Return the most infeasible candidate."""
        best, best_closeness, best_cost = 0, -1.0, -1.0
        closenesses = np.minimum(decision.fractions, 1 - decision.fractions).tolist()
        for index, closeness in enumerate(closenesses):
            if closeness < best_closeness - _EPSILON:
                continue
            cost = abs(decision.variables[index].getObj())
            if closeness > best_closeness + _EPSILON or cost > best_cost:
                best, best_closeness, best_cost = index, closeness, cost
        return best


def save_agent(agent: BranchingAgent, folder: str | os.PathLike[str]) -> None:
    """Write an agent into a folder, which is made if need be.

    Args:
        agent: Its class must be importable, and its `settings` must be JSON.
        folder: Where.

    Raises:
        ConfigError: The class is local to a function, or the settings are not JSON.
    """
    kind = type(agent)
    if "<locals>" in kind.__qualname__:
        raise ConfigError(f"{kind.__qualname__} cannot be imported; define it in a module.")
    place = Path(folder)
    description = {"agent": f"{kind.__module__}:{kind.__qualname__}", "settings": agent.settings}
    try:
        json.dumps(description)
    except TypeError as error:
        raise ConfigError(f"The settings of {kind.__qualname__} are not JSON: {error}.") from error
    place.mkdir(parents=True, exist_ok=True)
    network = getattr(agent, "network", None)
    if network is not None:
        import torch

        torch.save(network.state_dict(), place / "agent.pt")
    write_json(place / "agent.json", description)


def load_agent(folder: str | os.PathLike[str]) -> BranchingAgent:
    """Read an agent from a folder of `save_agent`, or the folder of a run of `rewardloom train`.

    The file names the class that is imported: load only what you trust.

    Args:
        folder: Where.

    Raises:
        ConfigError: There is no such folder, it holds no agent, or the agent cannot be built.
    """
    place = Path(folder)
    if not place.is_dir():
        raise ConfigError(f"There is no folder {place} with an agent.")
    if not (place / "agent.json").is_file():
        return _load_run(place)
    name, settings = _read_description(place / "agent.json")
    kind = _find_class(name, place)
    try:
        agent = kind(**settings)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"The agent in {place} cannot be built: {error}") from error
    _load_weights(agent, place)
    return cast("BranchingAgent", agent)


def _load_run(place: Path) -> BranchingAgent:
    run = RunFolder(place)
    if not run.exists:
        raise ConfigError(
            f"The folder {place} holds no agent: neither agent.json nor a training run."
        )
    if (place / "log.csv").is_file() and not run.status.is_file():
        raise ConfigError(f"The training in {place} has not ended: there is no agent.json yet.")
    return _find_class(_RUN_AGENT, place).load(place)


def _read_description(file: Path) -> tuple[str, dict[str, Any]]:
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
        name, settings = found["agent"], found["settings"]
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{file} is no description of an agent: {error!r}.") from error
    if not isinstance(name, str) or not isinstance(settings, dict):
        raise ConfigError(f"{file} needs a text 'agent' and a dict 'settings'.")
    return name, settings


def _find_class(name: str, place: Path) -> Any:
    module, _, path = name.partition(":")
    try:
        found: Any = importlib.import_module(module)
        for part in path.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigError(f"The agent in {place} is a {name!r}: {error}.") from error
    return found


def _load_weights(agent: Any, place: Path) -> None:
    network, file = getattr(agent, "network", None), place / "agent.pt"
    if network is None:
        return
    if not file.is_file():
        raise ConfigError(f"The agent in {place} has lost its weights: there is no agent.pt.")
    import torch

    try:
        weights = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # garbage leads torch's reader to exceptions of any kind
        raise ConfigError(
            f"{file} holds no weights that can be read ({type(error).__name__}): it is damaged, or "
            "another kind of file."
        ) from error
    try:
        network.load_state_dict(weights)
    except (RuntimeError, TypeError) as error:
        raise ConfigError(f"The weights in {file} do not fit the agent: {error}") from error
    network.eval()
