"""An OpenAI-compatible server on loopback that does what a test tells it, faults included."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import MappingProxyType
from typing import Any, NamedTuple


class Say(NamedTuple):
    """Answer with a completion, after `wait` seconds."""

    content: Any
    wait: float = 0.0
    logprobs: list[dict[str, Any]] | None = None
    usage: dict[str, int] | None = None


class Send(NamedTuple):
    """Answer with this status, body and these headers."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = MappingProxyType({})


class Hang(NamedTuple):
    """Accept and never answer."""


class Drop(NamedTuple):
    """Send these bytes and reset the connection, or end it in good order."""

    sent: bytes = b""
    reset: bool = True


class Drip(NamedTuple):
    """Send a body without end, a byte at a time."""

    every: float = 0.01


Act = str | Say | Send | Hang | Drop | Drip


def completion(content: Any, logprobs: Any = None, usage: Any = None) -> bytes:
    """Return the body of a chat completion."""
    choice = {"index": 0, "message": {"role": "assistant", "content": content}}
    if logprobs is not None:
        choice["logprobs"] = {"content": logprobs}
    data = {"object": "chat.completion", "choices": [choice]}
    if usage is not None:
        data["usage"] = usage
    return json.dumps(data).encode()


class StubLLM:
    """Serves POST /v1/chat/completions from a thread.

    Args:
        act: What to do: one act for all requests, a list used up from the front (its last stays),
            or a function of the request's body.
        certificate: A PEM file with a key and a certificate, to serve https.

    Attributes:
        url: For `base_url`.
        requests: Bodies received, in order.
        headers: Their headers. Likewise `paths`.
        connections: Connections accepted.
        most_at_once: Most requests being answered at one time.
    """

    def __init__(
        self,
        act: Act | list[Act] | Callable[[dict[str, Any]], Act] = "yes",
        certificate: str | None = None,
    ):
        self.act = act
        self.requests: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.paths: list[str] = []
        self.connections = 0
        self.most_at_once = 0
        self._at_once = 0
        self._open: list[socket.socket] = []
        self._lock = threading.Lock()
        self.stopping = threading.Event()
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.stub = self
        scheme = "http"
        if certificate is not None:
            scheme = "https"
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            self._server.socket = context.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        self.url = f"{scheme}://127.0.0.1:{self._server.server_address[1]}/v1"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def __enter__(self) -> StubLLM:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Stop listening, and drop every connection."""
        self.stopping.set()
        self._server.shutdown()
        self.drop_connections()
        self._server.server_close()
        self._thread.join()

    def prompts(self) -> list[str]:
        """Return the user's message of each request."""
        return [request["messages"][-1]["content"] for request in self.requests]

    def begin(self, handler: _Handler, body: dict[str, Any]) -> Act:
        with self._lock:
            self.requests.append(body)
            self.headers.append(dict(handler.headers))
            self.paths.append(handler.path)
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
            if isinstance(self.act, list):
                return self.act.pop(0) if len(self.act) > 1 else self.act[0]
        return self.act(body) if callable(self.act) else self.act

    def end(self) -> None:
        with self._lock:
            self._at_once -= 1

    def connected(self, connection: socket.socket) -> None:
        with self._lock:
            self.connections += 1
            self._open.append(connection)

    def drop_connections(self) -> None:
        """Close the server's end of every connection, and wait until the client's end knows."""
        with self._lock:
            dropped, self._open = self._open, []
        for connection in dropped:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        time.sleep(0.01)


class _Server(ThreadingHTTPServer):
    stub: StubLLM
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request, client_address):
        pass  # a client that went away is what many tests are about


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server
    timeout = 5

    def setup(self):
        super().setup()
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.server.stub.connected(self.connection)

    def log_message(self, *_):
        pass

    def do_POST(self):
        stub = self.server.stub
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        act = stub.begin(self, body)
        try:
            self._do(Say(act) if isinstance(act, str) else act)
        finally:
            stub.end()

    def _do(self, act):
        stopping = self.server.stub.stopping
        if isinstance(act, Say):
            stopping.wait(act.wait)
            self._send(Send(200, completion(act.content, act.logprobs, act.usage)))
        elif isinstance(act, Send):
            self._send(act)
        elif isinstance(act, Hang):
            stopping.wait(5)
            self.close_connection = True
        elif isinstance(act, Drop):
            self.wfile.write(act.sent)
            # closing with a zero linger sends a reset instead of an end
            linger = struct.pack("ii", act.reset, 0)
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            self.connection.close()
            self.close_connection = True
        elif isinstance(act, Drip):
            self.wfile.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
            while not stopping.wait(act.every):
                self.wfile.write(b" ")
            self.close_connection = True

    def _send(self, act):
        self.send_response(act.status)
        for name, value in act.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(act.body)))
        self.end_headers()
        self.wfile.write(act.body)
