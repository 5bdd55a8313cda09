"""Which topic goes into which table, and how long each table serves a row."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from schemas import topics
from schemas.registry import SCHEMAS
from schemas.topics import Topic

DATABASE = "viworks"

_DAY_MS = 86_400_000
# A month, and what may come late into it.
_MONTH_MS = 40 * _DAY_MS


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
    """Until when a row may be served: ``column`` + ``interval``, the latter in ClickHouse's own words.

    Attributes:
        slack: how much later ClickHouse's own TTL drops what the sink has not dropped (``sinks.retention``).
        spread_ms: how long a row may wait for the last row of its part to expire.
        by_rows: the table has no parts that expire as a whole; its rows are deleted one by one.
        by_days: its partitions go as a whole, the oldest first.
    """

    column: str
    interval: str
    slack: str = "3 DAY"
    spread_ms: int = 2 * _DAY_MS
    by_rows: bool = False
    by_days: bool = False

    @property
    def predicate(self) -> str:
        return f"{self.column} > now64(3) - INTERVAL {self.interval}"

    @property
    def ttl(self) -> str:
        """The table's TTL, as its definition has it."""
        return f"toDateTime({self.column}) + INTERVAL {self.interval} + INTERVAL {self.slack}"


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
    "heartbeats": Retention("received_at", "24 HOUR", slack="6 HOUR", spread_ms=_DAY_MS // 12),
    "heartbeats_now": Retention("received_at", "24 HOUR", slack="6 HOUR", spread_ms=_DAY_MS // 12, by_rows=True),
    "heartbeat_rollups": Retention("minute", "90 DAY"),
    "heartbeat_rollups_hourly": Retention("hour", "90 DAY"),
    "sessions": Retention("received_at", "90 DAY"),
    "registrations": Retention("received_at", "1 YEAR", spread_ms=_MONTH_MS),
    "liveness_transitions": Retention("timestamp", "90 DAY"),
    "events": Retention("received_at", "2 YEAR", spread_ms=_MONTH_MS),
    "alerts": Retention("timestamp", "2 YEAR", spread_ms=_MONTH_MS),
    "rejections": Retention("timestamp", "2 YEAR", spread_ms=_MONTH_MS),
    # By whole days, so that what is left of the chain begins with a day.
    "audit_log": Retention("_day_end", "1 YEAR", by_days=True),
    "audit_unchained": Retention("timestamp", "1 YEAR", spread_ms=_MONTH_MS),
    "warehouse_orders": Retention("timestamp", "90 DAY", spread_ms=_MONTH_MS),
}
