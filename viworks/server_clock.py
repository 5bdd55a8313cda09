"""The time by the server, and whether this machine's own clock can be trusted. Pure, but for the two clocks of the machine.

A client whose clock is wrong by more than the server's five minutes would be refused everything and count as offline. So
once the server's ``Date`` says that the clock is wrong, messages carry the corrected time, and the fault is reported.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

TOLERATED_SKEW_MS = 60_000
"""Below this the own clock is used: ``Date`` has a resolution of a second, and the answer was on its way for some time."""
TOLERATED_JUMP_MS = 60_000


def sleep_counting_ms() -> int | None:
    """A clock that nobody sets and that goes on while the machine sleeps; None where the system has none."""
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    return None if clock is None else time.clock_gettime_ns(clock) // 1_000_000


def offset_ms(server_ms: int | None, wall_ms: int) -> int:
    """What is to be added to the machine's time, by what an answer said; 0 while the clock is good enough."""
    if server_ms is None or abs(server_ms - wall_ms) <= TOLERATED_SKEW_MS:
        return 0
    return server_ms - wall_ms


def date_ms(value: str) -> int | None:
    """Read a ``Date`` header (RFC 9110, 6.6.1); None where it is missing or no date."""
    if not value.endswith(" GMT") or len(value) > 40:
        return None
    from email.utils import parsedate_to_datetime  # slow to import

    try:
        return int(parsedate_to_datetime(value).timestamp() * 1000)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


@dataclass(frozen=True, slots=True)
class ClockWatch:
    """Two clocks at one moment."""

    wall_ms: int
    steady_ms: int | None


def jump_ms(before: ClockWatch, now: ClockWatch) -> int:
    """By how much the wall clock was set since; 0 where it was not, or by too little to be worth a word."""
    if before.steady_ms is None or now.steady_ms is None:
        return 0
    jumped_ms = (now.wall_ms - before.wall_ms) - (now.steady_ms - before.steady_ms)
    return jumped_ms if abs(jumped_ms) > TOLERATED_JUMP_MS else 0
