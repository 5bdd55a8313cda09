"""Times one request in so many, at a cost of a tenth of a microsecond for the others."""

from __future__ import annotations

import time

from prometheus_client import Histogram

from ingest.metrics import LATENCY_SAMPLE

_NOT_TIMED = 0.0


class Stopwatch:
    """The stopwatch of one route."""

    __slots__ = ("_histogram", "_until_next")

    def __init__(self, histogram: Histogram) -> None:
        self._histogram = histogram
        self._until_next = LATENCY_SAMPLE

    def start(self) -> float:
        """A mark to give to ``stop``."""
        self._until_next -= 1
        if self._until_next:
            return _NOT_TIMED
        self._until_next = LATENCY_SAMPLE
        return time.perf_counter()

    def stop(self, mark: float) -> None:
        """Note the time since the mark, where this is one of the requests that are timed."""
        if mark != _NOT_TIMED:
            self._histogram.observe(time.perf_counter() - mark)
