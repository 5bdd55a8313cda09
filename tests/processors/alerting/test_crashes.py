"""Crashes at any point between the writes of a batch lead to the alerts of a run without crashes, some of them twice."""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum
from typing import Any, NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st

from processors.alerting.detection import Detection, Kept
from processors.alerting.signal_clock import watermark_name
from processors.alerting.signals import LIVENESS, Signal
from processors.alerts import Alert, Status
from processors.rules.engine import Engine
from processors.rules.loading import load_rules
from schemas.topics import HEARTBEATS

RULES = load_rules(
    """
rules:
- id: offline
  title: Silent
  severity: medium
  source: liveness
  detection: {state: offline}
  clear: {state: online}
  dedup_key: [client_id, silent_since]
- id: mass
  title: Many
  severity: critical
  source: liveness
  detection: {state: offline}
  clear: {state: online}
  correlation: {type: value_count, field: client_id, group_by: [], timespan: 2m, condition: {gte: 3}}
  groups: [offline]
""",
    "rules",
)
CLIENTS = [f"c{number}" for number in range(6)]


class Crash(IntEnum):
    """After which write of a batch."""

    NONE = 0
    ALERTS = 1
    DESK = 2
    ENGINE = 3


class Change(NamedTuple):
    client: str
    silent: bool


def the_log(steps: Iterable[tuple[int, Change]]) -> list[Signal | int]:
    """Signals of clients that fall silent and come back, and the clock behind each of them."""
    now, log, silent_since = 100_000, list[Signal | int](), dict[str, int]()
    for wait_ms, (client, silent) in steps:
        now += wait_ms
        if silent == (client in silent_since):
            continue
        if silent:
            silent_since[client] = now - 90_000
        since = silent_since[client] if silent else silent_since.pop(client)
        fields: dict[str, Any] = {"state": "offline" if silent else "online", "silent_since": since}
        log.append(Signal(f"{client}/{now}", LIVENESS, client, None, now, now, fields))
        log.append(now)
    return [*log, now + 200_000]


class Run:
    def __init__(self) -> None:
        self.alerts: list[Alert] = []
        self._desk: dict[bytes, bytes] = {}
        self._engine: dict[bytes, bytes] = {}
        self._start()

    def _start(self) -> None:
        engine = Engine(RULES)
        engine.restore(self._engine.items())
        self._detection = Detection(engine, RULES, Kept(self._desk), 0, 15_000)
        self.alerts += self._detection.resume()

    def batch(self, entries: list[Signal | int], crash: Crash) -> None:
        for each in entries:
            self.alerts += self._see(each)
        if crash is Crash.ALERTS:
            self._again(entries)
            return
        _apply(self._desk, self._detection.desk_changes())
        if crash is Crash.DESK:
            self._again(entries)
            return
        _apply(self._engine, self._detection.engine_changes())
        if crash is Crash.ENGINE:
            self._again(entries)

    def _see(self, entry: Signal | int) -> list[Alert]:
        if isinstance(entry, Signal):
            return self._detection.signal(entry)
        ticks = [watermark_name(number) for number in range(HEARTBEATS.partitions)]
        return [alert for name in ticks for alert in self._detection.tick(name, entry, 0)]

    def _again(self, entries: list[Signal | int]) -> None:
        self._start()
        self.batch(entries, Crash.NONE)


def _apply(table: dict[bytes, bytes], changes: dict[bytes, bytes | None]) -> None:
    for key, value in changes.items():
        if value is None:
            table.pop(key, None)
        else:
            table[key] = value


def told(alerts: list[Alert]) -> set[tuple[Any, ...]]:
    return {(alert.alert_id, alert.status, alert.timestamp, repr(alert.evidence)) for alert in alerts}


STEPS = st.lists(
    st.tuples(st.sampled_from([1, 500, 20_000, 70_000]), st.builds(Change, st.sampled_from(CLIENTS), st.booleans())),
    max_size=30,
)
PLANS = st.lists(st.tuples(st.integers(1, 6), st.sampled_from(Crash)), min_size=20, max_size=20)


@settings(max_examples=300, deadline=None)
@given(STEPS, PLANS)
def test_a_crash_changes_no_alert(steps: list[tuple[int, Change]], plans: list[tuple[int, Crash]]) -> None:
    steady, troubled, log = Run(), Run(), the_log(steps)
    for entry in log:
        steady.batch([entry], Crash.NONE)
    rest = log
    for size, crash in [*plans, (len(log), Crash.NONE)]:
        if rest:
            troubled.batch(rest[:size], crash)
            rest = rest[size:]
    assert told(troubled.alerts) == told(steady.alerts)
    names = [(alert.alert_id, alert.status) for alert in steady.alerts]
    assert len(names) == len(set(names))
    fired = {alert.alert_id for alert in steady.alerts if alert.status is Status.FIRING}
    assert {alert.alert_id for alert in steady.alerts if alert.status is Status.RESOLVED} <= fired
