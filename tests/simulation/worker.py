"""Workers that read a partition in batches, write step by step, commit now and then, and end anywhere; another goes on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random

from processors.checkpoint import Checkpoint, clock_value, last_seen_value, read_clock, read_last_seen
from processors.fleet import FleetPartition, Restored
from processors.liveness import Heartbeat, Transition, from_record, to_record
from processors.liveness_steps import Step, steps
from processors.watermark import BlindSpan, Tick
from tests.simulation.limits import LIMITS
from tests.simulation.scenario import Log, Registered

Write = tuple[str, object]
CRASHES_WITHIN = 0.6
"""In this part of the log; the rest is quiet, and read without a crash."""


class Crashed(Exception):
    """The worker ended before all was written."""


@dataclass(slots=True)
class Kafka:
    """What survives a worker: the topics that it writes and the tables that it restores.

    ``believed`` is what the readers of the topic think of each client.
    """

    told: list[Transition] = field(default_factory=list)
    believed: dict[str, tuple[str, str]] = field(default_factory=dict)
    spans: list[BlindSpan] = field(default_factory=list)
    persisted: list[Transition] = field(default_factory=list)
    transitions: dict[str, dict[str, object]] = field(default_factory=dict)
    seen: dict[str, bytes] = field(default_factory=dict)
    clock: bytes | None = None
    registered: dict[str, int] = field(default_factory=dict)

    def write(self, write: Write) -> None:
        kind, value = write
        if isinstance(value, Transition):
            (self.told if kind == "told" else self.persisted).append(value)
            if kind == "persisted":
                self.transitions[value.client_id] = to_record(value)
            else:
                self.believed[value.client_id] = value.current.state, value.current.reason
        elif isinstance(value, BlindSpan):
            self.spans.append(value)
        elif isinstance(value, bytes) and kind == "clock":
            self.clock = value
        elif isinstance(value, bytes):
            self.seen[kind] = value

    def known(self) -> dict[str, tuple[object, object]]:
        """The state and its reason of each client, as persisted."""
        return {name: (record["state"], record["reason"]) for name, record in self.transitions.items()}

    def register(self, record: Registered) -> None:
        if record.revoked:
            self.registered.pop(record.client_id, None)
        else:
            self.registered.setdefault(record.client_id, record.at)

    def fleet(self) -> FleetPartition:
        """What a worker starts with."""
        restored = Restored(
            [from_record(record) for record in self.transitions.values()],
            {name: read_last_seen(value) for name, value in self.seen.items()},
            Checkpoint() if self.clock is None else read_clock(self.clock),
        )
        fleet = FleetPartition(LIMITS, restored)
        for client_id, at in self.registered.items():
            if client_id not in self.transitions and client_id not in self.seen:
                fleet.expect(client_id, at)
        return fleet


@dataclass(slots=True)
class Worker:
    """``crash``: how likely a batch is the last of a worker. ``furthest``: how far any worker has come.

    ``faults``: what readers of the topic believed wrongly once all that was read was told.
    """

    random: Random
    kafka: Kafka
    crash: float
    crashes: int = 0
    furthest: int = 0
    faults: list[str] = field(default_factory=list)

    def run(self, log: Log) -> None:
        """Read the log to its end, however many workers that takes."""
        committed = 0
        while committed < len(log):
            committed = self._live(log, committed)

    def _live(self, log: Log, committed: int) -> int:
        """One worker's life; returns what it has committed."""
        fleet, position = self.kafka.fleet(), committed
        largest = self.random.choice((3, 30, 200))
        while position < len(log):
            batch = _batch(log, position, self.random.randint(1, largest))
            dies = position + len(batch) <= len(log) * CRASHES_WITHIN and self.random.random() < self.crash
            try:
                self._take(fleet, batch, position, dies=dies)
            except Crashed:
                self.crashes += 1
                self.furthest = max(self.furthest, position + len(batch))
                return committed
            position += len(batch)
            self._has_come_to(position)
            if self.random.random() < 0.6:
                committed = position
        return position

    def _has_come_to(self, position: int) -> None:
        if position <= self.furthest:
            return
        self.furthest = position
        if self.crash and self.kafka.believed != self.kafka.known():
            self.faults.append(f"at {position} readers believe {self.kafka.believed}, not {self.kafka.known()}")

    def _take(self, fleet: FleetPartition, batch: Log, position: int, *, dies: bool) -> None:
        if isinstance(batch[0], Registered):
            self._register(fleet, batch[0])
            return
        records = [each for each in batch if isinstance(each, Heartbeat | Tick)]
        for step in steps(fleet, records, range(position, position + len(records))):
            writes = list(_writes(step))
            if dies and self.random.random() < 0.3:
                for write in self.random.sample(writes, self.random.randrange(len(writes) + 1)):
                    self.kafka.write(write)
                raise Crashed
            for write in writes:
                self.kafka.write(write)
        if dies:
            raise Crashed

    def _register(self, fleet: FleetPartition, record: Registered) -> None:
        self.kafka.register(record)
        if record.revoked:
            fleet.forget(record.client_id)
        else:
            fleet.expect(record.client_id, record.at)


def _batch(log: Log, position: int, size: int) -> Log:
    """The next records; a registration stands alone, since it comes by another topic."""
    batch = log[position : position + size]
    alone = next((index for index, record in enumerate(batch) if isinstance(record, Registered)), None)
    return batch if alone is None else batch[: max(alone, 1)]


def _writes(step: Step) -> Iterator[Write]:
    yield from (("told", each) for each in step.told)
    yield from (("span", each) for each in step.spans)
    yield from (("persisted", each) for each in step.persisted)
    yield from ((name, last_seen_value(state)) for name, state in step.seen.items())
    if step.checkpoint is not None:
        yield "clock", clock_value(step.checkpoint)
