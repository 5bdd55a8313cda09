"""When a client tries again: by the client library's own rules, or without any. Pure.

The library's rules are its own code: a circuit breaker over all requests of a client (``viworks.breaker``), the rhythm of
its heartbeats (``viworks.beating``) and the pace at which it delivers what it has spooled (``viworks.delivery``).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum

from viworks import breaker as circuit
from viworks.backoff import BackoffPolicy
from viworks.beating import JITTER, Beat, beaten, missed
from viworks.breaker import Breaker, BreakerPolicy, BreakerState, Outcome, Permit
from viworks.delivery import MOST_LINES, Pace, quickened, slowed

__all__ = ["JITTER", "MOST_LINES", "STUBBORN_RETRY_MS", "Discipline", "Trouble", "beaten"]

BREAKER = BreakerPolicy()
STUBBORN_RETRY_MS = 1_000
_MOST_ASKED_MS = BackoffPolicy().retry_after_cap_ms


class Discipline(StrEnum):
    """``library``: as the client library does. ``none``: again after a second, whatever the server says."""

    LIBRARY = "library"
    NONE = "none"


@dataclass(slots=True)
class Trouble:
    """A client of which something failed lately. One of which nothing did needs none of this."""

    breaker: Breaker = field(default_factory=Breaker)
    beat: Beat = field(default_factory=Beat)
    pace: Pace = field(default_factory=Pace)

    @property
    def over(self) -> bool:
        """Whether it is as if nothing had ever failed."""
        well = self.breaker.state is BreakerState.CLOSED and not self.breaker.failures
        return well and self.beat == Beat() and self.pace == Pace()

    def admit(self, now_ms: int) -> tuple[Permit | None, int]:
        """Leave to send now, or None and for how long there will be none (ms)."""
        self.breaker, permit = circuit.admit(BREAKER, self.breaker, now_ms)
        return permit, 0 if permit else circuit.wait_ms(self.breaker, now_ms)

    def settle(self, permit: Permit, outcome: Outcome, now_ms: int, fraction: float, asked_ms: int | None = None) -> None:
        """What a request that had leave says of the server."""
        at_least_ms = min(asked_ms or 0, _MOST_ASKED_MS)
        self.breaker = circuit.settle(BREAKER, self.breaker, permit, outcome, now_ms, fraction, at_least_ms)

    def beat_missed(self, interval_ms: int, fraction: float, asked_ms: int | None = None) -> int:
        """A heartbeat was not accepted, or had no leave: the wait before the next (ms)."""
        self.beat, wait_ms = missed(self.beat, max(1, interval_ms // 1000), fraction, asked_ms)
        return wait_ms

    def beat_accepted(self) -> None:
        """A heartbeat was accepted."""
        self.beat = Beat()

    def batch_failed(self, fraction: float, asked_ms: int | None = None) -> int:
        """A batch did not get through, or had no leave: the wait before the next (ms)."""
        self.pace, wait_ms = slowed(self.pace, fraction, asked_ms)
        return wait_ms

    def batch_accepted(self) -> None:
        """A batch got through."""
        self.pace = quickened(self.pace)

    def batch_put_off(self, fraction: float, some: bool, asked_ms: int | None = None) -> int:
        """Some lines, or none, of a batch were taken, and others are to come again: the wait before that (ms)."""
        lines = self.pace.lines
        wait_ms = self.batch_failed(fraction, asked_ms)
        self.pace = Pace(lines) if some else replace(self.pace, lines=lines)
        return wait_ms
