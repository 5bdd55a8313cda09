"""The topics: one table of name, schemas, key, partitions and retention.

A topic never keeps its records for longer than the retention policy keeps the data. Topics keyed by ``client_id`` have the
same number of partitions and the same partitioner (murmur2), so that one processor owns all of a client.
"""

from __future__ import annotations

from dataclasses import dataclass

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
PARTITIONS = 8


@dataclass(frozen=True, slots=True)
class Topic:
    """One row of the table.

    Attributes:
        name: the topic's name on Kafka.
        schemas: names of the schemas its values may have; the first is the data's, others are control records.
        key: the member whose UTF-8 is the record's key; empty for no key.
        retention_ms: how long Kafka keeps a record; None only for a compacted topic, whose newest record per key stays.
        compacted: whether the newest record per key stays (a compacted topic with a retention also deletes).
    """

    name: str
    schemas: tuple[str, ...]
    key: str
    retention_ms: int | None
    compacted: bool = False
    partitions: int = PARTITIONS

    def config(self) -> dict[str, str]:
        """The topic's configuration in Kafka's own words."""
        # What was replaced or erased is gone within two days (KIP-354): without a bound its segment may never be looked at.
        bound = {"max.compaction.lag.ms": str(DAY_MS), "delete.retention.ms": str(DAY_MS)} if self.compacted else {}
        if self.retention_ms is None:
            return {"cleanup.policy": "compact", **bound}
        # Kafka deletes whole segments: a record outlives its retention by up to what a segment may span, a week by default.
        segment_ms = max(HOUR_MS, min(self.retention_ms // 8, 7 * DAY_MS))
        policy = "compact,delete" if self.compacted else "delete"
        return {"cleanup.policy": policy, "retention.ms": str(self.retention_ms), "segment.ms": str(segment_ms), **bound}


# All that the registry decides, in one order per key: requests of clients, claims of enrolment tokens, commands.
REGISTRATIONS = Topic(
    "viworks.registrations.v1",
    ("registration", "key_rotation", "certificate_request", "enrolment_claim", "command"),
    "client_id",
    7 * DAY_MS,
)
VERDICTS = Topic("viworks.verdicts.v1", ("verdict",), "client_id", HOUR_MS, partitions=1)
CLIENTS = Topic("viworks.clients.v1", ("client",), "client_id", None, compacted=True)
CLIENT_KEYS = Topic("viworks.client-keys.v1", ("client_key",), "client_id", 30 * DAY_MS)
ENROLMENTS = Topic("viworks.enrolments.v1", ("enrolment",), "token_id", None, compacted=True)
HEARTBEATS = Topic("viworks.heartbeats.v1", ("heartbeat", "tick"), "client_id", DAY_MS)
SESSIONS = Topic("viworks.sessions.v1", ("session",), "client_id", 7 * DAY_MS)
EVENTS = Topic("viworks.events.v1", ("event",), "client_id", 7 * DAY_MS)
LIVENESS = Topic("viworks.liveness.v1", ("liveness",), "client_id", 90 * DAY_MS, compacted=True)
# All that rules look at, in one order: what one decides may depend on what any client did, such as a mass outage.
SIGNALS = Topic("viworks.signals.v1", ("signal", "tick", "command"), "client_id", DAY_MS, partitions=1)
SILENCES = Topic("viworks.silences.v1", ("silence",), "silence_id", None, compacted=True, partitions=1)
ALERTS = Topic("viworks.alerts.v1", ("alert",), "client_id", 7 * DAY_MS)
AUDIT = Topic("viworks.audit.v1", ("audit",), "subject", 30 * DAY_MS, partitions=1)
# The copy of the checkpoints that outlives a loss of the warehouse and of its host.
AUDIT_CHECKPOINTS = Topic("viworks.audit-checkpoints.v1", ("audit_checkpoint",), "day", 365 * DAY_MS, partitions=1)
REJECTIONS = Topic("viworks.rejections.v1", ("rejection",), "client_id", 7 * DAY_MS)
POLICIES = Topic("viworks.policies.v1", ("policy",), "policy_id", None, compacted=True)
# A revocation outlives every API key that it could refuse, which is 366 days at most, and every certificate.
REVOCATIONS = Topic("viworks.revocations.v1", ("revocation",), "client_id", 367 * DAY_MS, compacted=True, partitions=1)
# An administrator's orders to the warehouse, in one order: the sink that has the partition carries them out.
WAREHOUSE_ORDERS = Topic("viworks.warehouse-orders.v1", ("command",), "request_id", 7 * DAY_MS, partitions=1)
DLQ = Topic("viworks.dlq.v1", (), "", 7 * DAY_MS, partitions=1)

TOPICS: tuple[Topic, ...] = (
    REGISTRATIONS,
    VERDICTS,
    CLIENTS,
    CLIENT_KEYS,
    ENROLMENTS,
    HEARTBEATS,
    SESSIONS,
    EVENTS,
    LIVENESS,
    SIGNALS,
    SILENCES,
    ALERTS,
    AUDIT,
    AUDIT_CHECKPOINTS,
    REJECTIONS,
    POLICIES,
    REVOCATIONS,
    WAREHOUSE_ORDERS,
    DLQ,
)
