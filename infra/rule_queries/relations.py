"""The signals of each source as the warehouse has them: a SELECT whose columns are the fields that rules may name.

Two sources leave no rows of their own behind: what the processors saw of ``identity`` and ``blind`` stands in alerts only.
"""

from __future__ import annotations

from processors.alerting.signals import AUDIT, EVENTS, HEARTBEATS, LIVENESS, REJECTIONS
from sinks.tables import DATABASE, RETENTIONS

_NODE = f"""\
LEFT JOIN (SELECT client_id, node_id FROM {DATABASE}.clients FINAL) AS owner ON owner.client_id = row.client_id"""  # noqa: S608 - our own names

_EVENTS = """\
SELECT nullIf(row.client_id, '') AS client_id, owner.node_id AS node_id, row.timestamp AS timestamp, event_id, event_type,
    severity, source_ip, source_ip_pseudonym, target_ip, target_ip_pseudonym, user_agent, error_code, origin"""

_LIVENESS = """\
SELECT nullIf(row.client_id, '') AS client_id, owner.node_id AS node_id, row.timestamp AS timestamp, state, previous_state,
    reason, toUnixTimestamp64Milli(row.last_heartbeat) AS last_heartbeat, interval_ms,
    toUnixTimestamp64Milli(row.deadline) AS deadline, toUnixTimestamp64Milli(row.watermark) AS watermark,
    if(state IN ('late', 'offline', 'gone'), toUnixTimestamp64Milli(row.last_heartbeat), NULL) AS silent_since"""

# By the edge's clock, as the processors take it: the client's may be wrong.
_HEARTBEATS = """\
SELECT nullIf(row.client_id, '') AS client_id, owner.node_id AS node_id, row.received_at AS timestamp, status, uptime,
    cpu_usage, memory_usage, network_activity, dateDiff('millisecond', row.received_at, row.timestamp) AS skew_ms"""

_REJECTIONS = """\
SELECT nullIf(row.client_id, '') AS client_id, owner.node_id AS node_id, row.timestamp AS timestamp, endpoint, reason,
    status, count, authenticated"""

_AUDIT = """\
SELECT CAST(NULL, 'Nullable(String)') AS client_id, CAST(NULL, 'Nullable(String)') AS node_id, row.timestamp AS timestamp,
    action, outcome, actor, subject"""

_TABLES = {
    EVENTS: ("events", "timestamp", _EVENTS),
    LIVENESS: ("liveness_transitions", "timestamp", _LIVENESS),
    HEARTBEATS: ("heartbeats", "received_at", _HEARTBEATS),
    REJECTIONS: ("rejections", "timestamp", _REJECTIONS),
}


def relation(source: str, since_s: int) -> str | None:
    """The signals of the last seconds; None for a source of which the warehouse has no rows."""
    if source == AUDIT:
        return f"{_AUDIT}\nFROM {DATABASE}.audit AS row\nWHERE row.timestamp > now64(3) - INTERVAL {since_s} SECOND"
    if source not in _TABLES:
        return None
    table, column, columns = _TABLES[source]
    kept = f"row.{RETENTIONS[table].predicate}"
    within = f"row.{column} > now64(3) - INTERVAL {since_s} SECOND"
    return f"{columns}\nFROM {DATABASE}.{table} AS row FINAL\n{_NODE}\nWHERE {kept} AND {within}"
