"""The client over https: certificates that are trusted, and not, and a server that says nothing."""

import shutil
import socket
import subprocess
import threading
import time

import numpy as np
import pytest
from stub_llm import StubLLM

from rewardloom.rewards.intrinsic.annotators import OpenAIAnnotator

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl command")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tls")
    key, made, both = folder / "key.pem", folder / "made.pem", folder / "both.pem"
    command = (
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 "
        "-subj /CN=stub -addext subjectAltName=IP:127.0.0.1"
    )
    subprocess.run(
        [*command.split(), "-keyout", key, "-out", made], check=True, capture_output=True
    )
    both.write_text(key.read_text() + made.read_text())
    return both


def test_a_trusted_server_is_asked_over_connections_that_stay(certificate, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with StubLLM("yes", str(certificate)) as server:
        annotator = OpenAIAnnotator(server.url, "m", concurrency=1)
        assert annotator.label(["a", "b", "c"]).tolist() == [1, 1, 1]
        assert server.connections == 1
        assert server.headers[0]["Host"] == server.url.split("/")[2]
        annotator.close()


def test_an_untrusted_server_is_told_nothing(certificate):
    with StubLLM("yes", str(certificate)) as server:
        annotator = OpenAIAnnotator(server.url, "m", api_key="secret", max_retries=0)
        with pytest.warns(UserWarning, match="does not answer: SSLCertVerificationError"):
            assert np.isnan(annotator.label(["a"])).all()
        assert server.requests == []
        annotator.close()


def test_close_ends_the_wait_for_a_server_that_does_not_shake_hands():
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        url = f"https://127.0.0.1:{silent.getsockname()[1]}/v1"
        annotator = OpenAIAnnotator(url, "m", timeout=30)
        asking = threading.Thread(target=lambda: annotator.label(["a"]))
        asking.start()
        accepted, _ = silent.accept()
        assert accepted.recv(1)  # the client's hello: it waits for an answer to that
        annotator.close()
        asking.join(2)
        assert not asking.is_alive()
        deadline = time.monotonic() + 2
        while any(t.name == "rewardloom-chat" for t in threading.enumerate()):
            assert time.monotonic() < deadline
            time.sleep(0.005)
        accepted.close()
