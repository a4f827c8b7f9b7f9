"""Annotators from the plain data of a configuration."""

import json

import pytest
from stub_llm import StubLLM

from rewardloom.errors import ConfigError
from rewardloom.rewards.intrinsic.annotators import (
    CachedAnnotator,
    EmbeddingAnnotator,
    Goal,
    LexiconAnnotator,
    NoisyAnnotator,
    OpenAIAnnotator,
    ReplayAnnotator,
    ShuffledAnnotator,
    lexicon_path,
    make_annotator,
)

KILL, WALL = "You kill the newt!", "It's a wall."
SERVER = {"annotator": "openai", "base_url": "http://localhost:1/v1", "model": "m"}
RULES = [{"id": "box", "regex": "box", "weights": {"tidy": 1}}]


@pytest.mark.parametrize("spec", [None, "lexicon", {"annotator": "lexicon"}])
def test_the_lexicon_is_the_default(spec):
    made = make_annotator(spec, "combat")
    assert isinstance(made, LexiconAnnotator)
    assert made.name == "lexicon:combat"
    assert make_annotator(spec).name == "lexicon:score"


def test_the_lexicon_takes_rules_from_the_argument_or_the_spec():
    in_spec = {"annotator": "lexicon", "rules": RULES}
    assert make_annotator(None, "tidy", RULES).label(["a box"]).tolist() == [1]
    assert make_annotator(in_spec, "tidy").label(["a box"]).tolist() == [1]
    with pytest.raises(ConfigError, match="given twice"):
        make_annotator(in_spec, "tidy", RULES)
    nested = make_annotator(
        {"annotator": "shuffled", "of": "lexicon"}, "progress", lexicon_path("minigrid")
    )
    assert nested.name == "shuffled:lexicon:progress"


def test_a_goal_of_ones_own_names_the_lexicons_goal():
    assert make_annotator(None, Goal("gold", "Anything.")).name == "lexicon:gold"
    with pytest.raises(ConfigError, match="Unknown goal 'tidy'"):
        make_annotator(None, Goal("tidy", "Anything."))


def test_a_language_model_with_a_cache_as_json_has_it(tmp_path):
    with StubLLM("yes") as server:
        spec = json.loads(
            json.dumps(
                {
                    "annotator": "openai",
                    "base_url": server.url,
                    "model": "llama",
                    "max_retries": 1,
                    "cache": str(tmp_path / "labels.jsonl"),
                }
            )
        )
        made = make_annotator(spec, "gold")
        assert isinstance(made, CachedAnnotator)
        assert made.name == "openai:llama:gold"
        assert made.label([WALL]).tolist() == [1]
        made.close()
    replay = make_annotator({"annotator": "replay", "path": str(tmp_path / "labels.jsonl")})
    assert isinstance(replay, ReplayAnnotator)
    assert replay.label([WALL]).tolist() == [1]
    assert spec["annotator"] == "openai"  # left as it was


def test_the_key_comes_from_the_variable_that_is_named(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "other")
    monkeypatch.setenv("MY_KEY", "secret")
    with StubLLM("yes") as server:
        spec = {"annotator": "openai", "base_url": server.url, "model": "m"}
        for named in ({}, {"api_key_env": "MY_KEY"}):
            made = make_annotator({**spec, **named})
            made.label([WALL])
            made.close()
        sent = [headers["Authorization"] for headers in server.headers]
        assert sent == ["Bearer other", "Bearer secret"]
    with pytest.raises(ConfigError, match=r"must name an environment variable.*'NO_SUCH_KEY'"):
        make_annotator({**SERVER, "api_key_env": "NO_SUCH_KEY"})


@pytest.mark.parametrize("wrap", [lambda spec: spec, lambda s: {"annotator": "noisy", "of": s}])
def test_a_key_in_plain_data_is_refused_and_not_shown(wrap):
    with pytest.raises(ConfigError, match=r"OPENAI_API_KEY.*api_key_env") as caught:
        make_annotator(wrap({**SERVER, "api_key": "sk-secret"}))
    assert "sk-secret" not in str(caught.value)


def test_a_goal_in_the_spec_goes_before_the_argument():
    goal = {"name": "tidy", "description": "Bring boxes to the cellar."}
    made = make_annotator({**SERVER, "goal": goal}, "gold")
    assert isinstance(made, OpenAIAnnotator)
    assert made.goal == Goal(**goal)
    nested = make_annotator({"annotator": "noisy", "of": SERVER, "goal": goal}, "gold")
    assert nested.name == "noisy:openai:m:tidy"


def test_stand_ins_nest():
    spec = {
        "annotator": "shuffled",
        "seed": 3,
        "of": {"annotator": "noisy", "flip": 0.1, "of": {**SERVER, "soft": True}},
    }
    made = make_annotator(spec, "stairs")
    assert isinstance(made, ShuffledAnnotator)
    assert isinstance(made.base, NoisyAnnotator)
    assert isinstance(made.base.base, OpenAIAnnotator)
    assert (made.seed, made.base.flip) == (3, 0.1)
    assert made.name == "shuffled:noisy:openai:m:stairs"
    plain = make_annotator({"annotator": "shuffled", "of": None}, "gold")
    assert plain.name == "shuffled:lexicon:gold"


def test_embeddings_take_their_encoder_from_a_folder_or_from_python():
    with pytest.raises(ConfigError, match="There is no folder 'none'"):
        make_annotator({"annotator": "embedding", "encoder": "none"}, "gold")
    spec = {"annotator": "embedding", "encoder": lambda ts: [[1.0]] * len(ts), "threshold": 0.5}
    assert isinstance(make_annotator(spec, "gold"), EmbeddingAnnotator)


def test_an_annotator_is_returned_as_it_is():
    lexicon = LexiconAnnotator("gold")
    assert make_annotator(lexicon) is lexicon


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("", "Unknown annotator ''"),
        ("lexikon", "Unknown annotator 'lexikon'. Did you mean 'lexicon'"),
        ("openai", "The openai annotator needs base_url, model"),
        ("replay", "The replay annotator needs path"),
        ({"annotator": "opnai"}, "Did you mean 'openai'"),
        ({"annotator": ["openai"]}, "Unknown annotator"),
        ({"base_url": "http://localhost"}, "An annotator is None, a name"),
        (3, "An annotator is None, a name"),
        ({**SERVER, "concurency": 3}, "'concurency' of the openai annotator.*'concurrency'"),
        ({**SERVER, "goal": "gould"}, "Did you mean 'gold'"),
        ({"annotator": "noisy", "base": "lexicon"}, "Unknown argument 'base' of the noisy"),
        ({"annotator": "noisy", "of": "lexikon"}, "Did you mean 'lexicon'"),
        ({"annotator": "replay", "path": "none.jsonl"}, "no answers to replay"),
    ],
)
def test_refuses_what_describes_no_annotator(spec, message):
    with pytest.raises(ConfigError, match=message):
        make_annotator(spec)


@pytest.mark.parametrize("spec", [SERVER, LexiconAnnotator()])
def test_rules_are_refused_where_no_lexicon_takes_them(spec):
    with pytest.raises(ConfigError, match="rules are the lexicon's"):
        make_annotator(spec, "tidy", RULES)
