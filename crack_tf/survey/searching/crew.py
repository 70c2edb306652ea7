"""Who searches a survey's photographs: the threads of this process, or workers elsewhere (`crack_tf.survey.searching.cluster`)."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Protocol, TypeVar

from crack_tf.survey.searching.search import Searched, Searcher
from crack_tf.survey.source import Item

Kept = TypeVar("Kept")


class Crew(Protocol):
    """Searches photographs, several at a time.

    Attributes:
        jobs: photographs at a time.
    """

    @property
    def jobs(self) -> int:
        """See above."""

    def work(self, items: Iterable[Item], keep: Callable[[Searched], Kept]) -> Iterator[Kept]:
        """Search all items and hand what was found to `keep`, which may be called from several threads; yield what it returns."""


class ThreadCrew:
    """Threads of this process, each of which brings a photograph from its file to its record. See `Crew`.

    Args:
        searcher: that they share.
        jobs: threads, at least 1.
    """

    def __init__(self, searcher: Searcher, jobs: int) -> None:
        self._searcher, self.jobs = searcher, jobs

    def work(self, items: Iterable[Item], keep: Callable[[Searched], Kept]) -> Iterator[Kept]:
        """See `Crew.work`; in order of the items."""
        threads = ThreadPoolExecutor(self.jobs, thread_name_prefix="photographs")
        waiting: deque[Future[Kept]] = deque()
        try:
            for item in items:
                waiting.append(threads.submit(self._one, item, keep))
                # Frames of a video wait in memory, so no more than can be worked on soon are read ahead.
                if len(waiting) > self.jobs:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        except BaseException:
            self._searcher.classifier.stop()
            raise
        finally:
            threads.shutdown(cancel_futures=True)

    def _one(self, item: Item, keep: Callable[[Searched], Kept]) -> Kept:
        return keep(self._searcher.search(item))
