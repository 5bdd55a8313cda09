"""What a seed shows: the processors' outcome beside the oracle's."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from random import Random

from processors.liveness import MISSED, Transition
from tests.simulation.limits import GRACE_MS, QUIET_MS
from tests.simulation.oracle import Deadline, Oracle, Told
from tests.simulation.scenario import logs
from tests.simulation.worker import CRASHES_WITHIN, Kafka, Worker

CRASHING = 0.6
"""The share of seeds in which workers crash."""


def disagreements(seed: int) -> list[str]:
    """Run a seed's world; empty where all is as it has to be."""
    random = Random(seed)
    crash = random.choice((0.05, 0.2)) if random.random() < CRASHING else 0.0
    found: list[str] = []
    for number, log in enumerate(logs(random)):
        oracle, kafka = Oracle().read(log), Kafka()
        worker = Worker(random, kafka, crash)
        worker.run(log)
        faults = [*worker.faults[:1], *compared(oracle, kafka)] if crash else exactly(oracle, kafka)
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


def compared(oracle: Oracle, kafka: Kafka) -> list[str]:
    """With crashes: nothing false, nothing missed, nothing untold, the same end."""
    faults = [
        f"falsely offline: {each}" for each in kafka.persisted if each.current.reason == MISSED and _is_false(oracle, each)
    ]
    untold = {_told(each) for each in kafka.persisted} - {_told(each) for each in kafka.told}
    faults += [f"never told: {each}" for each in untold]
    if {tuple(span) for span in kafka.spans} != set(oracle.spans):
        faults.append(f"blind spans {sorted(set(kafka.spans))}, not {oracle.spans}")
    return faults + (_ends(oracle, kafka) if _is_settled(oracle) else [])


def _ends(oracle: Oracle, kafka: Kafka) -> list[str]:
    ends = {name: (client.state, client.reason) for name, client in oracle.clients.items()}
    return _different("the end", kafka.known(), ends)


def _is_settled(oracle: Oracle) -> bool:
    """Whether the clock ran on while all was quiet. One that a wrong clock has carried off stands still for a while."""
    last = oracle.marks[-1]
    return last - oracle.marks[int(len(oracle.marks) * CRASHES_WITHIN)] > QUIET_MS // 2


def _is_false(oracle: Oracle, verdict: Transition) -> bool:
    """Whether the newest heartbeat that was accepted before the clock came to the verdict allowed for more silence.

    It is false too where the clock never came there. A copy of a heartbeat is no sign of life: a client whose clock was set
    back is taken to be alive by copies of what it said before and after in turn, but not by a worker that has not seen both.
    """
    read = next((index for index, mark in enumerate(oracle.marks) if mark >= verdict.watermark), None)
    if read is None:
        return True
    accepted = [each for each in oracle.deadlines if each.client_id == verdict.client_id and each.at < read]
    said_once = [each for each in accepted if not each.is_copy]
    return all(_allow_for_more(oracle, verdict, each, read) for each in (accepted, said_once))


def _allow_for_more(oracle: Oracle, verdict: Transition, accepted: Sequence[Deadline], read: int) -> bool:
    if not accepted:
        return False
    due, last = accepted[-1].due, accepted[-1].last
    interval = verdict.current.interval_ms
    # After a restart what is no news to the oracle may be some, so the shorter interval may count earlier.
    if any((name, kept) == (verdict.client_id, interval) and at < read for name, at, kept in oracle.kept):
        due = min(due, last + 3 * interval + GRACE_MS)
    return due > verdict.watermark


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


def _by_client(told: Iterable[Told]) -> dict[str, list[Told]]:
    found: dict[str, list[Told]] = {}
    for each in told:
        found.setdefault(each.client_id, []).append(each)
    return found


def _different(what: str, found: Mapping[str, object], expected: Mapping[str, object]) -> list[str]:
    names = sorted(found.keys() | expected.keys())
    return [
        f"{what} of {name}: {found.get(name)}, not {expected.get(name)}"
        for name in names
        if found.get(name) != expected.get(name)
    ]
