"""What a finding says: its key, its summary and its evidence. Times, counts and ids, never content."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from processors.alerting import signals
from processors.alerting.signals import Signal
from processors.durations import written
from processors.rules.groups import Entry, GroupValues, Key
from processors.rules.language import CLIENT, NODE, OF_SIGNAL, PLACEHOLDERS_OF_SOURCE, SEVERITIES
from processors.rules.life import Candidate
from processors.rules.model import Rule
from schemas.topics import DAY_MS

SAMPLE = 20
_MAX_WORD = 80
_PLACEHOLDER = re.compile(r"\{([a-z_]+)\}")

_EVIDENCE: dict[str, tuple[str, ...]] = {
    signals.EVENTS: ("event_type", "origin"),
    signals.LIVENESS: ("last_heartbeat", "interval_ms", "deadline", "watermark", "state"),
    signals.HEARTBEATS: ("status", "uptime", "cpu_usage", "memory_usage", "network_activity", "skew_ms"),
    signals.REJECTIONS: ("endpoint", "reason", "status", "count", "authenticated"),
    signals.AUDIT: ("action", "outcome", "actor", "subject"),
    signals.BLIND: ("start", "end"),
}


def label_of(signal: Signal) -> str:
    """What evidence calls a signal: the id that an analyst can look up."""
    return str(signal.fields.get("event_id") or signal.signal_id)


def key_of(rule: Rule, values: GroupValues, signal: Signal, attributes: Mapping[str, Any]) -> Key:
    """What tells the finding that begins with this signal from all others of the rule."""
    if not rule.dedup_key:
        return (*values, signal.signal_id)
    return tuple(_part(name, signal, attributes) for name in rule.dedup_key)


def _part(name: str, signal: Signal, attributes: Mapping[str, Any]) -> str | int:
    if name == "signal_id":
        return signal.signal_id
    value = attributes.get(name)
    if name == "day" and value is None:
        return signal.received_at // DAY_MS
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    return "" if value is None else str(value)


def severity_of(rule: Rule, signal: Signal) -> str:
    """The rule's, or the signal's own where the rule says so."""
    if rule.severity != OF_SIGNAL:
        return rule.severity
    own = signal.fields.get("severity")
    return str(own) if own in SEVERITIES else "medium"


def of_signal(signal: Signal) -> dict[str, Any]:
    """The evidence that one signal is."""
    fields = signal.fields
    if signal.source == signals.IDENTITY:
        return {name: value for name, value in fields.items() if name not in ("kind", "day")}
    found = {name: fields[name] for name in _EVIDENCE[signal.source] if fields.get(name) is not None}
    if signal.source == signals.EVENTS:
        return {"event_ids": [label_of(signal)], **found, "received_at": signal.received_at}
    silent_since = fields.get("silent_since")
    if signal.source == signals.LIVENESS and silent_since not in (None, fields.get("last_heartbeat")):
        return {**found, "last_heartbeat": silent_since, "heartbeat": fields.get("last_heartbeat")}
    return found


def of_window(rule: Rule, run: Sequence[Entry], more: Mapping[str, Any]) -> dict[str, Any]:
    """The evidence that a run of entries is; of many only a sample is named."""
    evidence: dict[str, Any] = {
        "count": len(run),
        "first": run[0].timestamp,
        "last": run[-1].timestamp,
        "window_ms": rule.correlation.timespan_ms,
        **more,
    }
    if rule.source == signals.EVENTS:
        evidence["event_ids"] = [entry.label for entry in run[:SAMPLE]]
    if CLIENT not in rule.correlation.group_by:
        evidence["clients"] = sorted({entry.client_id for entry in run if entry.client_id})[:SAMPLE]
    return evidence


def candidate(
    rule: Rule, values: GroupValues, signal: Signal, key: Key, spans: tuple[int, int, int], evidence: Mapping[str, Any]
) -> Candidate:
    """A candidate about a group. ``spans``: its first and last moment and what it is dated, in ms."""
    group = dict(zip(rule.correlation.group_by, values, strict=False))
    one_client = CLIENT in group
    client_id = signal.client_id if one_client else ""
    node_id = signal.node_id if one_client else group.get(NODE)
    severity = severity_of(rule, signal)
    words = {
        **_words_of_signal(signal),
        **evidence,
        "title": rule.title,
        "severity": severity,
        "client_id": client_id,
        "node_id": node_id,
        "group": ", ".join(f"{name}={value}" for name, value in group.items()),
        "timespan": written(rule.correlation.timespan_ms),
        "for": written(rule.for_ms),
    }
    return Candidate(key, *spans, severity, client_id, node_id, _fill(rule.summary, words), evidence)


def _words_of_signal(signal: Signal) -> dict[str, Any]:
    words = {name: signal.fields.get(name) for name in PLACEHOLDERS_OF_SOURCE[signal.source]}
    if signal.source == signals.BLIND:
        start, end = span_of(signal)
        words["span_s"] = f"{(end - start) / 1000:.1f}"
    return words


def span_of(signal: Signal) -> tuple[int, int]:
    """From when to when a signal is about: a blind span lasts, all others are moments."""
    if signal.source != signals.BLIND:
        return signal.timestamp, signal.timestamp
    start = _time(signal.fields.get("start"), signal.timestamp)
    return start, max(start, _time(signal.fields.get("end"), start))


def _time(value: Any, default: int) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else default


def _fill(summary: str, words: Mapping[str, Any]) -> str:
    return _PLACEHOLDER.sub(lambda found: _word(words.get(found[1])), summary)


def _word(value: Any) -> str:
    if value is None:
        return "-"
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return "".join(c for c in text[:_MAX_WORD] if c.isprintable())
