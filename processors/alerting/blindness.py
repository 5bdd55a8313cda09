"""``ingest_blind``: the fleet could not be seen for a while. One incident an outage, whoever notices it first. Pure.

Two notice: the desk, whose clock stands still while the wall clock goes on, so that operators hear of an outage while it
lasts; and each partition, whose watermark jumps when it is over. What overlaps in time is one incident.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import NamedTuple

from processors.alerts import Alert, Status, alert_id

RULE, SEVERITY = "ingest_blind", "high"
_REMEMBERED = 64


class Span(NamedTuple):
    """Between these moments of the liveness clock (ms) nobody knows what happened; ``end`` is None while it lasts.

    ``why`` nobody was told when it began, and so will not be told of its end.
    """

    start: int
    end: int | None
    why: str | None = None


class Subject(NamedTuple):
    """What a silence has to fit."""

    rule: str = RULE
    client_id: str = ""
    node_id: str | None = None


class Blindness:
    """The newest spans. ``changed`` is whether they have to be persisted."""

    def __init__(self, value: bytes | None = None) -> None:
        self._spans = [Span(*each) for each in json.loads(value or b"[]")]
        self.changed = False

    @property
    def lasts(self) -> bool:
        """Whether an incident stands."""
        return bool(self._spans) and self._spans[-1].end is None

    def begins(self, clock_ms: int, why: str | None) -> None:
        """The clock has stood still for too long. ``standing`` is what to say of it."""
        if not self.lasts:
            self._remember(Span(clock_ms, None, why))

    def standing(self) -> Iterator[Alert]:
        """The incident that lasts, as it was told or has to be."""
        if self.lasts:
            yield _firing(self._spans[-1])

    def goes_on(self, clock_ms: int, least_ms: int) -> Iterator[Alert]:
        """The clock goes on: by ``least_ms``, since after a restart it takes up what came in just before it stopped."""
        if self.lasts and clock_ms >= self._spans[-1].start + least_ms:
            over = self._spans.pop()._replace(end=clock_ms)
            self._remember(over)
            yield _resolved(over)

    def observe(self, start_ms: int, end_ms: int, why: str | None) -> Iterator[Alert]:
        """A partition reports what it could not see: an incident that is over, unless it belongs to one that is known."""
        if any(start_ms < (known.end or end_ms + 1) and known.start < end_ms for known in self._spans):
            return
        over = Span(start_ms, end_ms, why)
        # One that lasts stays the last: only the newest can.
        lasting = [self._spans.pop()] if self.lasts else []
        self._remember(over, *lasting)
        yield _firing(over)
        yield _resolved(over)

    def dump(self) -> bytes:
        """For the table."""
        self.changed = False
        return json.dumps(self._spans, separators=(",", ":")).encode()

    def _remember(self, *spans: Span) -> None:
        self._spans = [*self._spans, *spans][-_REMEMBERED:]
        self.changed = True


def _firing(span: Span) -> Alert:
    # Nothing that is known only later: told again after a restart, it has to be the same.
    evidence = {"start": span.start} if span.end is None else {"start": span.start, "end": span.end}
    summary = "No proof that heartbeats can come in" if span.end is None else _summary(span.start, span.end)
    status = Status.SUPPRESSED if span.why else Status.FIRING
    alert = Alert(alert_id(RULE, span.start), RULE, SEVERITY, status, "", span.start, summary, evidence)
    return alert._replace(suppressed_by=span.why)


def _resolved(span: Span) -> Alert:
    end = span.end or span.start
    evidence = {"start": span.start, "end": end}
    alert = Alert(alert_id(RULE, span.start), RULE, SEVERITY, Status.RESOLVED, "", end, _summary(span.start, end), evidence)
    return alert._replace(suppressed_by=span.why)


def _summary(start_ms: int, end_ms: int) -> str:
    return f"No proof that heartbeats could come in for {(end_ms - start_ms) / 1000:.1f} s"
