"""Agents that learn nothing, and agents on disk."""

import json

import milp_models
import numpy as np
import pytest
import torch
from milp_models import knapsack

from rewardloom.baselines.branching.agents import (
    MostInfeasibleAgent,
    RandomAgent,
    load_agent,
    save_agent,
)
from rewardloom.baselines.branching.rules import search_with_rule
from rewardloom.envs.branching.session import evaluate
from rewardloom.envs.branching.settings import SearchSettings
from rewardloom.errors import ConfigError

LIGHT = SearchSettings(preset="light", seed=3)


class LinearAgent:
    """Scores the LP values by one weight, which is all that it could have learned."""

    observation = "none"

    def __init__(self, width: int = 1):
        if width < 1:
            raise ValueError("width is too small")
        self.settings = {"width": width}
        self.network = torch.nn.Linear(1, width)

    def begin(self):
        pass

    def choose(self, decision):
        scores = self.network(torch.as_tensor(decision.values[:, None], dtype=torch.float32))
        return int(scores.sum(1).argmax())


def numbers(result):
    return result.nodes, result.lp_iterations, result.primal_bound


@pytest.mark.parametrize("build", [lambda: knapsack(0), lambda: milp_models.set_cover(0)])
def test_the_most_infeasible_agent_makes_the_search_of_scips_mostinf(build):
    agent = MostInfeasibleAgent()
    mine = evaluate(agent.choose, build(), LIGHT)
    theirs = search_with_rule(build(), LIGHT, "mostinf")
    assert mine.nodes > 30
    assert numbers(mine) == numbers(theirs)
    assert np.array_equal(mine.tree.node, theirs.tree.node)


class Priced:
    def __init__(self, cost):
        self.cost = cost

    def getObj(self):
        return self.cost


class Asked:
    """The part of a decision that the rule reads."""

    def __init__(self, fractions, costs):
        self.fractions = np.array(fractions)
        self.variables = tuple(map(Priced, costs))


@pytest.mark.parametrize(
    ("fractions", "costs", "choice"),
    [
        ([0.1, 0.6, 0.9], [9, 1, 9], 1),  # 0.4 from an integer, the others 0.1
        ([0.3, 0.7, 0.3], [1, -5, 5], 1),  # equally near: the largest absolute cost, then the first
        ([0.5, 0.5], [2, 2], 0),
        ([0.5, 0.5 - 5e-10], [1, 2], 1),  # within epsilon counts as equal
        ([0.5, 0.5 - 5e-9], [1, 2], 0),
    ],
)
def test_ties_of_the_most_infeasible_by_hand(fractions, costs, choice):
    assert MostInfeasibleAgent().choose(Asked(fractions, costs)) == choice


def test_a_random_agent_repeats_its_search_and_another_seed_does_not():
    def nodes(seed):
        agent, chosen = RandomAgent(seed), []
        for _ in range(2):
            agent.begin()
            chosen.append([])
            evaluate(
                lambda d: chosen[-1].append(agent.choose(d)) or chosen[-1][-1], knapsack(0), LIGHT
            )
        assert chosen[0] == chosen[1]
        return chosen[0]

    first, other = nodes(0), nodes(1)
    assert first != other
    assert len(set(first)) > 1


def test_an_agent_without_weights_survives_its_folder(tmp_path):
    save_agent(RandomAgent(7), tmp_path / "deep" / "agent")
    assert not (tmp_path / "deep" / "agent" / "agent.pt").exists()
    again = load_agent(tmp_path / "deep" / "agent")
    assert type(again) is RandomAgent
    assert again.settings == {"seed": 7}


@pytest.fixture
def importable(monkeypatch):
    """Let this module be imported by the name that its classes give it."""
    import sys

    monkeypatch.setitem(sys.modules, LinearAgent.__module__, sys.modules[__name__])


@pytest.mark.usefixtures("importable")
def test_weights_survive_the_folder(tmp_path):
    agent = LinearAgent(width=3)
    save_agent(agent, tmp_path)
    torch.manual_seed(1)
    again = load_agent(tmp_path)
    assert again.settings == {"width": 3}
    for name, value in agent.network.state_dict().items():
        assert torch.equal(again.network.state_dict()[name], value)
    assert not again.network.training


@pytest.mark.usefixtures("importable")
def test_a_damaged_folder_says_what_is_missing(tmp_path):
    save_agent(LinearAgent(), tmp_path)
    weights = tmp_path / "agent.pt"
    for content in (b"", b"this is no archive", weights.read_bytes()[:700]):
        weights.write_bytes(content)
        with pytest.raises(ConfigError, match=r"agent\.pt holds no weights"):
            load_agent(tmp_path)
    for other in ([1.0], {"weight": torch.ones(2)}):
        torch.save(other, weights)
        with pytest.raises(ConfigError, match=r"agent\.pt do not fit"):
            load_agent(tmp_path)
    weights.unlink()
    with pytest.raises(ConfigError, match=r"no agent\.pt"):
        load_agent(tmp_path)
    text = json.loads((tmp_path / "agent.json").read_text())
    for settings, words in (({"width": 0}, "width is too small"), ({"wide": 1}, "wide")):
        (tmp_path / "agent.json").write_text(json.dumps({**text, "settings": settings}))
        with pytest.raises(ConfigError, match=words):
            load_agent(tmp_path)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", "no description"),
        ('{"agent": "a:B"}', "settings"),
        ('{"agent": 3, "settings": {}}', "text 'agent'"),
        ('{"agent": "nowhere.at_all:B", "settings": {}}', "nowhere"),
        ('{"agent": "rewardloom.baselines.branching.agents:Nobody", "settings": {}}', "Nobody"),
        ('{"agent": "", "settings": {}}', "''"),
    ],
)
def test_a_description_that_is_none_is_refused(tmp_path, content, words):
    (tmp_path / "agent.json").write_text(content)
    with pytest.raises(ConfigError, match=words):
        load_agent(tmp_path)


def test_a_folder_without_an_agent_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="There is no folder"):
        load_agent(tmp_path / "none")
    with pytest.raises(ConfigError, match="holds no agent"):
        load_agent(tmp_path)
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "log.csv").write_text("")
    with pytest.raises(ConfigError, match="has not ended"):
        load_agent(tmp_path)


def test_what_cannot_be_read_again_is_not_written(tmp_path):
    class Local(RandomAgent):
        pass

    with pytest.raises(ConfigError, match="imported"):
        save_agent(Local(), tmp_path)
    agent = RandomAgent()
    agent.settings["seed"] = object()
    with pytest.raises(ConfigError, match="not JSON"):
        save_agent(agent, tmp_path)
    assert not list(tmp_path.iterdir())
