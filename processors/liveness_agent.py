"""Carries heartbeats and ticks to the fleet's partitions, and transitions and alerts to Kafka."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping, Sequence
from typing import Any, NamedTuple

from aiokafka import ConsumerRecord

from processors import clones, direct_alerts, liveness
from processors.alerts import Alert
from processors.checkpoint import clock_key, clock_value, last_seen_value
from processors.clones import Boots
from processors.decoding import numbered
from processors.fleet import FleetLimits, FleetPartition
from processors.liveness import Heartbeat, Transition
from processors.liveness_recovery import Recovered, recovered
from processors.liveness_steps import Step, steps
from processors.outbox import Outbox, alerting
from processors.tables import ChangelogTable
from processors.watermark import BlindSpan, Tick
from schemas import codec
from schemas.topics import LIVENESS

_REMEMBERED_SPANS = 64


class Tables(NamedTuple):
    """``liveness``: the transitions. ``kept``: see ``checkpoint``. ``clients``: the registry's."""

    liveness: ChangelogTable
    kept: ChangelogTable
    clients: ChangelogTable


class LivenessAgent:
    """State is in memory, by partition; what is persisted, and when, ``liveness_steps`` says."""

    def __init__(self, tables: Tables, outbox: Outbox, limits: FleetLimits) -> None:
        self._table, self._kept, self._clients = tables
        self._outbox = outbox
        self._limits = limits
        self._fleet: dict[int, FleetPartition] = {}
        self._restored: dict[int, Recovered] = {}
        self._spans: list[BlindSpan] = []
        # Not persisted: after a restart clones give themselves away again.
        self._boots: dict[str, Boots] = {}
        self._table.on_recovered(self._restore)

    async def handle(self, partition: int, records: Sequence[ConsumerRecord]) -> None:
        """Take a batch into account. Raises DeliveryFailed."""
        rows, dead = numbered(records, ("heartbeat", "tick"))
        fleet = self._partition(partition)
        batch: list[Heartbeat | Tick] = []
        doubles: list[Alert] = []
        for _, schema, record in rows:
            if schema == "heartbeat":
                batch.append(_heartbeat(record))
                doubles += self._clone_of(record)
            else:
                batch.append(Tick(record["edge"], record["timestamp"], record["last"]))
        await self._outbox.write(dead)
        await self._alert(doubles)
        for step in steps(fleet, batch, [row.offset for row in rows]):
            await self._write(partition, step)

    def registered(self, partition: int, client: Mapping[str, Any]) -> None:
        """The registry has written a client: an active one that was never heard has to come, another need not."""
        fleet = self._partition(partition)
        if client["status"] == "active":
            fleet.expect(client["client_id"], client["registered_at"])
        else:
            fleet.forget(client["client_id"])

    def _clone_of(self, record: dict[str, Any]) -> list[Alert]:
        client_id = record["client_id"]
        before = self._boots.get(client_id)
        after, alarm = clones.observe(before, record["uptime"], record["timestamp"], record["received_at"])
        self._boots[client_id] = after
        return [direct_alerts.identity_clone(record, before, after)] if alarm and before else []

    async def _write(self, partition: int, step: Step) -> None:
        await self._announce(step.spans)
        await self._alert([alert for alert in map(direct_alerts.offline, step.told) if alert])
        writes = [self._put(partition, transition) for transition in step.persisted]
        writes += [self._keep(partition, key.encode(), last_seen_value(state)) for key, state in step.seen.items()]
        if step.checkpoint is not None:
            writes.append(self._keep(partition, clock_key(partition), clock_value(step.checkpoint)))
        await self._outbox.settle(writes)

    def _put(self, partition: int, transition: Transition) -> Awaitable[Any]:
        value = codec.encode(LIVENESS.schemas[0], liveness.to_record(transition))
        return self._table.put(partition, transition.client_id.encode(), value)

    def _keep(self, partition: int, key: bytes, value: bytes) -> Awaitable[Any]:
        return self._kept.put(partition, key, value)

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
            recovered = self._restored.pop(partition, Recovered())
            fleet = self._fleet[partition] = FleetPartition(self._limits, recovered.of_the_fleet())
            for client in recovered.clients:
                self.registered(partition, client)
        return fleet

    def _restore(self) -> None:
        """After a start or a rebalance: another worker may have had the partitions, so nothing in memory counts."""
        self._restored = recovered(self._table.items(), self._kept.items(), self._clients.items())
        self._fleet.clear()
        self._boots.clear()


def _heartbeat(record: dict[str, Any]) -> Heartbeat:
    return Heartbeat(
        record["client_id"],
        record["timestamp"],
        record["status"],
        record["interval_ms"],
        record["received_at"],
        record["uptime"],
        record["maintenance_ms"],
        record["gone_ms"],
    )
