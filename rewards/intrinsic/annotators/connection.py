"""One HTTP connection that another thread can cut.

- `Endpoint`, `read_url`: where a server is.
- `Connection`: posts one request at a time over a connection that is kept alive.
- `Response`: status, headers that matter and body.
"""

from __future__ import annotations

import contextlib
import http.client
import socket
import ssl
import time
from email.utils import parsedate_to_datetime
from typing import NamedTuple
from urllib.parse import urlsplit

from rewardloom.errors import ConfigError

__all__ = ["Connection", "Endpoint", "Response", "read_url"]

_MAX_BYTES = 4_000_000


class Endpoint(NamedTuple):
    """Where requests go.

    Attributes:
        tls: Whether the connection is encrypted.
        host: A name or address.
        port: Its port.
        path: What the paths of requests begin with.
    """

    tls: bool
    host: str
    port: int
    path: str


class Response(NamedTuple):
    """What a server answered.

    Attributes:
        status: The HTTP status.
        retry_after: Seconds that the server asks to wait, or None.
        location: Where the server redirects to, or "".
        body: The whole body.
    """

    status: int
    retry_after: float | None
    location: str
    body: bytes


def read_url(base_url: str) -> Endpoint:
    """Return the endpoint of a URL such as "http://localhost:8000/v1".

    Raises:
        ConfigError: no http or https URL, or one with a password or a query in it.
    """
    try:
        url = urlsplit(base_url.strip())
        host, port = url.hostname, url.port
        (host or "").encode("idna")
        url.path.encode("ascii")
    except (AttributeError, ValueError) as error:
        raise ConfigError(f"base_url {base_url!r} is no URL: {error}.") from None
    if url.scheme not in ("http", "https") or not host:
        raise ConfigError(
            f"base_url must be a URL such as 'http://localhost:8000/v1', got {base_url!r}."
        )
    if url.username is not None or url.query or url.fragment or set(url.path) & set(" \t\r\n\0"):
        raise ConfigError(
            "base_url takes a server and a path only, such as 'http://localhost:8000/v1'. A key "
            "goes into api_key."
        )
    tls = url.scheme == "https"
    path = url.path.rstrip("/").removesuffix("/chat/completions")
    return Endpoint(tls, host, port or (443 if tls else 80), path)


class Connection(http.client.HTTPConnection):
    """A connection to one endpoint, opened at the first request.

    Args:
        endpoint: Where to.
        timeout: Seconds that connecting, and the whole answer, may take.
        tls: How to encrypt; given if the endpoint wants that.

    Attributes:
        used: Whether a request has been answered on it: then the server may have closed it since.
    """

    def __init__(self, endpoint: Endpoint, timeout: float, tls: ssl.SSLContext | None):
        super().__init__(endpoint.host, endpoint.port, timeout=timeout)
        self.used = False
        self._tls = tls
        self._seconds = timeout
        self._cut = False
        # `sock` is None while the last answer of a connection is read
        self._opened: socket.socket | None = None
        self.default_port = 443 if tls else 80

    def connect(self) -> None:
        """Open the connection; the socket can be cut from its first moment."""
        problem: OSError = OSError(f"{self.host} has no address")
        for family, kind, protocol, _, address in socket.getaddrinfo(
            self.host, self.port, type=socket.SOCK_STREAM
        ):
            plain = socket.socket(family, kind, protocol)
            try:
                plain.settimeout(self._seconds)
                self._hold(plain)
                plain.connect(address)
                plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                break
            except OSError as error:
                plain.close()
                problem = error
        else:
            self.close()
            raise problem
        if self._tls is not None:
            encrypted = self._tls.wrap_socket(
                plain, server_hostname=self.host, do_handshake_on_connect=False
            )
            self._hold(encrypted)
            encrypted.do_handshake()

    def post(self, path: str, body: bytes, headers: dict[str, str]) -> Response:
        """Send a request and return the answer.

        Raises:
            OSError: the server cannot be reached, hangs, takes longer than the timeout, or closes
                the connection.
            http.client.HTTPException: what came is no HTTP, is cut short or is too long.
        """
        deadline = time.monotonic() + self._seconds
        self.request("POST", path, body, headers)
        with self.getresponse() as answer:
            chunks, size = [], 0
            while chunk := answer.read1(65536):
                chunks.append(chunk)
                size += len(chunk)
                if size > _MAX_BYTES:
                    raise http.client.HTTPException(f"the answer exceeds {_MAX_BYTES} bytes")
                if time.monotonic() > deadline:
                    raise TimeoutError("timed out")
            length = answer.getheader("Content-Length")
            if length is not None and length.isdecimal() and size < int(length):
                raise http.client.IncompleteRead(b"".join(chunks), int(length) - size)
            self.used = True
            return Response(
                answer.status,
                _seconds(answer.getheader("Retry-After")),
                answer.getheader("Location") or "",
                b"".join(chunks),
            )

    def cut(self) -> None:
        """End whatever another thread does on this connection; it gets an error at once."""
        self._cut = True
        opened = self._opened
        if opened is not None:
            with contextlib.suppress(OSError):
                socket.socket.shutdown(opened, socket.SHUT_RDWR)  # not the one of TLS, which talks

    def _hold(self, opened: socket.socket) -> None:
        self.sock = self._opened = opened
        if self._cut:  # `cut` came before there was a socket
            raise ConnectionAbortedError("closed")


def _seconds(text: str | None) -> float | None:
    """Return what a Retry-After header says, in seconds from now, or None."""
    if text is None:
        return None
    try:
        return max(0.0, float(text))
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    except (ValueError, TypeError):
        return None
