"""`BackgroundLabeler`: annotates in a thread while training goes on."""

from __future__ import annotations

import itertools
import os
import threading
import warnings
import weakref
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rewardloom.rewards.intrinsic.labeling import Source, Tries
from rewardloom.rewards.intrinsic.models.base import Item
from rewardloom.rewards.numbers import check_integer

__all__ = ["BackgroundLabeler"]

_JOIN_SECONDS = 5.0
_FIRST_DELAY, _LAST_DELAY = 0.5, 30.0  # seconds between calls that fail


class BackgroundLabeler:
    """Annotates items in a thread of its own; `submit` and `collect` never wait for it.

    A stack: the newest items are asked first, the oldest are dropped where more than `max_pending`
    wait (and taken again if they are submitted again). Nothing that the annotator does reaches
    the caller: if it raises, hangs or its thread dies, items wait, a warning says so once, tries
    come at growing intervals and with fewer items (one that raises alone `max_tries` times is given
    up), and a dead thread is replaced at the next `submit`. While it is not available, items wait
    too. Not picklable state (the thread, locks) is left out of a pickle and
    of a forked child, which starts anew.

    Args:
        source: Who answers; called from the thread.
        batch_size: Most items asked in one call.
        max_pending: Most items that wait.
        max_tries: Calls without an answer after which an item is not asked any more.
    """

    def __init__(
        self,
        source: Source,
        *,
        batch_size: int = 100,
        max_pending: int = 10_000,
        max_tries: int = 3,
    ):
        self._source = source
        self._sizes = (
            check_integer("batch_size", batch_size),
            check_integer("max_pending", max_pending),
            check_integer("max_tries", max_tries),
        )
        self._reset()

    def _reset(self) -> None:
        self._queue = _Queue(*self._sizes)
        self._thread: threading.Thread | None = None
        self._pid = os.getpid()
        self._restarts = 0
        self._finalizer: Any = None

    @property
    def room(self) -> int:
        """Items that can be taken without dropping others."""
        return self._sizes[1] - len(self._own_queue().stack)

    @property
    def pending(self) -> int:
        """Items taken and not yet answered."""
        return len(self._own_queue().waiting)

    @property
    def arrived(self) -> bool:
        """Whether `collect` would return something."""
        return bool(self._own_queue().done)

    def submit(self, items: Sequence[Item]) -> None:
        """See `Labeler.submit`."""
        queue = self._own_queue()
        if queue.error and not queue.warned:
            queue.warned = True
            warnings.warn(
                f"Annotator {self._source.name!r} failed with {queue.error}. Captions wait and are "
                "tried again; training goes on without their labels.",
                stacklevel=2,
            )
        known = (queue.waiting, queue.tries.given_up, queue.done)
        if fresh := [item for item in items if not any(item in part for part in known)]:
            queue.push(fresh)
        if queue.waiting and (self._thread is None or not self._thread.is_alive()):
            self._start_thread()

    def collect(self) -> tuple[list[Item], NDArray[np.float64]]:
        """See `Labeler.collect`."""
        queue = self._own_queue()
        with queue.lock:
            done, queue.done = queue.done, {}
        return list(done), np.fromiter(done.values(), np.float64, len(done))

    def metrics(self) -> dict[str, float]:
        """Return counts of `ImmediateLabeler`, plus dropped items, errors and thread restarts."""
        queue = self._queue
        return {
            "answered": float(queue.answered),
            "unanswered": float(queue.tries.unanswered),
            "given_up": float(len(queue.tries.given_up)),
            "dropped": float(queue.dropped),
            "errors": float(queue.errors),
            "restarts": float(self._restarts),
        }

    def wait(self, timeout: float) -> bool:
        """Wait until nothing is pending; return whether that came within `timeout` seconds."""
        queue = self._own_queue()
        with queue.changed:
            return queue.changed.wait_for(lambda: not queue.waiting, timeout)

    def close(self) -> None:
        """End the thread within 5 seconds; an annotator that hangs longer is left behind."""
        self._own_queue()
        thread, self._thread = self._thread, None
        if thread is None:
            return
        self._finalizer()
        self._source.stop()
        thread.join(_JOIN_SECONDS)
        if thread.is_alive():
            warnings.warn(
                f"The annotator did not return within {_JOIN_SECONDS:.0f} s of close(); its thread "
                "ends with its request or with the process.",
                stacklevel=2,
            )
        self._renew_queue()

    def state_dict(self) -> dict[str, Any]:
        """Return the counts and what had no answer; what waits is not part of it."""
        queue = self._own_queue()
        counts = {name: getattr(queue, name) for name in ("answered", "dropped", "errors")}
        return {**counts, "restarts": self._restarts, "tries": queue.tries.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        queue = self._own_queue()
        for name in ("answered", "dropped", "errors"):
            setattr(queue, name, state[name])
        self._restarts = state["restarts"]
        queue.tries.load_state_dict(state["tries"])

    def _own_queue(self) -> _Queue:
        """Return the queue; in a forked child a new one: locks and thread are the parent's."""
        if os.getpid() != self._pid:
            self._thread, self._pid = None, os.getpid()
            self._renew_queue()
        return self._queue

    def _renew_queue(self) -> None:
        queue, self._queue = self._queue, _Queue(*self._sizes)
        self._queue.take_over(queue)

    def _start_thread(self) -> None:
        if self._thread is not None:  # it died
            self._restarts += 1
            self._queue.forget_asked()
        self._queue.closed = False
        self._thread = threading.Thread(
            target=_work,
            args=(self._queue, self._source),
            name="rewardloom-annotator",
            daemon=True,
        )
        # the thread knows the queue only, so that a labeler nobody holds any more ends it
        self._finalizer = weakref.finalize(self, self._queue.close)
        self._thread.start()

    def __getstate__(self) -> dict[str, Any]:
        return {key: self.__dict__[key] for key in ("_source", "_sizes")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._reset()


class _Queue:
    """What the labeler and its thread share."""

    def __init__(self, batch_size: int, max_pending: int, max_tries: int):
        self.most_at_once = self.batch_size = batch_size
        self.max_pending = max_pending
        self.lock = threading.Lock()
        self.changed = threading.Condition(self.lock)
        self.stack: dict[Item, None] = {}  # the newest last
        self.waiting: set[Item] = set()  # on the stack or being asked
        self.done: dict[Item, float] = {}
        self.tries = Tries(max_tries)
        self.closed = False
        self.answered = self.dropped = self.errors = 0
        self.error = ""  # of the last call that failed
        self.warned = False

    def push(self, items: Sequence[Item]) -> None:
        with self.changed:
            for item in items:
                self.stack[item] = None
                self.waiting.add(item)
            self._drop_oldest()
            self.changed.notify_all()

    def take(self) -> list[Item]:
        """Return the newest items, waiting for some; [] once closed."""
        with self.changed:
            self.changed.wait_for(lambda: self.stack or self.closed)
            if self.closed:
                return []
            size = min(self.batch_size, len(self.stack))
            return [self.stack.popitem()[0] for _ in range(size)]

    def answer(self, items: list[Item], labels: NDArray[np.float64]) -> None:
        """Take answers; NaN counts as a try without one."""
        with self.changed:
            self.batch_size = min(2 * self.batch_size, self.most_at_once)
            for item, label in zip(items, labels.tolist(), strict=True):
                if label != label:
                    self.tries.failed(item)
                else:
                    self.done[item] = label
                    self.answered += 1
                self.waiting.discard(item)  # last: `submit` reads without the lock
            self.changed.notify_all()

    def fail(self, items: list[Item], error: BaseException, delay: float) -> None:
        """Ask fewer at once after a call that raised; an item that raises alone was tried."""
        with self.changed:
            self.errors += 1
            self.error = f"{type(error).__name__}: {error}"
            self.batch_size = max(1, len(items) // 2)
            if len(items) == 1 and self.tries.failed(items[0]):
                self.waiting.discard(items[0])
                self.changed.notify_all()
                items = []
        self.put_back(items, delay)

    def put_back(self, items: list[Item], delay: float) -> None:
        """Keep items that could not be asked, and wait before the next call."""
        with self.changed:
            # below what came meanwhile: those are newer
            self.stack = {item: None for item in reversed(items)} | self.stack
            self._drop_oldest()
            self.changed.wait_for(lambda: self.closed, delay)

    def forget_asked(self) -> None:
        """Let items that a dead thread took be submitted again."""
        with self.changed:
            self.waiting = set(self.stack)

    def close(self) -> None:
        with self.changed:
            self.closed = True
            self.changed.notify_all()

    def take_over(self, other: _Queue) -> None:
        """Keep the results and counts of a queue whose thread is gone; what waited is dropped."""
        self.done, self.tries = dict(other.done), other.tries
        self.answered, self.dropped, self.errors = other.answered, other.dropped, other.errors
        self.error, self.warned = other.error, other.warned

    def _drop_oldest(self) -> None:
        while len(self.stack) > self.max_pending:
            item = next(iter(self.stack))
            del self.stack[item]
            self.waiting.discard(item)
            self.dropped += 1


def _work(queue: _Queue, source: Source) -> None:
    """Answer items until the queue is closed."""
    delay = _FIRST_DELAY
    while items := queue.take():
        if not source.available():
            queue.put_back(items, _FIRST_DELAY)
            continue
        try:
            labels = source.answers(items)
            tried = source.available()
        except BaseException as error:  # whatever a user's annotator raises
            queue.fail(items, error, delay)
            delay = min(2 * delay, _LAST_DELAY)
            continue
        delay = _FIRST_DELAY
        if tried and not queue.closed:  # closing abandons what is in flight
            queue.answer(items, labels)
            continue
        known = ~np.isnan(labels)
        queue.answer(list(itertools.compress(items, known)), labels[known])
        queue.put_back(list(itertools.compress(items, ~known)), _FIRST_DELAY)
