"""When a client tries again: by the client library's own backoff and breaker, or without any discipline. Pure.

The library's rules are those of ``viworks.transport.retrying``: a request has a few attempts with backoff between them, then
the heartbeat's turn comes round; over all of them stands a circuit breaker, and nothing is sent while it is open.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from viworks import breaker as circuit
from viworks.backoff import Backoff, failed
from viworks.breaker import Breaker, Outcome, Permit
from viworks.transport.retrying import RetryPolicy

LIBRARY_POLICY = RetryPolicy()
STUBBORN_RETRY_MS = 1_000


class Discipline(StrEnum):
    """``library``: as the client library does. ``none``: again after a second, whatever the server says."""

    LIBRARY = "library"
    NONE = "none"


@dataclass(slots=True)
class Trouble:
    """A client whose requests fail: the attempts of the present request, and the breaker over all."""

    backoff: Backoff = field(default_factory=Backoff)
    breaker: Breaker = field(default_factory=Breaker)


def admit(trouble: Trouble, now_ms: int, policy: RetryPolicy = LIBRARY_POLICY) -> tuple[Permit | None, int]:
    """Leave to send now, or None and for how long there will be none (ms)."""
    trouble.breaker, permit = circuit.admit(policy.breaker, trouble.breaker, now_ms)
    return permit, 0 if permit else circuit.wait_ms(trouble.breaker, now_ms)


def after_failure(
    trouble: Trouble,
    permit: Permit,
    outcome: Outcome,
    now_ms: int,
    fractions: tuple[float, float],
    asked_ms: int | None = None,
    policy: RetryPolicy = LIBRARY_POLICY,
) -> int | None:
    """A request did not get through. Returns how long to wait before it is tried again (ms); None where it is given up.

    Args:
        fractions: two random numbers, evenly spread over [0, 1).
        asked_ms: the Retry-After of the answer.
    """
    cap_ms = policy.backoff.retry_after_cap_ms
    bounded_ms = None if asked_ms is None else min(asked_ms, cap_ms)
    trouble.backoff, wait_ms = failed(policy.backoff, trouble.backoff, fractions[0], bounded_ms)
    trouble.breaker = circuit.settle(policy.breaker, trouble.breaker, permit, outcome, now_ms, fractions[1], bounded_ms or 0)
    if trouble.backoff.failures >= policy.attempts:
        trouble.backoff = Backoff()
        return None
    return max(wait_ms, circuit.wait_ms(trouble.breaker, now_ms))


def after_success(trouble: Trouble, permit: Permit, now_ms: int, policy: RetryPolicy = LIBRARY_POLICY) -> bool:
    """A request got through. Whether all is well again, so that the trouble can be forgotten."""
    trouble.backoff = Backoff()
    trouble.breaker = circuit.settle(policy.breaker, trouble.breaker, permit, Outcome.SUCCESS, now_ms, 0.0)
    return trouble.breaker.state is circuit.BreakerState.CLOSED
