"""The pages of the worlds tell the truth: headings, arguments, info keys."""

import importlib
import inspect
import re

import gymnasium as gym
import pytest

from rewardloom.registration import NAMESPACE, WORLDS

HEADINGS = [
    "Description",
    "Action Space",
    "Observation Space",
    "Rewards",
    "Information",
    "Starting State",
    "Episode End",
    "Arguments",
    "Differences from the paper",
    "References",
    "Version History",
]
CLASSES = sorted({entry_point for entry_point, _ in WORLDS.values()})
SHORT = {"horizon": 40}

every_class = pytest.mark.parametrize("entry_point", CLASSES)


def load(entry_point):
    module, name = entry_point.split(":")
    return getattr(importlib.import_module(module), name)


def sections(cls):
    parts = re.split(r"^## (.+)$", inspect.getdoc(cls), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def rows(text):
    """Return the first cells, in code style, of a section's tables."""
    return re.findall(r"^\| `(\w+)` \|", text, flags=re.MULTILINE)


def arguments(cls):
    """Return argument -> default; `**settings` means that the parent's belong to it."""
    found = {}
    for layer in cls.__mro__:
        parameters = inspect.signature(layer.__init__).parameters.values()
        for p in parameters:
            if p.name != "self" and p.kind is not p.VAR_KEYWORD:
                found.setdefault(p.name, p.default)
        if not any(p.name == "settings" for p in parameters):
            return found
    raise AssertionError("unreachable")


@every_class
def test_the_page_has_exactly_the_headings_in_their_order(entry_point):
    assert list(sections(load(entry_point))) == HEADINGS


@every_class
def test_every_section_says_something(entry_point):
    assert all(len(text.strip()) > 20 for text in sections(load(entry_point)).values())


@every_class
def test_the_arguments_and_defaults_are_those_of_the_signature(entry_point):
    cls = load(entry_point)
    text = sections(cls)["Arguments"]
    written = dict(re.findall(r"^- `(\w+)` \((?:default )?([^)]*)\)", text, re.MULTILINE))
    given = arguments(cls)
    assert set(written) == set(given)
    for name, default in given.items():
        shown = "required" if default is inspect.Parameter.empty else repr(default)
        assert written[name] == shown.replace("'", '"'), name


@every_class
def test_the_components_are_those_declared(entry_point):
    cls = load(entry_point)
    assert tuple(rows(sections(cls)["Rewards"])) == cls.reward_components


@pytest.mark.parametrize("name", WORLDS)
def test_the_info_keys_are_those_of_a_rollout(name):
    text = sections(load(WORLDS[name][0]))["Information"]
    where = dict(re.findall(r"^\| `(\w+)` \| ([^|]+) \|", text, flags=re.MULTILINE))
    assert set(where.values()) <= {"every", "reset", "step", "last step"}

    def documented(*places):
        return {key for key, place in where.items() if place in places}

    with gym.make(f"{NAMESPACE}/{name}", disable_env_checker=True, **SHORT) as env:
        _, info = env.reset(seed=0)
        assert set(info) == documented("every", "reset")
        over = False
        while not over:
            _, _, terminated, truncated, info = env.step(env.action_space.sample())
            over = terminated or truncated
            places = ("every", "step", "last step") if over else ("every", "step")
            assert set(info) == documented(*places)
