"""Carries heartbeats and ticks to the fleet's partitions, and transitions and signals to Kafka."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping, Sequence
from typing import Any, NamedTuple

from aiokafka import ConsumerRecord

from processors import clones, liveness
from processors.alerting.lookout import Lookout
from processors.alerting.signals import Signal
from processors.checkpoint import clock_key, clock_value, last_seen_value
from processors.clones import Boots
from processors.decoding import numbered
from processors.fleet import FleetLimits, FleetPartition
from processors.liveness import Heartbeat, Transition
from processors.liveness_recovery import Recovered, recovered
from processors.liveness_steps import Step, steps
from processors.outbox import Outbox, signalling, watermark
from processors.tables import ChangelogTable
from processors.watermark import Tick
from schemas import codec
from schemas.topics import LIVENESS

# Less than the time between two ticks of an edge, so that none of them is left out.
_TOLD_EVERY_MS = 400
# Edges know of a revocation within seconds.
_STRAGGLERS_MS = 60_000


class Tables(NamedTuple):
    """``liveness``: the transitions. ``kept``: see ``checkpoint``. ``clients``: the registry's."""

    liveness: ChangelogTable
    kept: ChangelogTable
    clients: ChangelogTable


class LivenessAgent:
    """State is in memory, by partition; what is persisted, and when, ``liveness_steps`` says."""

    def __init__(self, tables: Tables, outbox: Outbox, limits: FleetLimits, lookout: Lookout) -> None:
        self._table, self._kept, self._clients = tables
        self._outbox = outbox
        self._limits = limits
        self._lookout = lookout
        self._fleet: dict[int, FleetPartition] = {}
        self._restored: dict[int, Recovered] = {}
        # By partition: when the rules were told of its watermark, and which.
        self._told: dict[int, tuple[int, int]] = {}
        # Not persisted: after a restart clones give themselves away again.
        self._boots: dict[str, Boots] = {}
        # Clients that were erased, until when their heartbeats may be such as were under way.
        self._gone: dict[str, int] = {}
        self._table.on_recovered(self._restore)

    async def handle(self, partition: int, records: Sequence[ConsumerRecord]) -> None:
        """Take a batch into account. Raises DeliveryFailed."""
        rows, dead = numbered(records, ("heartbeat", "tick"))
        fleet = self._partition(partition)
        batch: list[Heartbeat | Tick] = []
        seen: list[Signal] = []
        for _, schema, record in rows:
            if schema == "heartbeat":
                if self._gone and self._is_erased(record):
                    continue
                batch.append(_heartbeat(record))
                seen += self._look(record)
            else:
                batch.append(Tick(record["edge"], record["timestamp"], record["last"]))
        await self._outbox.write([*dead, *map(signalling, seen)])
        for step in steps(fleet, batch, [row.offset for row in rows]):
            await self._write(partition, step)
        await self._tell_watermark(partition, fleet)

    def registered(self, partition: int, client: Mapping[str, Any]) -> None:
        """The registry has written a client: an active one that was never heard has to come, another need not."""
        fleet = self._partition(partition)
        self._gone.pop(client["client_id"], None)
        if client["status"] == "active":
            fleet.expect(client["client_id"], client["registered_at"])
        else:
            fleet.forget(client["client_id"])

    def erased(self, partition: int, client_id: str) -> list[Awaitable[Any]]:
        """The registry forgets a client: so do its liveness and all topics of it. What it sent before may still come in."""
        self._partition(partition).erase(client_id)
        self._boots.pop(client_id, None)
        self._gone[client_id] = self._outbox.clock() + _STRAGGLERS_MS
        key = client_id.encode()
        return [self._table.delete(partition, key), self._kept.delete(partition, key)]

    def _is_erased(self, record: Mapping[str, Any]) -> bool:
        until_ms = self._gone.get(record["client_id"])
        if until_ms is None:
            return False
        if record["received_at"] < until_ms and self._outbox.clock() < until_ms + _STRAGGLERS_MS:
            return True
        del self._gone[record["client_id"]]
        return False

    def _look(self, record: dict[str, Any]) -> list[Signal]:
        client_id = record["client_id"]
        before = self._boots.get(client_id)
        after, alarm = clones.observe(before, record["uptime"], record["timestamp"], record["received_at"])
        self._boots[client_id] = after
        found = self._lookout.heartbeat(record)
        seen = [] if found is None else [found]
        return [*seen, self._lookout.clone(record, before, after)] if alarm and before else seen

    async def _write(self, partition: int, step: Step) -> None:
        told = [self._lookout.blind_span(span, partition) for span in step.spans]
        told += [self._lookout.transition(each) for each in step.told]
        await self._outbox.write([signalling(signal) for signal in told])
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

    async def _tell_watermark(self, partition: int, fleet: FleetPartition) -> None:
        """After the signals of the batch: to the rules it says that there are no more of before."""
        now_ms, watermark_ms = self._outbox.clock(), fleet.watermark_ms
        told_at, told_ms = self._told.get(partition, (0, 0))
        if watermark_ms is None or watermark_ms <= told_ms or 0 <= now_ms - told_at < _TOLD_EVERY_MS:
            return
        await self._outbox.write([watermark(partition, watermark_ms)])
        self._told[partition] = now_ms, watermark_ms

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
        self._told.clear()


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
