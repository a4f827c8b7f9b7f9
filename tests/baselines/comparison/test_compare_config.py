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


def test_an_arms_arguments_are_merged_with_the_common_ones():
    net = {"net_arch": [8], "ortho_init": True}
    arms = {
        "plain": [],
        "tuned": {"algo_kwargs": {"gamma": 1.0, "policy_kwargs": {"net_arch": [4]}}},
        "long": {"world_kwargs": {"horizon": 9}},
    }
    common = {"algo_kwargs": {"gamma": 0.9, "n_steps": 16, "policy_kwargs": net}}
    common["world_kwargs"] = {"size": 3}
    config = CompareConfig.from_dict({**PLAIN, **common, "arms": arms})
    assert config.train_config("tuned", 0).algo_kwargs == {
        "gamma": 1.0,
        "n_steps": 16,
        "policy_kwargs": {"net_arch": [4], "ortho_init": True},
    }
    assert config.train_config("plain", 0).algo_kwargs == common["algo_kwargs"]
    assert config.train_config("long", 0).world_kwargs == {"horizon": 9}
    assert config.arms["tuned"] == {**arms["tuned"], "designs": []}


def test_a_success_level_survives_json():
    level = {"metric": "is_success", "level": 0.9}
    config = CompareConfig.from_dict({**PLAIN, "success_level": level})
    assert CompareConfig.from_dict(config.to_dict()).success_level == level


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
        ({"success_level": 3}, "'success_level' is a mapping"),
        ({"success_level": {"metrics": "a", "level": 1}}, "Did you mean 'metric'"),
        ({"success_level": {"level": 1}}, "lacks the name of a metric"),
        ({"success_level": {"metric": "a"}}, "finite number as level.*got None"),
        ({"success_level": {"metric": "a", "level": True}}, "finite number as level"),
        ({"success_level": {"metric": "a", "level": float("nan")}}, "finite number as level"),
    ],
)
def test_wrong_settings_are_refused(change, words):
    with pytest.raises(ConfigError, match=words):
        CompareConfig.from_dict({**PLAIN, **change})


@pytest.mark.parametrize("text", ["", "=count", "a="])
def test_wrong_arms_are_refused(text):
    with pytest.raises(ConfigError, match="An arm is written"):
        parse_arm(text)
