"""When the next heartbeat is due, and what else falls due with time. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from viworks.backoff import Backoff, BackoffPolicy, failed

JITTER = 0.05
"""A heartbeat comes up to so much of the interval early, never late: three late ones would be an alert."""
RETRY = BackoffPolicy(base_ms=1_000, cap_ms=60_000)
CHORE_RETRY_MS = 600_000


@dataclass(frozen=True, slots=True)
class Beat:
    """The rhythm's state: failures in a row."""

    backoff: Backoff = field(default_factory=Backoff)


def beaten(interval_s: int, fraction: float) -> tuple[Beat, int]:
    """A heartbeat was accepted: the wait before the next, in milliseconds."""
    return Beat(), int(interval_s * 1000 * (1 - JITTER * fraction))


def missed(beat: Beat, interval_s: int, fraction: float, asked_ms: int | None = None) -> tuple[Beat, int]:
    """A heartbeat was not accepted: the wait before the next, up to the interval unless more is asked for."""
    policy = replace(RETRY, cap_ms=min(RETRY.cap_ms, 1000 * interval_s))
    backoff, wait_ms = failed(policy, beat.backoff, fraction, asked_ms)
    return Beat(backoff), wait_ms


def held_back(interval_s: int, fraction: float, open_ms: int) -> int:
    """The breaker let no heartbeat go, and will in ``open_ms``: the wait before it is tried again. No failure.

    A random part of exactly one interval more: whenever the breakers of a fleet let go, its heartbeats then come as evenly
    as they do without an outage.
    """
    return open_ms + int(1000 * interval_s * fraction)


@dataclass(frozen=True, slots=True)
class Chore:
    """Something to be done once it is due, such as a rotation: not again for a while where it failed."""

    not_before_ms: int = 0


def may_try(chore: Chore, now_ms: int, fraction: float) -> tuple[Chore, bool]:
    """Whether to try now; the state then says when again. Times of a clock that nobody sets."""
    if now_ms < chore.not_before_ms:
        return chore, False
    return Chore(now_ms + int(CHORE_RETRY_MS * (0.5 + fraction))), True
