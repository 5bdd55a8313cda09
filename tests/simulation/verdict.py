"""What a seed shows: the processors' outcome beside the oracle's."""

from __future__ import annotations

from random import Random

from processors.liveness import MISSED, Transition
from tests.simulation.oracle import Oracle, Told
from tests.simulation.scenario import Log, logs
from tests.simulation.worker import Kafka, Worker

CRASHING = 0.6
"""The share of seeds in which workers crash."""


def disagreements(seed: int) -> list[str]:
    """Run a seed's world; empty where all is as it has to be."""
    random = Random(seed)
    crash = random.choice((0.05, 0.2)) if random.random() < CRASHING else 0.0
    found: list[str] = []
    for number, log in enumerate(logs(random)):
        oracle, kafka = Oracle().read(log), Kafka()
        Worker(random, kafka, crash).run(log)
        faults = compared(oracle, kafka, log) if crash else exactly(oracle, kafka)
        found += [f"seed {seed}, partition {number}: {fault}" for fault in faults]
    return found


def exactly(oracle: Oracle, kafka: Kafka) -> list[str]:
    """Without a crash everything is the same, transition by transition."""
    faults = []
    for what, transitions in (("told", kafka.told), ("persisted", kafka.persisted)):
        faults += _different(what, _by_client(map(_told, transitions)), _by_client(oracle.told))
    if [tuple(span) for span in kafka.spans] != oracle.spans:
        faults.append(f"blind spans {kafka.spans}, not {oracle.spans}")
    return faults


def compared(oracle: Oracle, kafka: Kafka, log: Log) -> list[str]:
    """With crashes: nothing false, nothing missed, nothing untold, the same end."""
    faults = [f"falsely offline: {each}" for each in kafka.persisted if each.current.reason == MISSED and _is_false(oracle, each)]
    untold = {_told(each) for each in kafka.persisted} - {_told(each) for each in kafka.told}
    faults += [f"never told: {each}" for each in untold]
    if {tuple(span) for span in kafka.spans} != set(oracle.spans):
        faults.append(f"blind spans {sorted(set(kafka.spans))}, not {oracle.spans}")
    ends = {name: (client.state, client.reason) for name, client in oracle.clients.items()}
    known = {name: (record["state"], record["reason"]) for name, record in kafka.transitions.items()}
    return faults + _different("the end", known, ends)


def _is_false(oracle: Oracle, verdict: Transition) -> bool:
    """Whether the newest heartbeat that was accepted before the clock came to the verdict allowed for more silence."""
    read = next(index for index, mark in enumerate(oracle.marks) if mark >= verdict.watermark)
    deadlines = [due for name, position, due in oracle.deadlines if name == verdict.client_id and position < read]
    return bool(deadlines) and deadlines[-1] > verdict.watermark


def _told(transition: Transition) -> Told:
    current, previous = transition.current, transition.previous
    return Told(
        transition.client_id,
        current.state,
        current.reason,
        previous.state if previous else None,
        transition.timestamp,
        current.last_heartbeat,
        current.interval_ms,
        current.since,
        transition.deadline,
        transition.watermark,
    )


def _by_client(told: object) -> dict[str, list[Told]]:
    found: dict[str, list[Told]] = {}
    for each in told:  # type: ignore[attr-defined]
        found.setdefault(each.client_id, []).append(each)
    return found


def _different(what: str, found: dict[str, object], expected: dict[str, object]) -> list[str]:
    names = sorted(found.keys() | expected.keys())
    return [
        f"{what} of {name}: {found.get(name)}, not {expected.get(name)}"
        for name in names
        if found.get(name) != expected.get(name)
    ]
