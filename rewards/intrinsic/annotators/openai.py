"""`OpenAIAnnotator`: has a language model behind any OpenAI-compatible server judge captions."""

from __future__ import annotations

import functools
import json
import math
import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from rewardloom.errors import ConfigError
from rewardloom.rewards.intrinsic.annotators import prompts
from rewardloom.rewards.intrinsic.annotators.breaker import Health
from rewardloom.rewards.intrinsic.annotators.chat_client import ChatClient
from rewardloom.rewards.intrinsic.annotators.chat_job import Outcome
from rewardloom.rewards.intrinsic.annotators.goals import GoalLike, read_goal
from rewardloom.rewards.intrinsic.annotators.protocol import NO_LABEL, UNHELPFUL
from rewardloom.rewards.numbers import at_least_zero, check_integer
from rewardloom.typing import F64N

__all__ = ["OpenAIAnnotator"]

_TOP_TOKENS = 10
_ENOUGH_TO_JUDGE = 20


class OpenAIAnnotator:
    """Asks a language model about captions, one request each, several at once.

    Works with whatever serves POST {base_url}/chat/completions: vLLM, llama.cpp, Ollama, a hosted
    service. The model is asked, at temperature 0, for one bare word; an answer that is none is no
    label. A blank caption is unhelpful, and two equal captions tie, without a request. Nothing is
    sent before the first call, and `HTTP_PROXY` and the like are not read.

    Nothing that the server does raises: what it does not answer is `NO_LABEL`. Rate limits, server
    errors, timeouts and broken connections are tried again; a wrong key, model or address is warned
    of once. A server that stays silent is left alone for a while that doubles up to a minute; until
    then `available` is False and captions get no label at once.

    Args:
        base_url: Where the API begins, such as "http://localhost:8000/v1".
        model: The model's name at that server.
        goal: What is helpful: the name of a shipped goal, a `Goal`, its fields, or a JSON file.
        api_key: The server's key; None takes the environment's OPENAI_API_KEY, or none.
        timeout: Seconds for one answer.
        max_retries: Times that a request is sent again.
        concurrency: Requests at once.
        max_tokens: Most tokens of an answer. A model that thinks aloud needs many more.
        extra_body: Fields of the request to add or to replace; None as a value leaves one out,
            for example `{"max_tokens": None, "max_completion_tokens": 16}`.
        soft: Whether to return probabilities, from the log-probabilities of the answer's token,
            where the server gives them.
        backoff: Seconds before the first retry; doubles, with jitter.

    Attributes:
        goal: The `Goal`.
        model: As given.
        name: "openai:", the model and the goal's name.
        version: The version of the prompts and a digest of the goal and of what is asked for.

    Raises:
        ConfigError: an argument out of range, an unknown goal, or no URL.
    """

    def __init__(
        self,
        base_url: str,
        model: str,
        goal: GoalLike = "score",
        *,
        api_key: str | None = None,
        timeout: float = 30.0,
        max_retries: int = 3,
        concurrency: int = 8,
        max_tokens: int = 16,
        extra_body: Mapping[str, Any] | None = None,
        soft: bool = False,
        backoff: float = 0.5,
    ):
        if not isinstance(model, str) or not model:
            raise ConfigError(f"model must be the name of a model, got {model!r}.")
        self._rebuild = functools.partial(
            OpenAIAnnotator,
            base_url,
            model,
            goal,
            api_key=api_key,
            timeout=timeout,
            max_retries=max_retries,
            concurrency=concurrency,
            max_tokens=max_tokens,
            extra_body=extra_body,
            soft=soft,
            backoff=backoff,
        )
        self.goal, self.model = read_goal(goal), model
        self._extra = _body_fields(extra_body)
        self._max_tokens = check_integer("max_tokens", max_tokens)
        self._soft = soft
        self._client = ChatClient(
            base_url,
            api_key=_checked_key(api_key),
            timeout=_positive("timeout", timeout),
            max_retries=check_integer("max_retries", max_retries, least=0),
            concurrency=check_integer("concurrency", concurrency),
            backoff=_positive("backoff", backoff),
        )
        self._logprobs_served, self._told = True, False
        self._unparsable, self._example = 0, ""  # how many, and the last of them
        self.name = f"openai:{model}:{self.goal.name}"
        parts = [f"prompt {prompts.PROMPT_VERSION} goal {self.goal.digest}", *["soft"] * bool(soft)]
        parts += [json.dumps(self._extra, sort_keys=True)] if self._extra else []
        self.version = " ".join(parts)

    def __reduce__(self) -> tuple[Any, ...]:
        """Copies have the same settings, and counts and connections of their own.

        A key given as an argument goes with them; one of the environment is looked up again.
        """
        return self._rebuild, ()

    @property
    def health(self) -> Health:
        """How it stands with the server: "unknown", "ok", "down" or "refused", and why."""
        return self._client.health

    @property
    def available(self) -> bool:
        """Whether asking now makes sense; False while a silent server is left alone."""
        return self._client.available

    def label(self, captions: Sequence[str]) -> F64N:
        """See `Annotator.label`; never raises for what the server does."""
        labels = np.array([NO_LABEL if c.strip() else UNHELPFUL for c in captions], float)
        messages = [prompts.label_messages(self.goal, c) for c in captions if c.strip()]
        labels[np.isnan(labels)] = self._ask(messages, prompts.read_label, prompts.LABELS)
        return labels

    def compare(self, pairs: Sequence[tuple[str, str]]) -> F64N:
        """See `Comparer.compare`; never raises for what the server does."""
        values = np.array([0.5 if a == b else NO_LABEL for a, b in pairs], float)
        messages = [prompts.compare_messages(self.goal, a, b) for a, b in pairs if a != b]
        values[np.isnan(values)] = self._ask(messages, prompts.read_preference, prompts.PREFERENCES)
        return values

    def metrics(self) -> dict[str, float]:
        """Return counts since construction.

        `requests`, `retries` among them, `answered`, `unparsable` answers, `prompt_tokens` and
        `completion_tokens` (0 if the server does not say), `seconds` summed over requests, and
        `failed_<cause>` once something has failed.
        """
        names = ("requests", "retries", "answered", "prompt_tokens", "completion_tokens", "seconds")
        counts = {name: 0.0 for name in names} | dict(self._client.counts)
        return {**counts, "unparsable": float(self._unparsable)}

    def close(self) -> None:
        """Abandon requests in flight and close connections; asking again opens new ones."""
        self._client.close()

    def _ask(
        self,
        messages: Sequence[list[dict[str, str]]],
        read: Callable[[str], float],
        words: Mapping[str, float],
    ) -> list[float]:
        soft = self._soft and self._logprobs_served
        outcomes = self._client.ask([self._body(one, soft) for one in messages])
        if soft and (again := [i for i, o in enumerate(outcomes) if o.cause in ("400", "422")]):
            plain = self._client.ask([self._body(messages[i], False) for i in again])
            # refused with log-probabilities and answered without: they are not served here
            self._logprobs_served = not any(outcome.choice for outcome in plain)
            for i, outcome in zip(again, plain, strict=True):
                outcomes[i] = outcome
        values = [self._value(outcome, read, words) for outcome in outcomes]
        self._tell_if_never_parsed()
        return values

    def _body(self, messages: list[dict[str, str]], soft: bool) -> bytes:
        body: dict[str, Any] = {
            "model": self.model,
            "messages": messages,
            "temperature": 0,
            "max_tokens": self._max_tokens,
        }
        if soft:
            body |= {"logprobs": True, "top_logprobs": _TOP_TOKENS}
        body |= self._extra
        return json.dumps({key: value for key, value in body.items() if value is not None}).encode()

    def _value(
        self, outcome: Outcome, read: Callable[[str], float], words: Mapping[str, float]
    ) -> float:
        if outcome.choice is None:
            return NO_LABEL
        content = outcome.choice["message"]["content"]
        value = read(content) if isinstance(content, str) else NO_LABEL
        if math.isnan(value):
            self._unparsable += 1
            self._example = str(content)[:80]
            return value
        return _expected(outcome.choice, value, words) if self._soft else value

    def _tell_if_never_parsed(self) -> None:
        answered = self._client.counts["answered"]
        if self._told or answered < _ENOUGH_TO_JUDGE:
            return
        self._told = True
        if self._unparsable >= answered:
            warnings.warn(
                f"None of {answered:.0f} answers of {self.model!r} is the word asked for; the last "
                f"begins {self._example!r}. Take a model that follows instructions, or "
                "raise max_tokens if it thinks aloud first.",
                stacklevel=4,
            )


def _expected(choice: Mapping[str, Any], value: float, words: Mapping[str, float]) -> float:
    """Return the mean of the words' values under the token probabilities, or the bare value.

    The token that counts is the last one that is a word on its own: the answer's field, if prose
    went before it.
    """
    try:
        tokens = choice["logprobs"]["content"]
        token = next(t for t in reversed(tokens) if prompts.bare_word(t["token"]) in words)
        if words[prompts.bare_word(token["token"])] != value:
            return value
        mass = total = 0.0
        for entry in token["top_logprobs"]:
            word = prompts.bare_word(entry["token"])
            if word in words:
                probability = math.exp(min(0.0, entry["logprob"]))
                mass += probability
                total += probability * words[word]
        return total / mass
    except (LookupError, TypeError, AttributeError, StopIteration, ZeroDivisionError):
        return value


def _checked_key(api_key: str | None) -> str | None:
    key = os.environ.get("OPENAI_API_KEY") if api_key is None else api_key
    if key is None:
        return None
    if not isinstance(key, str) or not (key.strip().isascii() and key.strip().isprintable()):
        raise ConfigError("api_key (or OPENAI_API_KEY) must be plain ASCII text on one line.")
    return key.strip()


def _body_fields(extra: Mapping[str, Any] | None) -> dict[str, Any]:
    try:
        return dict(json.loads(json.dumps(dict(extra or {}))))
    except (TypeError, ValueError) as error:
        raise ConfigError(f"extra_body must be a JSON object, got {extra!r}: {error}.") from None


def _positive(name: str, value: Any) -> float:
    number = at_least_zero(name, value)
    if number == 0:
        raise ConfigError(f"{name} must be more than 0.")
    return number
