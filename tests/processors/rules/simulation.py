"""Seeded runs of the engine as the desk's agent drives it: batches, crashes around the state, signals that come again.

The oracle sees each signal once and in the same order, keeps all of them for ever, and looks at all of them at every step.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from typing import Any, NamedTuple

from processors.alerting.findings import Finding
from processors.alerting.signals import Signal
from processors.rules.engine import Engine
from processors.rules.loading import load_rules
from tests.processors.rules.feed import event, heartbeat, liveness

RULES = load_rules(
    """\
rules:
- id: each
  title: T
  severity: low
  source: events
  detection: {severity: high}
  resolve_after: 30s
- id: count
  title: T
  severity: low
  source: events
  detection: {event_type: authentication_failure}
  correlation: {type: event_count, timespan: 10s, condition: {gte: 3}}
- id: distinct
  title: T
  severity: low
  source: events
  detection: {}
  correlation: {type: value_count, field: client_id, group_by: [source_ip_pseudonym], timespan: 10s, condition: {gte: 3}}
  resolve_after: 15s
- id: keyed
  title: T
  severity: low
  source: liveness
  detection: {state: offline}
  clear: {state: online}
  dedup_key: [client_id, silent_since]
- id: mass
  title: T
  severity: low
  source: liveness
  detection: {state: offline}
  correlation:
    type: value_count
    field: client_id
    group_by: []
    timespan: 10s
    condition: {gte: 2, share: 0.4, of: fleet, until_below: 2}
  clear: {state: online}
- id: lasting
  title: T
  severity: low
  source: heartbeats
  detection: {cpu_usage|gte: 90}
  for: 20s
  clear: {cpu_usage|lt: 50}
- id: silent
  title: T
  severity: low
  source: events
  detection: {event_type: system_error}
  correlation: {type: absence, timespan: 12s}
  resolve_after: 20s
- id: steps
  title: T
  severity: low
  source: events
  correlation:
    type: temporal
    timespan: 10s
    steps:
    - {name: a, detection: {event_type: certificate_error}}
    - {name: b, detection: {event_type: policy_violation}}
""",
    "simulation.yaml",
)

START = 1_000_000
Told = tuple[str, str, tuple[Any, ...], int]


class Step(NamedTuple):
    """A signal, or the clock where there is none."""

    clock_ms: int
    signal: Signal | None


def script(seed: int) -> list[Step]:
    """What happens, in the order of the topic. Events come up to 8 s late and out of order, states in their order."""
    random_ = random.Random(seed)
    clock, steps = START, []
    silent: dict[str, int] = {}
    newest: dict[str, int] = {}
    for number in range(random_.randint(10, 45)):
        at = clock + random_.choice((0, 0, 1, 700, 1_500))
        client = random_.choice("abcd")
        kind = random_.random()
        if kind < 0.35:
            clock += random_.choice((200, 1_000, 1_000, 3_000, 9_000, 16_000))
            steps.append(Step(clock, None))
        elif kind < 0.7:
            steps.append(Step(clock, _event(random_, at - random_.choice((0, 0, 900, 4_000, 8_000)), client, number)))
        elif kind < 0.9:
            steps.append(Step(clock, _liveness(random_, _next(newest, client, at), client, silent)))
        else:
            cpu = random_.choice((10, 70, 95, 95, 95))
            steps.append(Step(clock, heartbeat(_next(newest, client, at), client, cpu_usage=cpu)))
    return [*steps, *(Step(clock + ms, None) for ms in (5_000, 25_000, 400_000))]


def _next(newest: dict[str, int], client: str, at: int) -> int:
    newest[client] = max(at, newest.get(client, 0) + 1)
    return newest[client]


def _event(random_: random.Random, at: int, client: str, number: int) -> Signal:
    kinds = ("authentication_failure", "authentication_failure", "system_error", "certificate_error", "policy_violation")
    return event(
        at,
        client,
        event_id=f"e{number}",
        event_type=random_.choice(kinds),
        severity=random_.choice(("low", "high")),
        source_ip_pseudonym=random_.choice(("p", "q")),
    )


def _liveness(random_: random.Random, at: int, client: str, silent: dict[str, int]) -> Signal:
    since = silent.pop(client, None)
    if since is not None:
        return liveness(at, client, "online", silent_since=since)
    if random_.random() < 0.7:
        silent[client] = at - 1
        return liveness(at, client, "offline", silent_since=at - 1)
    return liveness(at, client, "online")


def told(findings: Iterable[Finding]) -> list[Told]:
    """What tells one finding from another, and when it is."""
    return [(each.rule, str(each.change), each.key, each.timestamp) for each in findings]


def drive(seed: int, steps: list[Step]) -> set[Told]:
    """What is told in all, where the agent crashes now and then after the alerts or after the state."""
    random_ = random.Random(-seed - 1)
    table: dict[bytes, bytes] = {}
    running, out, at = Engine(RULES), set[Told](), 0
    while at < len(steps):
        batch = steps[at : at + random_.randint(1, 12)]
        for step in batch:
            out.update(told(take(running, step)))
        fate = random_.random()
        if fate < 0.85:
            _persist(table, running)
        if fate < 0.75:
            at += len(batch)
        else:
            running = Engine(RULES)
            running.restore(random_.sample([*table.items()], len(table)))
    return out


def take(engine: Engine, step: Step) -> list[Finding]:
    """One step, taken by the engine."""
    return engine.advance(step.clock_ms) if step.signal is None else engine.observe(step.signal)


def _persist(table: dict[bytes, bytes], engine: Engine) -> None:
    for key, value in engine.changes().items():
        if value is None:
            table.pop(key, None)
        else:
            table[key] = value
