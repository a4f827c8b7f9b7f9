"""What a comparison's configuration takes, and how it says no."""

import json

import pytest

from rewardloom.baselines.comparison.config import CompareConfig, parse_arm
from rewardloom.errors import ConfigError

PLAIN = {"world": "CartPole-v1", "steps": 100, "arms": {"plain": []}}


def test_configuration_survives_json():
    arms = {"plain": [], "count": ["count:coef=0.5"], "fast": {"algo_kwargs": {"n_steps": 8}}}
    config = CompareConfig.from_dict({**PLAIN, "arms": arms, "seeds": [3, 5], "num_envs": 2})
    again = CompareConfig.from_dict(json.loads(json.dumps(config.to_dict())))
    assert again == config
    run = config.train_config("count", 5)
    assert (run.designs, run.seed, run.num_envs) == (({"design": "count", "coef": 0.5},), 5, 2)
    assert config.train_config("fast", 3).algo_kwargs == {"n_steps": 8}


def test_a_number_of_seeds_counts_from_zero():
    assert CompareConfig.from_dict({**PLAIN, "seeds": 3}).seeds == (0, 1, 2)


def test_arms_of_the_command_line():
    assert parse_arm("extrinsic") == ("extrinsic", [])
    name, designs = parse_arm('both=count:coef=1e+2,obs_keys=["a","b"]+defer')
    assert name == "both"
    assert designs == [
        {"design": "count", "coef": 100.0, "obs_keys": ["a", "b"]},
        {"design": "defer"},
    ]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"sedes": 2}, "Did you mean 'seeds'"),
        ({"designs": []}, "Unknown config field 'designs'"),
        ({"arms": {}}, "at least one name"),
        ({"arms": {"a/b": []}}, "names a folder"),
        ({"arms": {"a": ["cuont"]}}, "Arm 'a'.*Did you mean 'count'"),
        ({"arms": {"a": {"stepz": 3}}}, "in arm 'a'"),
        ({"arms": {"a": {"steps": 3}}}, "'steps' must be the same in all arms"),
        ({"arms": {"a": 3}}, "neither a list of designs nor a mapping"),
        ({"seeds": 0}, "distinct integers"),
        ({"seeds": [1, 1]}, "distinct integers"),
        ({"seeds": True}, "distinct integers"),
        ({"jobs": 0}, "'jobs' must be an integer >= 1"),
        ({"eval_episodes": 0}, "must be >= 1"),
    ],
)
def test_wrong_settings_are_refused(change, words):
    with pytest.raises(ConfigError, match=words):
        CompareConfig.from_dict({**PLAIN, **change})


@pytest.mark.parametrize("text", ["", "=count", "a="])
def test_wrong_arms_are_refused(text):
    with pytest.raises(ConfigError, match="An arm is written"):
        parse_arm(text)
