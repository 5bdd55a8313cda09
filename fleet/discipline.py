"""When a client tries again: by the client library's own rules, or without any. Pure.

The library's rules are its own code: a circuit breaker over all requests of a client (``viworks.breaker``), the rhythm of
its heartbeats (``viworks.beating``) and the pace at which it delivers what it has spooled (``viworks.delivery``).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from viworks import breaker as circuit
from viworks import delivery
from viworks.backoff import BackoffPolicy
from viworks.beating import JITTER, Beat, beaten, held_back, missed
from viworks.breaker import Breaker, BreakerPolicy, BreakerState, Outcome, Permit, within
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
    """A client of which something failed lately. One of which nothing did needs none of this. It beats in ``interval_s``."""

    interval_s: int
    breaker: Breaker = field(default_factory=Breaker)
    beat: Beat = field(default_factory=Beat)
    pace: Pace = field(default_factory=Pace)

    @classmethod
    def of(cls, interval_ms: int) -> Trouble:
        """The first of a client that beats in this interval; the library's counts in whole seconds."""
        return cls(max(1, interval_ms // 1000))

    @property
    def over(self) -> bool:
        """Whether it is as if nothing had ever failed."""
        well = self.breaker.state is BreakerState.CLOSED and not self.breaker.failures
        return well and self.beat == Beat() and self.pace == Pace()

    def admit(self, now_ms: int) -> tuple[Permit | None, int]:
        """Leave to send now, or None and for how long there will be none (ms)."""
        self.breaker, permit = circuit.admit(self._policy, self.breaker, now_ms)
        return permit, 0 if permit else circuit.wait_ms(self.breaker, now_ms)

    def settle(self, permit: Permit, outcome: Outcome, now_ms: int, fraction: float, asked_ms: int | None = None) -> None:
        """What a request that had leave says of the server."""
        at_least_ms = min(asked_ms or 0, _MOST_ASKED_MS)
        self.breaker = circuit.settle(self._policy, self.breaker, permit, outcome, now_ms, fraction, at_least_ms)

    def beat_missed(self, fraction: float, asked_ms: int | None = None) -> int:
        """A heartbeat was not accepted: the wait before the next (ms)."""
        self.beat, wait_ms = missed(self.beat, self.interval_s, fraction, asked_ms)
        return wait_ms

    def beat_held_back(self, fraction: float, open_ms: int) -> int:
        """A heartbeat had no leave: the wait before it is tried again (ms)."""
        return held_back(self.interval_s, fraction, open_ms)

    def beat_accepted(self) -> None:
        """A heartbeat was accepted."""
        self.beat = Beat()

    def batch_failed(self, fraction: float, asked_ms: int | None = None, *, broken: bool) -> int:
        """A batch did not get through, and the server may have broken on it: the wait before the next (ms)."""
        self.pace, wait_ms = slowed(self.pace, fraction, asked_ms, broken=broken)
        return wait_ms

    def batch_held_back(self, fraction: float, open_ms: int) -> int:
        """A batch had no leave: the wait before it is tried again (ms)."""
        return delivery.held_back(self.interval_s, fraction, open_ms)

    def batch_accepted(self) -> None:
        """A batch got through."""
        self.pace = quickened(self.pace)

    def batch_put_off(self, fraction: float, some: bool, asked_ms: int | None = None) -> int:
        """Some lines, or none, of a batch were taken, and others are to come again: the wait before that (ms)."""
        pace, wait_ms = slowed(self.pace, fraction, asked_ms)
        self.pace = Pace(pace.lines) if some else pace
        return wait_ms

    @property
    def _policy(self) -> BreakerPolicy:
        return within(BREAKER, self.interval_s)
