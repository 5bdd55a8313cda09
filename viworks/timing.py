"""Time and chance as a client needs them; tests and simulations bring their own."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field


def _monotonic_ms() -> int:
    return time.monotonic_ns() // 1_000_000


def _wall_ms() -> int:
    return time.time_ns() // 1_000_000


@dataclass(frozen=True, slots=True)
class Timing:
    """The machine's clocks and its randomness, unless others are given.

    Attributes:
        monotonic_ms: for durations; its zero is anything.
        wall_ms: since the epoch.
        sleep: waits for seconds.
        fraction: random, evenly spread over [0, 1).
    """

    monotonic_ms: Callable[[], int] = _monotonic_ms
    wall_ms: Callable[[], int] = _wall_ms
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    # The system's generator: the processes of a fleet that fork from one another must not draw alike.
    fraction: Callable[[], float] = field(default_factory=lambda: random.SystemRandom().random)
