"""What is done beside the network, so that it need not wait: scoring what it made, reading what comes next.

One thread looks at images and scores them, call after call, in order: rows are appended as if nothing ran beside
anything. A few more threads do what needs no order and lets other threads run: decoding, rounding, resizing and
compressing images. All of them compute with one torch thread each, whatever the network has: scores do not depend on
it, and pools of threads do not wait for each other.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import TypeVar

import torch

from bench.core.cores import cores

# Calls of the network that may wait to be scored: their images are held in memory.
WAITING = 2
T = TypeVar("T")
U = TypeVar("U")


class Beside:
    """The threads beside a network's own; a context manager, which waits for what is in hand.

    Attributes:
        waited: Seconds that the network's thread has waited for scores.
    """

    def __init__(self) -> None:
        self.waited = 0.0
        helpers = min(4, len(cores()))
        self._scorer = ThreadPoolExecutor(1, "score", _one_thread)
        self._helpers = ThreadPoolExecutor(helpers, "images", _one_thread)
        self._waiting: deque[Future[None]] = deque()

    def score(self, call: Callable[[], None]) -> None:
        """Do `call` after those before it; waits while too many are waiting, and raises what an earlier one raised."""
        while len(self._waiting) >= WAITING or (self._waiting and self._waiting[0].done()):
            self._wait()
        self._waiting.append(self.in_turn(call))

    def in_turn(self, call: Callable[[], T]) -> Future[T]:
        """As `score`, for what has a result; nobody waits."""
        return self._scorer.submit(_without_gradients, call)

    def finish(self) -> None:
        """Wait for every call; raises what one of them raised."""
        while self._waiting:
            self._wait()

    def _wait(self) -> None:
        began = time.perf_counter()
        try:
            self._waiting.popleft().result()
        finally:
            self.waited += time.perf_counter() - began

    def start(self, call: Callable[[], T]) -> Future[T]:
        """Begin something that needs no order."""
        return self._helpers.submit(_without_gradients, call)

    def __enter__(self) -> Beside:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._scorer.shutdown(cancel_futures=True)
        self._helpers.shutdown(cancel_futures=True)


def ahead(items: Iterable[T], begin: Callable[[T], U], count: int) -> Iterator[U]:
    """What `begin` gives of each item, in order; by then it was called for the `count` items that follow, too."""
    begun: deque[U] = deque()
    for item in items:
        begun.append(begin(item))
        if len(begun) > count:
            yield begun.popleft()
    yield from begun


def _one_thread() -> None:
    torch.set_num_threads(1)


def _without_gradients(call: Callable[[], T]) -> T:
    with torch.inference_mode():
        return call()
