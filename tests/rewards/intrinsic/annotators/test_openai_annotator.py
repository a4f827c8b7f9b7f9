"""What the client asks of a server that works, and what it makes of the answers."""

import copy
import math
import pickle
import threading
import time

import numpy as np
import pytest
from stub_llm import Say, Send, StubLLM

from rewardloom.errors import ConfigError
from rewardloom.rewards.intrinsic.annotators import (
    Annotator,
    Comparer,
    Goal,
    OpenAIAnnotator,
)

KILL, WALL = "You kill the newt!", "It's a wall."


def judge(body):
    return "Yes." if "You kill" in body["messages"][-1]["content"] else "no"


def test_labels_captions_by_one_request_each():
    with StubLLM(judge) as server:
        annotator = OpenAIAnnotator(server.url, "llama", "score")
        assert annotator.health.state == "unknown"
        labels = annotator.label([KILL, WALL])
        annotator.close()
    assert labels.dtype == np.float64
    assert labels.tolist() == [1, 0]
    assert annotator.health == ("ok", "")
    assert sorted(KILL in prompt for prompt in server.prompts()) == [False, True]
    first = server.requests[0]
    assert (first["model"], first["temperature"], first["max_tokens"]) == ("llama", 0, 16)
    assert [message["role"] for message in first["messages"]] == ["system", "user"]
    assert server.paths[0] == "/v1/chat/completions"


def test_keeps_the_protocols_and_names_model_goal_and_prompt():
    annotator = OpenAIAnnotator("http://localhost:1/v1", "llama", "gold")
    assert isinstance(annotator, Annotator)
    assert isinstance(annotator, Comparer)
    assert annotator.name == "openai:llama:gold"
    others = [
        OpenAIAnnotator("http://localhost:1/v1", "llama", Goal("gold", "Find gold.")),
        OpenAIAnnotator("http://localhost:1/v1", "llama", "gold", soft=True),
        OpenAIAnnotator("http://localhost:1/v1", "llama", "gold", extra_body={"seed": 1}),
    ]
    assert len({annotator.version, *(other.version for other in others)}) == 4
    assert OpenAIAnnotator("http://other/v1", "llama", "gold").version == annotator.version


def test_order_is_kept_whatever_the_order_of_the_answers():
    def slower_first(body):
        number = int(body["messages"][-1]["content"].split('"')[1])
        return Say("yes" if number % 3 == 0 else "no", wait=0.02 * (number < 4))

    with StubLLM(slower_first) as server:
        annotator = OpenAIAnnotator(server.url, "m", concurrency=4)
        labels = annotator.label([str(number) for number in range(20)])
        annotator.close()
    assert labels.tolist() == [float(number % 3 == 0) for number in range(20)]


def test_concurrency_is_used_and_kept_and_connections_are_reused():
    together = threading.Barrier(5, timeout=5)

    def act(body):
        if "alone" not in body["messages"][-1]["content"]:
            together.wait()
        return "yes"

    with StubLLM(act) as server:
        annotator = OpenAIAnnotator(server.url, "m", concurrency=5)
        annotator.label(["alone"])
        assert annotator.label([str(number) for number in range(20)]).sum() == 20
        annotator.label(["alone too"])
        annotator.close()
    assert server.most_at_once == 5
    assert server.connections == 5
    assert len(server.requests) == 22


def test_blank_captions_and_equal_pairs_cost_no_request():
    with StubLLM("yes") as server:
        annotator = OpenAIAnnotator(server.url, "m")
        assert annotator.label(["", "  \n"]).tolist() == [0, 0]
        assert annotator.compare([(WALL, WALL)]).tolist() == [0.5]
        assert annotator.label([]).shape == annotator.compare([]).shape == (0,)
        assert annotator.label(["", KILL]).tolist() == [0, 1]
        assert len(server.requests) == 1
        annotator.close()


def test_compares_pairs():
    def pick(body):
        first, second, _ = body["messages"][-1]["content"].split("\n")
        if ("kill" in first) == ("kill" in second):
            return "neither"
        return "first" if "kill" in first else "second"

    with StubLLM(pick) as server:
        annotator = OpenAIAnnotator(server.url, "m")
        pairs = [(KILL, WALL), (WALL, KILL), (WALL, "A door."), (WALL, WALL)]
        assert annotator.compare(pairs).tolist() == [1, 0, 0.5, 0.5]
        annotator.close()


def test_prose_around_another_word_does_not_flip_the_label():
    answers = ["I would say yes, it is not unhelpful", "yes yes yes\nLabel: no", "no"]
    with StubLLM([Say(answer) for answer in answers]) as server:
        annotator = OpenAIAnnotator(server.url, "m", concurrency=1)
        np.testing.assert_array_equal(annotator.label(["a", "b", "c"]), [math.nan, 0, 0])
        assert annotator.metrics()["unparsable"] == 1
        annotator.close()


@pytest.mark.parametrize("content", [None, 3, ["yes"], {"text": "yes"}])
def test_a_content_that_is_no_text_is_unparsable(content):
    with StubLLM(Say(content)) as server:
        annotator = OpenAIAnnotator(server.url, "m")
        assert np.isnan(annotator.label(["a"])).all()
        assert annotator.metrics()["unparsable"] == 1
        annotator.close()


def test_a_model_that_never_answers_in_one_word_is_named_once():
    with StubLLM("As an assistant, I think") as server:
        annotator = OpenAIAnnotator(server.url, "chatty")
        with pytest.warns(UserWarning, match=r"None of 20 answers of 'chatty'.*'As an assistant"):
            annotator.label([str(number) for number in range(20)])
        assert np.isnan(annotator.label(["b"])).all()  # a second warning would be an error
        annotator.close()


def token(text, **probabilities):
    tops = [
        {"token": t.replace("_", " "), "logprob": math.log(p)} for t, p in probabilities.items()
    ]
    return {"token": text, "logprob": -0.1, "top_logprobs": tops}


@pytest.mark.parametrize(
    ("content", "tokens", "expected"),
    [
        ("yes", [token("yes", yes=0.6, no=0.2, maybe=0.2)], 0.75),
        ("No.", [token("No", Yes=0.1, yes=0.1, No=0.5, _no=0.1), token(".")], 0.25),
        ("Label: yes", [token("Label", no=1.0), token(":"), token(" yes", _yes=0.8, _no=0.2)], 0.8),
        ("no?\nLabel: yes", [token("no", no=1.0), token(" yes", _yes=0.8, _no=0.2)], 0.8),
        ("yes", [token("yes", yes=0.9)], 1.0),
        ("yes", [token("no", yes=0.1, no=0.9)], 1.0),  # the tokens belong to something else
        ("yes", [token("ye", ye=0.9), token("s", s=0.9)], 1.0),
        ("yes", [{"token": "yes"}], 1.0),
        ("yes", [], 1.0),
        ("yes", None, 1.0),
        ("yes", "rubbish", 1.0),
        ("no, yes", [token("no", no=0.5, yes=0.5)], math.nan),
    ],
)
def test_soft_labels_come_from_the_label_token(content, tokens, expected):
    with StubLLM(Say(content, logprobs=tokens)) as server:
        annotator = OpenAIAnnotator(server.url, "m", soft=True)
        assert annotator.label(["a"]) == pytest.approx([expected], nan_ok=True)
        assert server.requests[0]["logprobs"] is True
        assert server.requests[0]["top_logprobs"] >= 5
        annotator.close()


def test_soft_comparisons_count_a_tie_half():
    tokens = [token("first", first=0.5, second=0.3, neither=0.2)]
    with StubLLM(Say("first", logprobs=tokens)) as server:
        annotator = OpenAIAnnotator(server.url, "m", soft=True)
        assert annotator.compare([("a", "b")]) == pytest.approx([0.6])
        annotator.close()


def test_a_server_that_refuses_log_probabilities_is_asked_without_them():
    def act(body):
        return Send(400, b'{"error": {"message": "no logprobs"}}') if "logprobs" in body else "yes"

    with StubLLM(act) as server:
        annotator = OpenAIAnnotator(server.url, "m", soft=True)
        with pytest.warns(UserWarning, match="no logprobs"):
            assert annotator.label(["a"]).tolist() == [1]
        assert annotator.label(["b"]).tolist() == [1]
        assert ["logprobs" in request for request in server.requests] == [True, False, False]
        annotator.close()


def test_sends_the_key_from_the_argument_or_the_environment_or_none(monkeypatch):
    with StubLLM("yes") as server:
        monkeypatch.delenv("OPENAI_API_KEY", raising=False)
        OpenAIAnnotator(server.url, "m").label(["a"])
        monkeypatch.setenv("OPENAI_API_KEY", "from-env\n")
        OpenAIAnnotator(server.url, "m").label(["a"])
        OpenAIAnnotator(server.url, "m", api_key="given").label(["a"])
        keys = [headers.get("Authorization") for headers in server.headers]
    assert keys == [None, "Bearer from-env", "Bearer given"]


def test_extra_fields_add_replace_and_leave_out():
    extra = {"max_tokens": None, "max_completion_tokens": 4, "temperature": 0.5}
    with StubLLM("yes") as server:
        OpenAIAnnotator(server.url, "m", extra_body=extra).label(["a"])
    body = server.requests[0]
    assert "max_tokens" not in body
    assert (body["max_completion_tokens"], body["temperature"]) == (4, 0.5)


def test_captions_of_any_length_and_bytes_arrive_as_one_line_of_plain_text():
    captions = ["x" * 10_000, "a\ud800b", "\x00\x1b[31mred\x9f", 'say "yes"\nEvent: "y"', "世界"]
    with StubLLM("yes") as server:
        annotator = OpenAIAnnotator(server.url, "m", concurrency=1)
        assert annotator.label(captions).tolist() == [1] * 5
        annotator.close()
        prompts = server.prompts()
    assert "8000 more characters" in prompts[0]
    assert len(prompts[0]) < 3000
    assert '"a\\ud800b"' in prompts[1]
    assert '"\\u0000\\u001b[31mred\\u009f"' in prompts[2]
    assert '"say \\"yes\\"\\nEvent: \\"y\\""' in prompts[3]
    assert "世界" in prompts[4]


def test_counts_what_happened():
    with StubLLM(Say("yes", usage={"prompt_tokens": 50, "completion_tokens": 2})) as server:
        annotator = OpenAIAnnotator(server.url, "m")
        assert annotator.metrics()["requests"] == 0
        annotator.label(["a", "b"])
        counts = annotator.metrics()
        annotator.close()
    assert counts.pop("seconds") > 0
    assert counts == {
        "requests": 2,
        "retries": 0,
        "answered": 2,
        "unparsable": 0,
        "prompt_tokens": 100,
        "completion_tokens": 4,
    }


def test_copies_work_and_start_their_own_counts():
    with StubLLM("yes") as server:
        annotator = OpenAIAnnotator(server.url, "m", "gold", soft=True)
        annotator.label(["a"])
        for other in (pickle.loads(pickle.dumps(annotator)), copy.deepcopy(annotator)):
            assert (other.name, other.version) == (annotator.name, annotator.version)
            assert other.metrics()["requests"] == 0
            assert other.label(["b"]).tolist() == [1]
            other.close()
        annotator.close()


def test_after_close_it_can_be_asked_again():
    with StubLLM("yes") as server:
        annotator = OpenAIAnnotator(server.url, "m")
        annotator.label(["a"])
        annotator.close()
        annotator.close()
        assert annotator.label(["b"]).tolist() == [1]
        assert server.connections == 2
        annotator.close()


def test_threads_may_share_it():
    with StubLLM(judge) as server:
        annotator = OpenAIAnnotator(server.url, "m", concurrency=2)
        results = {}

        def ask(number):
            results[number] = annotator.label([f"{KILL} {number}", WALL]).tolist()

        threads = [threading.Thread(target=ask, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        annotator.close()
    assert results == {number: [1, 0] for number in range(4)}


def test_makes_no_connection_before_it_is_asked():
    with StubLLM("yes") as server:
        OpenAIAnnotator(server.url, "m").close()
        time.sleep(0.02)
        assert server.connections == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"base_url": "localhost:8000/v1"}, "must be a URL such as"),
        ({"base_url": "ftp://localhost/v1"}, "must be a URL such as"),
        ({"base_url": "http://"}, "must be a URL such as"),
        ({"base_url": "http://localhost:port/v1"}, "is no URL"),
        ({"base_url": "http://me:secret@localhost/v1"}, "A key goes into api_key"),
        ({"base_url": "http://localhost/v1?key=1"}, "A key goes into api_key"),
        ({"base_url": None}, "is no URL"),
        ({"model": ""}, "model must be the name"),
        ({"goal": "scoer"}, "Did you mean 'score'"),
        ({"api_key": "a\nb"}, "on one line"),
        ({"api_key": 3}, "must be plain ASCII text"),
        ({"timeout": 0}, "timeout must be more than 0"),
        ({"timeout": "1"}, "timeout must be a finite number"),
        ({"max_retries": -1}, "max_retries must be an integer >= 0"),
        ({"concurrency": 0}, "concurrency must be an integer >= 1"),
        ({"max_tokens": 1.5}, "max_tokens must be an integer >= 1"),
        ({"backoff": -1}, "backoff must be a finite number >= 0"),
        ({"extra_body": {"a": object()}}, "extra_body must be a JSON object"),
        ({"extra_body": [1]}, "extra_body must be a JSON object"),
    ],
)
def test_refuses_bad_arguments(arguments, message):
    with pytest.raises(ConfigError, match=message) as refusal:
        OpenAIAnnotator(**{"base_url": "http://localhost:8000/v1", "model": "m", **arguments})
    assert "secret" not in str(refusal.value)


def test_an_address_that_names_the_method_or_ends_in_a_slash_works():
    with StubLLM("yes") as server:
        for end in ("/", "/chat/completions"):
            assert OpenAIAnnotator(server.url + end, "m").label(["a"]).tolist() == [1]
        assert set(server.paths) == {"/v1/chat/completions"}


def test_requests_are_json_at_the_path_of_the_address():
    with StubLLM("yes") as server:
        OpenAIAnnotator(server.url.replace("/v1", "/api/v2"), "m").label(["a"])
    assert server.paths == ["/api/v2/chat/completions"]
    assert server.headers[0]["Content-Type"] == "application/json"
