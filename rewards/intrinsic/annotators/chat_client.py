"""`ChatClient`: chat completions, several at once, from a server that may do anything."""

from __future__ import annotations

import http.client
import json
import os
import random
import ssl
import threading
import time
import warnings
import weakref
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from rewardloom.rewards.intrinsic.annotators.breaker import Breaker, Health
from rewardloom.rewards.intrinsic.annotators.chat_job import Job, Outcome
from rewardloom.rewards.intrinsic.annotators.connection import Connection, Response, read_url

__all__ = ["ChatClient"]

_RETRIED = (408, 409, 425, 429)
_REFUSED = (301, 302, 303, 307, 308, 401, 402, 403, 404, 405)
_LONGEST_PAUSE = 60.0


class ChatClient:
    """Posts chat completions, several at once, and never raises for what the server does.

    Rate limits (429, waiting as long as Retry-After says, up to a minute), errors of the server
    (5xx), timeouts and broken connections are tried again after a wait that doubles and jitters.
    A wrong key, model or address (401 to 405, redirects) is not. When a request is given up, and
    none was answered meanwhile, the server is left alone for `backoff` seconds, doubling up to a
    minute, during which requests fail at once; then one is tried. Each kind of trouble is warned
    of once.

    Args:
        base_url: Where the API begins, such as "http://localhost:8000/v1".
        api_key: Sent as a bearer token, or None.
        timeout: Seconds for connecting, and for one answer.
        max_retries: Times that a request is sent again.
        concurrency: Requests at once of one call.
        backoff: Seconds before the first retry.

    Attributes:
        counts: `requests` sent, `retries` among them, `answered`, `prompt_tokens` and
            `completion_tokens` where the server counts them, `seconds` of waiting summed over
            requests, and `failed_<cause>` for requests given up.
    """

    def __init__(
        self,
        base_url: str,
        *,
        api_key: str | None,
        timeout: float,
        max_retries: int,
        concurrency: int,
        backoff: float,
    ):
        self.base_url = base_url
        self._endpoint = read_url(base_url)
        self._path = f"{self._endpoint.path}/chat/completions"
        self._headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if api_key:
            self._headers["Authorization"] = f"Bearer {api_key}"
        self._timeout, self._max_retries = timeout, max_retries
        self._concurrency, self._backoff = concurrency, backoff
        self._tls: ssl.SSLContext | None = None
        self._breaker = Breaker(backoff)
        self._pause_until = 0.0
        self._lock = threading.Lock()
        self._process = os.getpid()
        self._idle: list[Connection] = []
        weakref.finalize(self, _close_all, self._idle)
        self._busy: set[Connection] = set()
        self._jobs: set[Job] = set()
        self._closes = 0
        self._warned: set[str] = set()
        self._to_warn: list[str] = []
        self.counts: defaultdict[str, float] = defaultdict(float)

    @property
    def health(self) -> Health:
        """How it stands with the server."""
        return self._breaker.health

    @property
    def available(self) -> bool:
        """Whether a request would be sent now, rather than fail at once."""
        return not self._breaker.cooling

    def ask(self, bodies: Sequence[bytes]) -> list[Outcome]:
        """Post each of the JSON bodies and return what became of it, in the same order.

        Returns when all are done, or when another thread calls `close`.
        """
        closes, outcomes = self._closes, list[Outcome]()
        first = len(bodies) if self.health.state == "ok" else 1  # one tells how the server is
        for part in (bodies[:first], bodies[first:]):
            if self._breaker.cooling:
                self._count(failed_waiting=len(part))
                outcomes += [Outcome(None, "waiting")] * len(part)
            else:
                outcomes += self._run(part, closes)
        while self._to_warn:
            warnings.warn(self._to_warn.pop(), stacklevel=3)
        return outcomes

    def close(self) -> None:
        """Abandon the requests in flight and close all connections; `ask` opens new ones."""
        with self._lock:
            self._closes += 1
            idle = list(self._idle)
            self._idle.clear()
            busy, jobs = list(self._busy), list(self._jobs)
        for job in jobs:
            job.abandon()
        for connection in busy:
            connection.cut()
        _close_all(idle)

    def _run(self, bodies: Sequence[bytes], closes: int) -> list[Outcome]:
        job, trial = Job(bodies), self._breaker.is_open
        with self._lock:
            if self._closes != closes:
                return job.outcomes
            if self._process != os.getpid():  # forked: the parent's connections are not ours
                self._process = os.getpid()
                _close_all(self._idle)
                self._idle.clear()
                self._busy.clear()
            if self._endpoint.tls and self._tls is None:
                self._tls = ssl.create_default_context()
            self._jobs.add(job)
        try:
            return job.run(lambda: self._work(job, trial), self._concurrency)
        finally:
            with self._lock:
                self._jobs.discard(job)

    def _work(self, job: Job, trial: bool) -> None:
        while (index := job.take()) is not None:
            outcome = self._answer(job, job.bodies[index], trial)
            if outcome.cause:
                self._count(**{f"failed_{outcome.cause}": 1})
            job.outcomes[index] = outcome

    def _answer(self, job: Job, body: bytes, trial: bool) -> Outcome:
        """Send a request until it is answered or given up; once if it is a trial."""
        since, cause, reason = time.monotonic(), "", ""
        for attempt in range(1 if trial else self._max_retries + 1):
            if attempt:
                pause = self._backoff * 2 ** (attempt - 1) * random.uniform(0.75, 1.25)
                job.abandoned.wait(min(pause, _LONGEST_PAUSE))
            job.abandoned.wait(self._pause_until - time.monotonic())
            if job.abandoned.is_set():
                break
            if self._breaker.is_open and not trial:
                return Outcome(None, "waiting")
            self._count(requests=1, retries=1 if attempt else 0)
            cause, reason, choice = self._once(job, body)
            if not cause:
                self._breaker.succeeded()
                return Outcome(choice, "")
            if job.abandoned.is_set():
                break
            if cause.isdecimal() and int(cause) in _REFUSED:
                self._breaker.failed("refused", reason, since)
                self._warn(cause, self._advice(int(cause), reason))
                return Outcome(None, cause)
            if cause not in ("timeout", "connection") and not _is_retried(cause):
                if cause != "garbage":
                    self._breaker.succeeded()  # it understood and refused this one
                elif trial:
                    self._breaker.failed("down", reason, since)
                self._warn(cause, f"{self.base_url} gave no completion ({cause}): {reason}.")
                return Outcome(None, cause)
        if job.abandoned.is_set():
            return Outcome(None, "closed")
        self._breaker.failed("down", reason, since)
        self._warn("down", f"{self.base_url} does not answer: {reason}. It is tried again.")
        return Outcome(None, cause)

    def _once(self, job: Job, body: bytes) -> tuple[str, str, dict[str, Any] | None]:
        """Send a request once; return the cause and the reason of a failure, and the choice."""
        started = time.monotonic()
        try:
            response = self._post(job, body)
        except TimeoutError:
            return "timeout", f"no answer within {self._timeout:g} s", None
        except (OSError, http.client.HTTPException) as error:
            return "connection", f"{type(error).__name__}: {error}", None
        finally:
            self._count(seconds=time.monotonic() - started)
        if response.status != 200:
            if response.status == 429 and response.retry_after is not None:
                pause = min(response.retry_after, _LONGEST_PAUSE)
                self._pause_until = max(self._pause_until, time.monotonic() + pause)
            return str(response.status), _reason(response), None
        return self._read(response.body)

    def _post(self, job: Job, body: bytes) -> Response:
        while True:
            with self._lock:
                connection = self._idle.pop() if self._idle else None
                if connection is None:
                    connection = Connection(self._endpoint, self._timeout, self._tls)
                self._busy.add(connection)
            if job.abandoned.is_set():  # `close` came before it could see this connection
                connection.cut()
            reused, keep = connection.used, False
            try:
                response = connection.post(self._path, body, self._headers)
                keep = connection.sock is not None
                return response
            except (ConnectionError, http.client.RemoteDisconnected):
                if not reused or job.abandoned.is_set():
                    raise
                # the server closed it while it was idle; a fresh one tells how the server is
            finally:
                with self._lock:
                    self._busy.discard(connection)
                    keep = keep and not job.abandoned.is_set()
                    if keep:
                        self._idle.append(connection)
                if not keep:
                    connection.close()

    def _read(self, body: bytes) -> tuple[str, str, dict[str, Any] | None]:
        try:
            data = json.loads(body)
            choice = data["choices"][0]
            choice["message"]["content"]
        except (ValueError, LookupError, TypeError, RecursionError):
            return "garbage", f"the answer begins {body[:80]!r}", None
        usage = data.get("usage")
        for kind in ("prompt_tokens", "completion_tokens"):
            count = usage.get(kind) if isinstance(usage, dict) else None
            if isinstance(count, int):
                self._count(**{kind: count})
        self._count(answered=1)
        return "", "", choice

    def _advice(self, status: int, reason: str) -> str:
        where = f"{self.base_url} refuses requests: {reason}."
        if status in (401, 402, 403):
            fix = "Give a valid api_key, or set OPENAI_API_KEY, with access to this model."
        elif status in (404, 405):
            fix = "Check model, and that base_url ends where the API begins, as a rule in /v1."
        else:
            fix = "Give the address that it redirects to as base_url."
        return f"{where} {fix} Until then captions get no label; training goes on."

    def _warn(self, kind: str, message: str) -> None:
        """Have the calling thread warn, once for each kind."""
        with self._lock:
            if kind not in self._warned:
                self._warned.add(kind)
                self._to_warn.append(message)

    def _count(self, **amounts: float) -> None:
        with self._lock:
            for name, amount in amounts.items():
                self.counts[name] += amount


def _close_all(connections: list[Connection]) -> None:
    for connection in connections:
        connection.close()


def _is_retried(cause: str) -> bool:
    return cause.isdecimal() and (int(cause) in _RETRIED or int(cause) >= 500)


def _reason(response: Response) -> str:
    """Return an HTTP status with the server's own words, shortened."""
    text = response.body.decode("utf-8", "replace")
    try:
        error = json.loads(text)["error"]
        text = error["message"] if isinstance(error, dict) else str(error)
    except (ValueError, LookupError, TypeError, RecursionError):
        text = response.location or text
    return f"HTTP {response.status} {' '.join(str(text).split())[:200]}".strip()
