"""The whole path from the signals to the alerts, in the one order of their topic. Pure: time comes in by parameters.

Two clocks: that of the signals, which all decisions go by, and a steady one that only tells for how long the former has
stood still.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from processors.alerting import blindness, orders
from processors.alerting.blindness import Blindness
from processors.alerting.desk import Desk
from processors.alerting.findings import Finding
from processors.alerting.orders import Answer
from processors.alerting.rule_view import Rules
from processors.alerting.signal_clock import SignalClock
from processors.alerting.signals import BLIND, Signal
from processors.alerting.silences import Silences
from processors.alerts import Alert
from processors.plausible import LAST_MS
from processors.rules.engine import CLOCK, Engine

_CLOCK, _BLIND = b"clock", b"blind"
_CLOCK_EVERY_MS = 5_000


class Kept(NamedTuple):
    """What was persisted: of the desk, by ``changes``, and the ``silence`` records."""

    desk: Mapping[bytes, bytes]
    silences: Iterable[Mapping[str, Any]] = ()


class Detection:
    """``engine`` has been restored. ``steady_ms`` is the steady clock now; a standstill over ``blind_after_ms`` is told.

    Attributes:
        clock_ms: the signals' clock; None while it was never known.
    """

    def __init__(self, engine: Engine, rules: Rules, kept: Kept, steady_ms: int, blind_after_ms: int) -> None:
        desk = dict(kept.desk)
        clock, blind = desk.pop(_CLOCK, None), desk.pop(_BLIND, None)
        self._engine = engine
        self._rules = rules
        self._clock = SignalClock(int(clock) if clock else None)
        self._persisted_ms = self._clock.now_ms or 0
        self._blindness = Blindness(blind)
        self._silences = Silences(kept.silences)
        self._desk = Desk(rules, self._silences, self._now_ms, desk.items())
        self._moved_ms = steady_ms
        self._blind_after_ms = blind_after_ms
        self._clock_is_due = False
        self._unsettled: dict[bytes, bytes | None] = {}

    @property
    def clock_ms(self) -> int | None:
        return self._clock.now_ms

    def resume(self) -> list[Alert]:
        """After a restart: tell of an outage that lasts, since nobody knows whether that was done.

        What stands of rules that were removed meanwhile is resolved.
        """
        return [*self._blindness.standing(), *self._desk.reload(self._rules)]

    def signal(self, signal: Signal) -> list[Alert]:
        """Take a signal into account. Raises KeyError, ValueError for a blind span that is none, before any change."""
        blind: list[Alert] = []
        if signal.source == BLIND:
            start_ms, end_ms = int(str(signal.fields["start"])), int(str(signal.fields["end"]))
            if not 0 <= start_ms <= end_ms <= LAST_MS:
                raise ValueError("a span that ends before it begins, or at no time of any calendar")
            blind = list(self._blindness.observe(start_ms, end_ms, self._silence(start_ms)))
        return [*blind, *self._told(self._engine.observe(signal))]

    def tick(self, name: str, watermark_ms: int, steady_ms: int) -> list[Alert]:
        """Take a partition's watermark into account."""
        if not self._clock.observe(name, watermark_ms):
            return []
        self._moved_ms = steady_ms
        over = self._blindness.goes_on(self._now_ms, self._blind_after_ms)
        due = self._desk.advance(self._now_ms)
        return [*over, *due, *self._told(self._engine.advance(self._now_ms))]

    def standstill(self, steady_ms: int) -> list[Alert]:
        """The incident that begins because the signals' clock has stood still for too long.

        Unlike all other alerts it follows from no record, so that nothing leads to it again: to be persisted first.
        """
        known = self._clock.now_ms is not None
        if not known or self._blindness.lasts or steady_ms - self._moved_ms <= self._blind_after_ms:
            return []
        self._blindness.begins(self._now_ms, self._silence(self._now_ms))
        return list(self._blindness.standing())

    def order(self, command: Mapping[str, Any], now_ms: int) -> Answer:
        """Carry out an order of an operator."""
        state = orders.State(self._desk, self._silences, self._rules, self._now_ms)
        return orders.carry_out(state, command, now_ms)

    def reload(self, rules: Rules, ended: Iterable[Finding]) -> list[Alert]:
        """Other rules hold from now on; ``ended`` is what the engine says of those that are no more."""
        self._rules = rules
        return [*self._told(ended), *self._desk.reload(rules)]

    def desk_changes(self) -> dict[bytes, bytes | None]:
        """What has to be persisted of the desk, before the engine's, which tells nothing twice."""
        changes = self._desk.changes()
        if self._blindness.changed:
            changes[_BLIND] = self._blindness.dump()
        self._clock_is_due = self._now_ms >= self._persisted_ms + _CLOCK_EVERY_MS
        if changes or self._clock_is_due:
            self._persisted_ms = self._now_ms
            changes[_CLOCK] = str(self._now_ms).encode()
        return changes

    def silence_changes(self) -> dict[str, dict[str, Any] | None]:
        """The ``silence`` records that have to be persisted; None where one is forgotten."""
        return self._silences.changes()

    def engine_changes(self) -> dict[bytes, bytes | None]:
        """What has to be persisted of the engine, after ``desk_changes``. Where only its clock went on, not each time."""
        self._unsettled |= self._engine.changes()
        if self._unsettled.keys() == {CLOCK} and not self._clock_is_due:
            return {}
        changes, self._unsettled = self._unsettled, {}
        return changes

    @property
    def _now_ms(self) -> int:
        return self._clock.now_ms or 0

    def _told(self, findings: Iterable[Finding]) -> list[Alert]:
        """Blindness is the desk's own: it knows of an outage while it lasts, and one outage from another."""
        return [alert for each in findings if each.rule != blindness.RULE for alert in self._desk.observe(each)]

    def _silence(self, at_ms: int) -> str | None:
        """A silence holds for an outage where it is in force when that begins."""
        silence = self._silences.over(blindness.Subject(), at_ms)
        return f"silence:{silence}" if silence else None
