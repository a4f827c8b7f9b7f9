"""Whatever a server does, asking it neither raises nor hangs, and is tried again as it should."""

import gc
import os
import socket
import threading
import time
from types import SimpleNamespace

import numpy as np
import pytest
from stub_llm import Drip, Drop, Hang, Send, StubLLM, completion

from rewardloom.rewards.intrinsic.annotators import OpenAIAnnotator, breaker, connection

OK = completion("yes")
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
CUT_SHORT = HEAD + b"Content-Length: %d\r\n\r\n%b" % (len(OK), OK[: len(OK) // 2])
DOWN = pytest.warns(UserWarning, match="does not answer")


def fast(url, **kwargs):
    return OpenAIAnnotator(url, "m", **{"timeout": 5, "max_retries": 2, "backoff": 0.005, **kwargs})


def none(labels):
    return bool(np.isnan(labels).all())


def free_url():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}/v1"


def threads_of_ours():
    return [t for t in threading.enumerate() if t.name == "rewardloom-chat"]


@pytest.mark.parametrize(
    "fault",
    [
        Send(429),
        Send(500),
        Send(503, b"<html>busy</html>"),
        Hang(),
        Drop(),
        Drop(b"HTTP/1.1 200"),
        Drop(b"rubbish\r\n\r\n"),
        Drop(CUT_SHORT),
        Drop(CUT_SHORT, reset=False),
        Drip(),
    ],
    ids=str,
)
def test_passing_trouble_is_retried_until_it_passes(fault):
    with StubLLM([fault, fault, "yes"]) as server:
        annotator = fast(server.url, timeout=0.2 if isinstance(fault, Hang | Drip) else 5)
        assert annotator.label(["a"]).tolist() == [1]
        assert annotator.metrics()["retries"] == 2
        assert annotator.metrics()["requests"] == len(server.requests) == 3
        assert annotator.health.state == "ok"
        annotator.close()


@pytest.mark.parametrize(
    ("fault", "cause"),
    [
        (Send(429), "429"),
        (Send(500), "500"),
        (Hang(), "timeout"),
        (Drop(CUT_SHORT), "connection"),
        (Drip(), "timeout"),
    ],
    ids=str,
)
def test_lasting_trouble_gives_no_label_a_warning_and_a_count(fault, cause):
    with StubLLM(fault) as server:
        annotator = fast(server.url, timeout=0.2 if isinstance(fault, Hang | Drip) else 5)
        with DOWN:
            assert none(annotator.label(["a"]))
        assert len(server.requests) == 3
        assert annotator.metrics()[f"failed_{cause}"] == 1
        assert annotator.health.state == "down"
        assert annotator.health.reason
        annotator.close()


def test_nobody_listening_gives_no_label_and_the_others_are_not_sent():
    annotator = fast(free_url(), max_retries=0, backoff=10)
    with DOWN as warned:
        assert none(annotator.label(["a", "b", "c"]))
    assert "refused" in str(warned[0].message)
    assert annotator.metrics()["requests"] == annotator.metrics()["failed_connection"] == 1
    assert annotator.metrics()["failed_waiting"] == 2


def test_a_host_that_does_not_exist_gives_no_label():
    annotator = fast("http://no-such-host.invalid/v1", max_retries=0)
    with DOWN:
        assert none(annotator.label(["a"]))


@pytest.mark.parametrize(
    ("status", "fix"),
    [
        (401, "Give a valid api_key, or set OPENAI_API_KEY"),
        (403, "with access to this model"),
        (404, r"no such thing.*Check model, and that base_url ends.*in /v1"),
        (307, r"Give the address that it redirects to"),
    ],
)
def test_a_wrong_key_model_or_address_is_asked_once_and_warned_of_once(status, fix):
    body = b'{"error": {"message": "no such thing"}}'
    with StubLLM(Send(status, body, {"Location": "http://elsewhere/v1"})) as server:
        annotator = fast(server.url, backoff=10)
        with pytest.warns(UserWarning, match=fix) as warned:
            assert none(annotator.label(["a", "b", "c"]))
        assert len(warned) == 1
        assert none(annotator.label(["d"]))  # warns no more
        assert len(server.requests) == 1
        assert annotator.health.state == "refused"
        assert f"HTTP {status}" in annotator.health.reason
        assert not annotator.available
        annotator.close()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff\xfe\x00rubbish",
        b"<html>hello</html>",
        OK[:-10],
        b"[]",
        b"null",
        b'{"choices": []}',
        b'{"choices": [{"message": null}]}',
        b'{"choices": "yes"}',
        b"[" * 100_000,
    ],
    ids=range(10),
)
def test_garbage_is_no_label_and_not_asked_for_again(body):
    with StubLLM(Send(200, body)) as server:
        annotator = fast(server.url)
        with pytest.warns(UserWarning, match=r"gave no completion \(garbage\)"):
            assert none(annotator.label(["a"]))
        assert none(annotator.label(["b"]))
        assert len(server.requests) == 2
        assert annotator.metrics()["failed_garbage"] == 2
        annotator.close()


def test_an_answer_without_end_is_cut_off():
    with StubLLM(Send(200, b" " * 5_000_000)) as server:
        annotator = fast(server.url, max_retries=0)
        with DOWN as warned:
            assert none(annotator.label(["a"]))
        assert "exceeds" in str(warned[0].message)
        annotator.close()


def test_a_request_the_server_cannot_do_costs_its_own_label_only():
    def act(body):
        return Send(400, b"too long") if "long" in body["messages"][-1]["content"] else "yes"

    with StubLLM(act) as server:
        annotator = fast(server.url)
        with pytest.warns(UserWarning, match=r"\(400\): HTTP 400 too long"):
            labels = annotator.label(["a", "long", "b"])
        np.testing.assert_array_equal(labels, [1, np.nan, 1])
        assert len(server.requests) == 3
        annotator.close()


def test_a_server_that_refuses_each_request_for_itself_is_up():
    with StubLLM(Send(422)) as server:
        annotator = fast(server.url)
        with pytest.warns(UserWarning, match=r"\(422\)"):
            assert none(annotator.label(["a", "b"]))
        assert annotator.health.state == "ok"
        assert annotator.metrics()["failed_422"] == len(server.requests) == 2
        annotator.close()


def test_the_trial_of_a_silent_server_is_not_retried():
    with StubLLM(Send(500)) as server:
        annotator = fast(server.url, max_retries=1, backoff=0.001)
        with DOWN:
            annotator.label(["a"])
        assert len(server.requests) == 2
        time.sleep(0.002)
        annotator.label(["a"])
        assert len(server.requests) == 3
        annotator.close()


def test_garbage_does_not_make_a_silent_server_well_again():
    with StubLLM([Send(500), Send(200, b"<html>starting</html>")]) as server:
        annotator = fast(server.url, max_retries=0, backoff=0.001)
        with DOWN:
            annotator.label(["a"])
        time.sleep(0.002)
        with pytest.warns(UserWarning, match="garbage"):
            annotator.label(["a"])
        assert annotator.health.state == "down"
        assert "starting" in annotator.health.reason
        annotator.close()


def test_waits_as_long_as_a_rate_limit_says():
    with StubLLM([Send(429, headers={"Retry-After": "0.6"}), "yes"]) as server:
        annotator = fast(server.url, max_retries=1)
        started = time.monotonic()
        assert annotator.label(["a"]).tolist() == [1]
        assert time.monotonic() - started >= 0.6
        annotator.close()


@pytest.mark.parametrize("header", ["soon", "nan", "-5", "Wed, 21 Oct 2015 07:28:00 GMT"])
def test_a_rate_limit_that_makes_no_sense_does_not_matter(header):
    with StubLLM([Send(429, headers={"Retry-After": header}), "yes"]) as server:
        annotator = fast(server.url, max_retries=1)
        assert annotator.label(["a"]).tolist() == [1]
        annotator.close()


def test_a_silent_server_is_left_alone_then_tried_once_and_used_when_it_is_back(monkeypatch):
    later = 0.0
    clock = SimpleNamespace(monotonic=lambda: time.monotonic() + later)
    monkeypatch.setattr(breaker, "time", clock)
    with StubLLM(Send(500)) as server:
        annotator = fast(server.url, max_retries=0, backoff=20)
        with DOWN:
            assert none(annotator.label(["a", "b"]))
        assert len(server.requests) == 1
        assert not annotator.available
        assert none(annotator.label([str(number) for number in range(1000)]))
        assert len(server.requests) == 1
        later = 21
        assert annotator.available
        assert none(annotator.label(["a", "b"]))
        assert len(server.requests) == 2  # one trial
        server.act = "yes"
        later = 21 + 39
        assert not annotator.available  # the wait has doubled
        assert none(annotator.label(["a"]))
        later = 21 + 41
        assert annotator.label(["a", "b"]).tolist() == [1, 1]
        assert annotator.health.state == "ok"
        annotator.close()


def test_the_wait_for_a_silent_server_doubles_up_to_a_minute_and_begins_anew(monkeypatch):
    now = 100.0
    monkeypatch.setattr(breaker, "time", SimpleNamespace(monotonic=lambda: now))
    one, waits = breaker.Breaker(16.0), []
    for _ in range(4):
        one.failed("down", "hangs", since=now)
        started = now
        while one.cooling:
            now += 1
        waits.append(now - started)
    assert waits == [16, 32, 60, 60]
    one.succeeded()
    now += 1
    one.failed("down", "hangs", since=now - 2)
    assert one.health.state == "ok"  # something was answered since
    one.failed("down", "hangs", since=now)
    now += 17
    assert one.is_open
    assert not one.cooling


def test_one_bad_request_among_good_ones_does_not_stop_the_others():
    def act(body):
        if '"bad"' not in body["messages"][-1]["content"]:
            return "yes"
        while len(server.requests) < 10:
            time.sleep(0.001)
        return Send(500)

    with StubLLM(act) as server:
        annotator = fast(server.url, concurrency=2)
        captions = ["good", "bad", *(str(number) for number in range(20))]
        with DOWN:
            labels = annotator.label(captions)
        assert np.flatnonzero(np.isnan(labels)).tolist() == [1]
        assert annotator.health.state == "ok"
        annotator.close()


def test_a_connection_that_was_closed_while_idle_costs_no_retry():
    with StubLLM("yes") as server:
        annotator = fast(server.url, max_retries=0)
        annotator.label(["a"])
        server.drop_connections()
        assert annotator.label(["b"]).tolist() == [1]
        assert annotator.metrics()["retries"] == 0
        annotator.close()


def test_a_server_that_closes_after_each_answer_works():
    with StubLLM(Send(200, OK, {"Connection": "close"})) as server:
        annotator = fast(server.url)
        assert annotator.label(["a", "b", "c"]).tolist() == [1, 1, 1]
        assert server.connections == 3
        annotator.close()


@pytest.mark.parametrize("act", [Hang(), Drip(), Send(429, headers={"Retry-After": "30"})], ids=str)
def test_close_during_requests_ends_them_at_once_and_leaves_nothing(act):
    gc.collect()
    sockets = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else None
    with StubLLM("yes") as server:
        annotator = fast(server.url, timeout=30, concurrency=3)
        annotator.label(["a"])
        server.act = act
        result = []
        asking = threading.Thread(
            target=lambda: result.append(annotator.label([str(n) for n in range(9)]))
        )
        asking.start()
        while len(server.requests) < 2:
            time.sleep(0.002)
        started = time.monotonic()
        annotator.close()
        asking.join(2)
        for thread in threads_of_ours():
            thread.join(2)
        assert time.monotonic() - started < 2
        assert not asking.is_alive()
        assert none(result[0])
        assert threads_of_ours() == []
        assert annotator.health.state == "ok"  # nobody asked whether it would have answered
        server.act = "yes"
        if not isinstance(act, Send):  # the server's rate limit still holds
            assert annotator.label(["b"]).tolist() == [1]
        annotator.close()
    gc.collect()
    if sockets is not None:
        assert len(os.listdir("/proc/self/fd")) <= sockets


def test_close_during_the_first_request_sends_no_more():
    with StubLLM(Hang()) as server:
        annotator = fast(server.url, timeout=30)
        asking = threading.Thread(target=lambda: annotator.label(["a", "b", "c"]))
        asking.start()
        while not server.requests:
            time.sleep(0.002)
        annotator.close()
        asking.join(2)
        assert not asking.is_alive()
        assert len(server.requests) == 1


def test_a_connection_cut_before_it_is_open_never_opens():
    with StubLLM("yes") as server:
        one = connection.Connection(connection.read_url(server.url), 5, None)
        one.cut()
        with pytest.raises(ConnectionAbortedError):
            one.post("/v1/chat/completions", b"{}", {})
        assert server.connections == 0


def test_close_during_the_wait_for_a_connection_ends_it():
    with socket.socket() as full:  # a backlog that nobody accepts from
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        others = [socket.socket() for _ in range(4)]
        for other in others:
            other.setblocking(False)
            other.connect_ex(full.getsockname())
        annotator = fast(f"http://127.0.0.1:{full.getsockname()[1]}/v1", timeout=30)
        asking = threading.Thread(target=lambda: annotator.label(["a"]))
        asking.start()
        time.sleep(0.05)
        annotator.close()
        asking.join(2)
        assert not asking.is_alive()
        for thread in threads_of_ours():
            thread.join(2)
        assert threads_of_ours() == []
        for other in others:
            other.close()


def test_connections_are_closed_with_an_annotator_that_nobody_holds():
    with StubLLM("yes") as server:
        annotator = fast(server.url)
        annotator.label(["a"])
        del annotator
        gc.collect()  # an unclosed socket would be a ResourceWarning, here an error
        assert server.connections == 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
def test_a_forked_process_uses_connections_of_its_own():
    with StubLLM("yes") as server:
        annotator = fast(server.url)
        annotator.label(["a"])
        child = os.fork()
        if child == 0:
            os._exit(0 if annotator.label(["b"]).tolist() == [1] else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert annotator.label(["c"]).tolist() == [1]
        assert server.connections == 2
        annotator.close()
