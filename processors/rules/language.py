"""The words of the rule language: which fields a signal has, what they hold, and what may be said of them.

The words are Sigma's where Sigma has them (Sigma specification 2.0: detections, modifiers, correlation rules).
"""

from __future__ import annotations

import re
from enum import StrEnum

from processors.alerting import signals
from processors.yaml_nodes import Limits
from schemas.topics import DAY_MS

MAX_RULES = 1_000
LIMITS = Limits(bytes=1_000_000, depth=12)

MAX_TIMESPAN_MS = 30 * DAY_MS

RULE_ID = re.compile(r"[a-z][a-z0-9_]{0,63}")
SEVERITIES = ("info", "low", "medium", "high", "critical")
OF_SIGNAL = "signal"
CLIENT, NODE = "client_id", "node_id"


class Holds(StrEnum):
    """What a field holds."""

    TEXT = "text"
    NUMBER = "a number"
    FLAG = "true or false"


class Kind(StrEnum):
    """The types of correlation; ``match`` is none: each signal stands for itself."""

    MATCH = "match"
    EVENT_COUNT = "event_count"
    VALUE_COUNT = "value_count"
    TEMPORAL = "temporal"
    TEMPORAL_ORDERED = "temporal_ordered"
    ABSENCE = "absence"
    CHANGE = "change"


def _fields(text: str = "", number: str = "", flag: str = "") -> dict[str, Holds]:
    kinds = ((f"{CLIENT} {NODE} {text}", Holds.TEXT), (number, Holds.NUMBER), (flag, Holds.FLAG))
    return {name: holds for names, holds in kinds for name in names.split()}


FIELDS: dict[str, dict[str, Holds]] = {
    signals.EVENTS: _fields(
        "event_id event_type severity source_ip source_ip_pseudonym target_ip target_ip_pseudonym user_agent error_code "
        "origin"
    ),
    signals.LIVENESS: _fields("state previous_state reason", "last_heartbeat interval_ms deadline watermark silent_since"),
    signals.HEARTBEATS: _fields("status", "uptime cpu_usage memory_usage network_activity skew_ms"),
    signals.REJECTIONS: _fields("endpoint reason", "status count", "authenticated"),
    signals.IDENTITY: _fields(
        "kind key_id refused_key_id request_id edge", "key_epoch newer_boot older_boot returns heartbeat day"
    ),
    signals.AUDIT: _fields("action outcome actor subject"),
    signals.BLIND: _fields("", "start end partition"),
}
"""The fields that each source's signals have (``processors.alerting.signals``)."""

_STATES = ("online", "late", "offline", "maintenance", "error", "gone")
CHOICES: dict[tuple[str, str], tuple[str, ...]] = {
    (signals.EVENTS, "event_type"): (
        "authentication_failure", "certificate_error", "connection_attempt", "policy_violation", "suspicious_activity",
        "system_error",
    ),
    (signals.EVENTS, "severity"): SEVERITIES,
    (signals.EVENTS, "origin"): ("client", "edge"),
    (signals.LIVENESS, "state"): _STATES,
    (signals.LIVENESS, "previous_state"): _STATES,
    (signals.LIVENESS, "reason"): (
        "heartbeat", "reported", "late", "missed_heartbeats", "never_came", "maintenance_expired", "stale",
    ),
    (signals.HEARTBEATS, "status"): ("online", "offline", "error", "maintenance"),
    (signals.IDENTITY, "kind"): ("conflict", "clone"),
}  # fmt: skip
"""Fields of which all values are known, so that a misspelt one is a fault and not a rule that never matches."""

COMPARISONS = ("gt", "gte", "lt", "lte")
TEXT_MODIFIERS = ("startswith", "endswith", "contains")
MODIFIERS = (*COMPARISONS, *TEXT_MODIFIERS, "exists")
NOT = "not"

KEY_WORDS = ("signal_id", "day")
"""What a dedup key may name besides fields: the signal itself, and the day (UTC) on which the edge accepted it."""

_PLACEHOLDERS = ("title", "severity", "client_id", "node_id", "group", "timespan", "for")
_COUNTED = ("count", "population", "share")
PLACEHOLDERS_OF_KIND: dict[Kind, tuple[str, ...]] = {
    Kind.MATCH: (),
    Kind.EVENT_COUNT: ("count",),
    Kind.VALUE_COUNT: _COUNTED,
    Kind.TEMPORAL: ("count",),
    Kind.TEMPORAL_ORDERED: ("count",),
    Kind.ABSENCE: (),
    Kind.CHANGE: ("rise", "from", "to"),
}
PLACEHOLDERS_OF_SOURCE: dict[str, tuple[str, ...]] = {
    signals.EVENTS: ("event_type", "severity", "origin", "error_code"),
    signals.LIVENESS: ("state", "previous_state", "reason"),
    signals.HEARTBEATS: ("status", "cpu_usage", "memory_usage", "network_activity", "skew_ms"),
    signals.REJECTIONS: ("endpoint", "reason", "status"),
    signals.IDENTITY: ("kind",),
    signals.AUDIT: ("action", "outcome"),
    signals.BLIND: ("span_s",),
}


def placeholders(source: str, kind: Kind) -> frozenset[str]:
    """What a summary may name. Fields of one signal only where the rule is about one signal."""
    of_source = PLACEHOLDERS_OF_SOURCE[source] if kind is Kind.MATCH else ()
    return frozenset((*_PLACEHOLDERS, *PLACEHOLDERS_OF_KIND[kind], *of_source))
