"""Which topic goes into which table, and how long each table serves a row."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from schemas import topics
from schemas.registry import SCHEMAS
from schemas.topics import Topic

DATABASE = "viworks"


@dataclass(frozen=True)
class Table:
    """A table that is filled from a topic. The first of the topic's schemas is its rows', the others are control records."""

    name: str
    topic: Topic

    @property
    def qualified(self) -> str:
        return f"{DATABASE}.{self.name}"

    @cached_property
    def row_schema_ids(self) -> frozenset[int]:
        """The ids of all versions of the rows' schema."""
        return frozenset(row.id for row in SCHEMAS if row.name == self.topic.schemas[0])

    @cached_property
    def control_schema_ids(self) -> frozenset[int]:
        """The ids of schemas whose records are no rows."""
        return frozenset(row.id for row in SCHEMAS if row.name in self.topic.schemas[1:])


@dataclass(frozen=True, slots=True)
class Retention:
    """Until when a row may be served: ``column`` + ``interval``, the latter in ClickHouse's own words."""

    column: str
    interval: str

    @property
    def predicate(self) -> str:
        return f"{self.column} > now64(3) - INTERVAL {self.interval}"


TABLES: tuple[Table, ...] = (
    Table("heartbeats", topics.HEARTBEATS),
    Table("registrations", topics.REGISTRATIONS),
    Table("sessions", topics.SESSIONS),
    Table("events", topics.EVENTS),
    Table("liveness_transitions", topics.LIVENESS),
    Table("alerts", topics.ALERTS),
    Table("rejections", topics.REJECTIONS),
    Table("audit_log", topics.AUDIT),
    Table("clients", topics.CLIENTS),
    Table("client_keys", topics.CLIENT_KEYS),
)

RETENTIONS: dict[str, Retention] = {
    "heartbeats": Retention("received_at", "24 HOUR"),
    "heartbeats_now": Retention("received_at", "24 HOUR"),
    "heartbeat_rollups": Retention("minute", "90 DAY"),
    "heartbeat_rollups_hourly": Retention("hour", "90 DAY"),
    "sessions": Retention("received_at", "90 DAY"),
    "registrations": Retention("received_at", "1 YEAR"),
    "liveness_transitions": Retention("timestamp", "90 DAY"),
    "events": Retention("received_at", "2 YEAR"),
    "alerts": Retention("timestamp", "2 YEAR"),
    "rejections": Retention("timestamp", "2 YEAR"),
    # By whole days, so that what is left of the chain begins with a day.
    "audit_log": Retention("_day_end", "1 YEAR"),
    "audit_unchained": Retention("timestamp", "1 YEAR"),
}
