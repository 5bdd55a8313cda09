"""Carries heartbeats and ticks to the fleet's partitions, and transitions and alerts to Kafka."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from aiokafka import ConsumerRecord
from aiokafka.partitioner import murmur2

from processors import clones, direct_alerts, liveness
from processors.alerts import Alert, Status
from processors.clones import Boots
from processors.decoding import decoded
from processors.fleet import FleetPartition
from processors.liveness import Heartbeat, Transition
from processors.outbox import Outbox, alerting
from processors.rounds import rounds
from processors.tables import ChangelogTable
from processors.watermark import BlindSpan, ClockLimits
from schemas import codec
from schemas.topics import LIVENESS

_REMEMBERED_SPANS = 64


class LivenessAgent:
    """State is in memory, by partition; only transitions are persisted, in the table whose changelog is their topic."""

    def __init__(self, table: ChangelogTable, outbox: Outbox, grace_ms: int, limits: ClockLimits) -> None:
        self._table = table
        self._outbox = outbox
        self._grace_ms = grace_ms
        self._limits = limits
        self._fleet: dict[int, FleetPartition] = {}
        self._restored: dict[int, list[Transition]] = {}
        self._spans: list[BlindSpan] = []
        # Not persisted: after a restart clones give themselves away again.
        self._boots: dict[str, Boots] = {}
        table.on_recovered(self._restore)

    async def handle(self, partition: int, records: Sequence[ConsumerRecord]) -> None:
        """Take a batch into account. Raises DeliveryFailed."""
        rows, dead = decoded(records, ("heartbeat", "tick"))
        fleet = self._partition(partition)
        transitions: list[Transition] = []
        spans: list[BlindSpan] = []
        doubles: list[Alert] = []
        for name, record in rows:
            if name == "heartbeat":
                transition = fleet.heartbeat(_heartbeat(record))
                transitions += [transition] if transition else []
                doubles += self._clone_of(record)
                continue
            due, blind = fleet.tick(record["edge"], record["timestamp"])
            transitions += due
            spans += [blind] if blind else []
        await self._outbox.write(dead)
        await self._announce(spans)
        await self._alert(doubles)
        for part in rounds(transitions, lambda transition: transition.client_id):
            await self._persist(partition, part)

    def _clone_of(self, record: dict[str, Any]) -> list[Alert]:
        client_id = record["client_id"]
        before = self._boots.get(client_id)
        after, alarm = clones.observe(before, record["uptime"], record["timestamp"], record["received_at"])
        self._boots[client_id] = after
        return [direct_alerts.identity_clone(record, before, after)] if alarm and before else []

    async def _persist(self, partition: int, transitions: Sequence[Transition]) -> None:
        """Resolved alerts before the state and firing ones after it.

        After a crash in between, the heartbeat that resolves is still news to the state before, so the same alert is
        resolved again; and ``FleetPartition`` gives verdicts whose alert may be missing once more.
        """
        found = [alert for alert in map(direct_alerts.offline, transitions) if alert]
        await self._alert([alert for alert in found if alert.status is Status.RESOLVED])
        await self._outbox.settle([self._put(partition, transition) for transition in transitions])
        await self._alert([alert for alert in found if alert.status is Status.FIRING])

    def _put(self, partition: int, transition: Transition) -> Any:
        value = codec.encode(LIVENESS.schemas[0], liveness.to_record(transition))
        return self._table.put(partition, transition.client_id.encode(), value)

    async def _announce(self, spans: Sequence[BlindSpan]) -> None:
        """Every partition sees the same span; it is one incident, also where a partition missed a tick at its edge."""
        for span in spans:
            if any(span.start_ms < known.end_ms and known.start_ms < span.end_ms for known in self._spans):
                continue
            self._spans = [*self._spans, span][-_REMEMBERED_SPANS:]
            await self._alert(direct_alerts.ingest_blind(span))

    async def _alert(self, alerts: Sequence[Alert]) -> None:
        now_ms = self._outbox.clock()
        await self._outbox.write([alerting(alert, now_ms) for alert in alerts])

    def _partition(self, partition: int) -> FleetPartition:
        fleet = self._fleet.get(partition)
        if fleet is None:
            restored = self._restored.pop(partition, [])
            fleet = self._fleet[partition] = FleetPartition(self._grace_ms, self._limits, restored)
        return fleet

    def _restore(self) -> None:
        """After a start or a rebalance: another worker may have had the partitions, so nothing in memory counts."""
        grouped: defaultdict[int, list[Transition]] = defaultdict(list)
        for key, value in self._table.items():
            record = codec.decode_as(LIVENESS.schemas[0], value)
            grouped[_partition_of(key)].append(liveness.from_record(record))
        self._restored = dict(grouped)
        self._fleet.clear()
        self._boots.clear()


def _heartbeat(record: dict[str, Any]) -> Heartbeat:
    return Heartbeat(
        record["client_id"], record["timestamp"], record["status"], record["interval_ms"], record["received_at"]
    )


def _partition_of(key: bytes) -> int:
    return int((murmur2(key) & 0x7FFFFFFF) % LIVENESS.partitions)
