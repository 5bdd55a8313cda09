"""What a signal and a heartbeat cost the rules, in µs of processor time: ``python -m bench.rules``."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import NamedTuple

from processors.alerting.signals import Signal, Value
from processors.rules.engine import Engine
from processors.rules.interest import Interest
from processors.rules.loading import load_rules, read_rules
from processors.rules.metric_watch import MetricWatch

Fields = dict[str, Value]

CLIENTS = 100_000
_START_MS = 1_790_000_000_000
_RUNS = 3

_EVENT_COUNT = """\
rules:
- id: count
  title: T
  severity: low
  source: events
  detection: {event_type: authentication_failure}
  correlation: {type: event_count, timespan: 60s, condition: {gte: 5}}
"""


class Cost(NamedTuple):
    """What was measured, and how long one took in µs (the best of a few runs)."""

    what: str
    microseconds: float


def measure() -> Iterable[Cost]:
    """All figures, one after the other."""
    quiet: Fields = {
        "status": "online",
        "uptime": 9.0,
        "cpu_usage": 12.5,
        "memory_usage": 41.0,
        "network_activity": 0.5,
        "skew_ms": 3,
    }
    yield Cost("MetricWatch.wants, a quiet heartbeat, shipped rules", _best(lambda: _heartbeats(quiet)))
    busy: Fields = {**quiet, "cpu_usage": 99.0}
    yield Cost("MetricWatch.wants, one that matches, shipped rules", _best(lambda: _heartbeats(busy)))
    yield Cost("Interest.wants, an event of no interest, shipped rules", _best(_uninteresting))
    yield Cost("Engine.observe, event_count alone", _best(lambda: _events(_EVENT_COUNT, "authentication_failure")))
    yield Cost(
        "Engine.observe, an authentication failure, shipped rules", _best(lambda: _events(None, "authentication_failure"))
    )
    yield Cost("Engine.observe, a client goes offline in a mass outage", _best(_outage))


def _best(run: Callable[[], tuple[int, float]]) -> float:
    figures = [seconds / count * 1e6 for count, seconds in (run() for _ in range(_RUNS))]
    return min(figures)


def _heartbeats(fields: Fields) -> tuple[int, float]:
    watch = MetricWatch(read_rules(None))
    names = [f"client-{n}" for n in range(CLIENTS)]
    for name in names:
        watch.wants(name, _START_MS, fields)
    began = time.process_time()
    for name in names:
        watch.wants(name, _START_MS + 30_000, fields)
    return CLIENTS, time.process_time() - began


def _uninteresting() -> tuple[int, float]:
    interest = Interest(read_rules(None))
    fields = {"event_type": "connection_attempt", "severity": "info", "origin": "client"}
    began = time.process_time()
    for _ in range(CLIENTS):
        interest.wants("events", fields)
    return CLIENTS, time.process_time() - began


def _events(rules: str | None, event_type: str) -> tuple[int, float]:
    engine = Engine(read_rules(None) if rules is None else load_rules(rules, "bench"))
    signals = [_event(n, event_type) for n in range(CLIENTS)]
    return len(signals), _observed(engine, signals)


def _event(number: int, event_type: str) -> Signal:
    at, client_id = _START_MS + number, f"client-{number % 10_000}"
    fields: Fields = {
        "event_id": f"e{number}",
        "event_type": event_type,
        "severity": "medium",
        "origin": "client",
        "source_ip_pseudonym": f"p{number % 5_000}",
    }
    return Signal(f"events/{client_id}/e{number}", "events", client_id, f"node-{number % 100}", at, at, fields)


def _outage() -> tuple[int, float]:
    engine = Engine(read_rules(None))
    for n in range(CLIENTS):
        engine.observe(_liveness(n, "online", _START_MS))
    engine.changes()
    signals = [_liveness(n, "offline", _START_MS + 100_000 + n // 10) for n in range(CLIENTS // 2)]
    return len(signals), _observed(engine, signals)


def _liveness(number: int, state: str, at: int) -> Signal:
    reason = "missed_heartbeats" if state == "offline" else "heartbeat"
    fields: Fields = {"state": state, "reason": reason, "last_heartbeat": at - 90_000, "silent_since": at - 90_000}
    name = f"client-{number}"
    return Signal(f"liveness/{name}/{at}/{state}", "liveness", name, f"node-{number % 100}", at, at, fields)


def _observed(engine: Engine, signals: list[Signal]) -> float:
    """In batches, as the desk's agent gives them."""
    began = time.process_time()
    for start in range(0, len(signals), 500):
        for signal in signals[start : start + 500]:
            engine.observe(signal)
        engine.changes()
    return time.process_time() - began


def main() -> None:
    """Print the figures."""
    for cost in measure():
        print(f"{cost.microseconds:8.2f} µs  {cost.what}")


if __name__ == "__main__":
    main()
