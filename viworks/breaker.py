"""A circuit breaker: after failures in a row nothing is sent for a while, then a few probes decide.

closed ──failures in a row──▶ open ──time──▶ half-open ──probes succeed──▶ closed
                               ▲                  │
                               └───a probe fails──┘

Pure: state and moment in, state out. The source of the pattern: Michael Nygard, "Release It!", 2007.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum, StrEnum

_MOST_DOUBLINGS = 30
_PROBE_UNDER_WAY_MS = 1_000
# RFC 9110, 15.6: these two say that the request is at fault, not that the server is ill.
_REQUESTS_FAULT = frozenset({501, 505})
_TOO_MANY_REQUESTS = 429
_SERVER_ERRORS = 500


class BreakerState(StrEnum):
    """Whether requests go (closed), none goes (open), or probes go (half-open)."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half-open"


class Outcome(Enum):
    """What a request says of the server. ``NEITHER``: it was told to wait, or was given up by the caller."""

    SUCCESS = "success"
    FAILURE = "failure"
    NEITHER = "neither"


@dataclass(frozen=True, slots=True)
class BreakerPolicy:
    """When to open, for how long, and what closes again.

    Attributes:
        failures_to_open: failures in a row.
        open_ms: how long the first time; doubles each time that a probe fails, up to ``max_open_ms``. The true time is
            random between half of it and the whole, so that a fleet does not probe together.
        probes: how many may be under way while half-open.
        successes_to_close: of probes.
        probe_lease_ms: a probe of which nothing is heard for so long no longer takes the place of another.
    """

    failures_to_open: int = 5
    open_ms: int = 5_000
    max_open_ms: int = 60_000
    probes: int = 1
    successes_to_close: int = 1
    probe_lease_ms: int = 60_000


@dataclass(frozen=True, slots=True)
class Breaker:
    """The state. ``generation`` counts its changes; ``until_ms`` is when probes may go; ``leases`` are when places end."""

    state: BreakerState = BreakerState.CLOSED
    generation: int = 0
    failures: int = 0
    successes: int = 0
    openings: int = 0
    until_ms: int = 0
    leases: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Permit:
    """Leave to send one request; to be settled once. ``lease_ms`` is when a probe's place is free again."""

    generation: int
    lease_ms: int = 0


def within(policy: BreakerPolicy, interval_s: int) -> BreakerPolicy:
    """The policy for a client that beats in this interval: it waits for no longer than that.

    A server that is back then hears of it within two (``beating.held_back``). Three without a word make a client offline, so
    that there is one for a server that is not quite well yet.
    """
    most_ms = 1000 * interval_s
    return replace(policy, open_ms=min(policy.open_ms, most_ms), max_open_ms=min(policy.max_open_ms, most_ms))


def outcome_of(status: int) -> Outcome:
    """What an HTTP status says: 5xx is a failure, 429 neither, any other answer a success, refusals too."""
    if status == _TOO_MANY_REQUESTS:
        return Outcome.NEITHER
    return Outcome.FAILURE if status >= _SERVER_ERRORS and status not in _REQUESTS_FAULT else Outcome.SUCCESS


def admit(policy: BreakerPolicy, breaker: Breaker, now_ms: int) -> tuple[Breaker, Permit | None]:
    """May a request go now? None where not: ask ``wait_ms`` for how long. Time is any clock that never goes back."""
    if breaker.state is BreakerState.CLOSED:
        return breaker, Permit(breaker.generation)
    if breaker.state is BreakerState.OPEN:
        if now_ms < breaker.until_ms:
            return breaker, None
        breaker = _changed(breaker, BreakerState.HALF_OPEN, openings=breaker.openings)
    leases = tuple(lease_ms for lease_ms in breaker.leases if lease_ms > now_ms)
    if len(leases) >= policy.probes:
        return replace(breaker, leases=leases), None
    lease_ms = now_ms + policy.probe_lease_ms
    return replace(breaker, leases=(*leases, lease_ms)), Permit(breaker.generation, lease_ms)


def settle(
    policy: BreakerPolicy,
    breaker: Breaker,
    permit: Permit,
    outcome: Outcome,
    now_ms: int,
    fraction: float,
    at_least_ms: int = 0,
) -> Breaker:
    """A request has ended. What was sent before the state last changed says nothing about it now.

    Args:
        fraction: random, evenly spread over [0, 1).
        at_least_ms: what the server asked to wait; an opening lasts no less, and up to twice as long, as with ``backoff``.
    """
    if permit.generation != breaker.generation:
        return breaker
    if breaker.state is BreakerState.HALF_OPEN:
        breaker = _without(breaker, permit.lease_ms)
    if outcome is Outcome.NEITHER:
        return breaker
    if outcome is Outcome.SUCCESS:
        return _succeeded(policy, breaker)
    breaker = replace(breaker, failures=breaker.failures + 1)
    if breaker.state is BreakerState.CLOSED and breaker.failures < policy.failures_to_open:
        return breaker
    ceiling_ms = min(policy.max_open_ms, policy.open_ms << min(breaker.openings, _MOST_DOUBLINGS))
    open_ms = int(max(ceiling_ms * (1 + fraction) / 2, at_least_ms * (1 + fraction)))
    return _changed(breaker, BreakerState.OPEN, openings=breaker.openings + 1, until_ms=now_ms + open_ms)


def wait_ms(breaker: Breaker, now_ms: int) -> int:
    """How long until ``admit`` may say yes; 0 where it may now.

    Half-open with all probes out: a while in which one of them most likely ends, or its place is free again.
    """
    if breaker.state is BreakerState.OPEN:
        return max(0, breaker.until_ms - now_ms)
    return max(0, min(min(breaker.leases, default=now_ms) - now_ms, _PROBE_UNDER_WAY_MS))


def _succeeded(policy: BreakerPolicy, breaker: Breaker) -> Breaker:
    if breaker.state is BreakerState.CLOSED:
        return replace(breaker, failures=0) if breaker.failures else breaker
    breaker = replace(breaker, successes=breaker.successes + 1)
    return _changed(breaker, BreakerState.CLOSED) if breaker.successes >= policy.successes_to_close else breaker


def _without(breaker: Breaker, lease_ms: int) -> Breaker:
    leases = list(breaker.leases)
    if lease_ms in leases:
        leases.remove(lease_ms)
    return replace(breaker, leases=tuple(leases))


def _changed(breaker: Breaker, state: BreakerState, openings: int = 0, until_ms: int = 0) -> Breaker:
    return Breaker(state, breaker.generation + 1, openings=openings, until_ms=until_ms)
