"""The processors' clock: a function that gives milliseconds since the epoch, injected wherever a record is stamped.

No verdict depends on it: liveness goes by the watermark, rules go by the events' own times.
"""

from __future__ import annotations

import time
from collections.abc import Callable

Clock = Callable[[], int]


def system_clock() -> int:
    """The machine's time in milliseconds since the epoch."""
    return time.time_ns() // 1_000_000


def steady_clock() -> int:
    """Milliseconds since some moment, by a clock that nobody sets: for how long something has lasted."""
    return time.monotonic_ns() // 1_000_000
