import json

import pytest

from rewardloom.baselines.commands.arguments import (
    parse_design,
    parse_wrapper,
    settings,
    step_count,
)
from rewardloom.baselines.training.config import TrainConfig, load_config
from rewardloom.errors import ConfigError

GOOD = {"world": "CartPole-v1", "steps": 1000}
COUNT = {"design": "count", "coef": 0.5}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"stepz": 5}, ["'stepz'", "Did you mean 'steps'"]),
        ({"steps": "many"}, ["'steps'", "integer >= 1", "'many'", "str"]),
        ({"steps": 0}, ["'steps'", "integer >= 1", "0"]),
        ({"steps": True}, ["'steps'", "True", "bool"]),
        ({"num_envs": 2.5}, ["'num_envs'", "2.5"]),
        ({"seed": -1}, ["'seed'", ">= 0", "-1"]),
        ({"world": 7}, ["'world'", "string", "7"]),
        ({"algo": "pop"}, ["'pop'", "Did you mean 'ppo'"]),
        ({"world_kwargs": ["horizon"]}, ["'world_kwargs'", "mapping"]),
        ({"components": {"a": len}}, ["'components'", "module:function"]),
        ({"designs": COUNT}, ["'designs'", "list of mappings"]),
        ({"designs": [{"coef": 1}]}, ["designs[0]", "lacks the name"]),
        ({"designs": [{"design": "cuont"}]}, ["'cuont'", "Did you mean 'count'"]),
        ({"designs": [{"design": "count", "coeff": 1}]}, ["'coeff'", "Did you mean 'coef'"]),
        ({"designs": [{"design": "count", "coef": -1}]}, ["coef", "-1"]),
        ({"designs": [{**COUNT, "name": 3}]}, ["designs[0].name", "3"]),
        ({"designs": [COUNT, COUNT]}, ["'count'", "another"]),
        ({"wrappers": "a:B"}, ["'wrappers'", "list"]),
        ({"wrappers": ["FlattenObservation"]}, ["wrappers[0]", "import path"]),
        ({"wrappers": [{"keys": ["a"]}]}, ["wrappers[0]", "import path"]),
    ],
)
def test_a_bad_field_is_one_line_that_names_it(changes, words):
    with pytest.raises(ConfigError) as caught:
        TrainConfig.from_dict({**GOOD, **changes})
    message = str(caught.value)
    assert "\n" not in message
    for word in words:
        assert word in message


@pytest.mark.parametrize("field", ["world", "steps"])
def test_a_missing_field_is_named(field):
    with pytest.raises(ConfigError, match=f"'{field}' is missing"):
        TrainConfig.from_dict({name: GOOD[name] for name in GOOD if name != field})


def test_two_designs_of_one_kind_need_two_names():
    config = TrainConfig.from_dict({**GOOD, "designs": [COUNT, {**COUNT, "name": "other"}]})
    assert [design.get("name") for design in config.designs] == [None, "other"]


def test_a_configuration_survives_json(tmp_path):
    config = TrainConfig(world="CartPole-v1", steps=1000, designs=(COUNT,), algo_kwargs={"x": [1]})
    path = tmp_path / "config.json"
    path.write_text(json.dumps(config.to_dict()))
    assert load_config(path) == config
    assert config.differences(config.replace(seed=3)) == ["seed"]


def test_the_callers_mappings_are_copied():
    kwargs = {"net_arch": [64]}
    config = TrainConfig(world="CartPole-v1", steps=1, algo_kwargs=kwargs)
    kwargs["net_arch"].append(32)
    assert config.algo_kwargs == {"net_arch": [64]}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", "is not JSON"),
        ("[1]", "JSON object"),
        ('{"world": "CartPole-v1", "stps": 1}', "Did you mean 'steps'"),
    ],
)
def test_a_bad_file_is_named(tmp_path, content, words):
    path = tmp_path / "bad.json"
    path.write_text(content)
    with pytest.raises(ConfigError, match=words) as caught:
        load_config(path)
    assert str(path) in str(caught.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ConfigError, match="no configuration file"):
        load_config(tmp_path / "none.json")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("count", {"design": "count"}),
        ("count:coef=0.5", {"design": "count", "coef": 0.5}),
        ("a:goal=score,n=3,on=true", {"design": "a", "goal": "score", "n": 3, "on": True}),
        ("a:on=True,off=False,no=None", {"design": "a", "on": True, "off": False, "no": None}),
        (
            'weight:weights={"a": 1.0, "b": -2},name=w',
            {"design": "weight", "weights": {"a": 1.0, "b": -2}, "name": "w"},
        ),
        ('a:keys=["x,y", "z"]', {"design": "a", "keys": ["x,y", "z"]}),
        ('a:text="p,q=1]",k=2', {"design": "a", "text": "p,q=1]", "k": 2}),
        ("a:path=module:function", {"design": "a", "path": "module:function"}),
        ("a:formula=x=y", {"design": "a", "formula": "x=y"}),
    ],
)
def test_a_design_is_read_from_one_argument(text, expected):
    assert parse_design(text) == expected


@pytest.mark.parametrize("text", [":coef=1", "count:coef", "count:=1", "count:coef=1,coef=2"])
def test_a_garbled_design_is_refused(text):
    with pytest.raises(ConfigError):
        parse_design(text)


def test_a_wrapper_is_read_from_one_argument():
    assert parse_wrapper("my.wrappers:Crop:size=7,pad=[1, 2]") == {
        "wrapper": "my.wrappers:Crop",
        "size": 7,
        "pad": [1, 2],
    }
    for text in ("Crop", ":Crop", "my.wrappers:", "my:Crop:size"):
        with pytest.raises(ConfigError):
            parse_wrapper(text)


def test_wrappers_are_kept_in_one_form():
    given = TrainConfig.from_dict({**GOOD, "wrappers": ["a:B", {"wrapper": "c:D", "size": 3}]})
    assert given.to_dict()["wrappers"] == [{"wrapper": "a:B"}, {"wrapper": "c:D", "size": 3}]
    assert TrainConfig.from_dict(given.to_dict()) == given


def test_settings_name_their_place():
    with pytest.raises(ConfigError, match=r"key=value in --set, got 'n_steps'"):
        settings(["n_steps"], where="in --set")


def test_steps_may_be_written_in_three_ways():
    assert [step_count(text) for text in ("100000", "1e5", "100_000")] == [100_000] * 3
    with pytest.raises(ValueError, match=r"1\.5"):
        step_count("1.5")
