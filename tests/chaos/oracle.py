"""What must be true of a run, told from the topics alone, in the plainest words: every heartbeat is looked at."""

from __future__ import annotations

import json
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Record = Mapping[str, Any]

MISSED, REPORTED = "missed_heartbeats", "reported"
ALIVE = frozenset({"online", "late"})


def newest_states(liveness: Iterable[Record]) -> dict[str, str]:
    """Of the compacted topic the newest record of each client: online, missed_heartbeats or reported."""
    newest = {record["client_id"]: record for record in liveness}
    return {client: "online" if each["state"] in ALIVE else each["reason"] for client, each in newest.items()}


def replayed_states(heartbeats: Iterable[Record], now_ms: int, grace_ms: int) -> dict[str, str]:
    """The same, told from the heartbeats: the newest of each client, and whether it is too old."""
    newest: dict[str, Record] = {}
    for beat in heartbeats:
        before = newest.get(beat["client_id"])
        if before is None or beat["timestamp"] > before["timestamp"]:
            newest[beat["client_id"]] = beat
    return {client: _state(beat, now_ms, grace_ms) for client, beat in newest.items()}


def _state(beat: Record, now_ms: int, grace_ms: int) -> str:
    if beat["status"] == "offline":
        return REPORTED
    return MISSED if beat["received_at"] + span_ms(beat, grace_ms) < now_ms else "online"


def span_ms(record: Record, grace_ms: int) -> int:
    """How long a client may be silent."""
    return int(3 * record["interval_ms"] + grace_ms)


def false_verdicts(heartbeats: Iterable[Record], liveness: Iterable[Record], grace_ms: int) -> list[Record]:
    """Verdicts of silence on clients that were heard of within the time that the verdict says they were silent."""
    heard = _times(heartbeats)
    verdicts = [record for record in liveness if (record["state"], record["reason"]) == ("offline", MISSED)]
    return [each for each in verdicts if _heard_within(heard[each["client_id"]], each, grace_ms)]


def _times(heartbeats: Iterable[Record]) -> defaultdict[str, list[int]]:
    """When each client was heard, in order."""
    heard: defaultdict[str, list[int]] = defaultdict(list)
    for beat in heartbeats:
        heard[beat["client_id"]].append(beat["received_at"])
    for times in heard.values():
        times.sort()
    return heard


def _heard_within(times: Sequence[int], verdict: Record, grace_ms: int) -> bool:
    begins = verdict["deadline"] - span_ms(verdict, grace_ms)
    return bisect_right(times, verdict["deadline"]) > bisect_right(times, begins)


def lost(accepted: Iterable[tuple[str, int, int]], heartbeats: Iterable[Record]) -> list[tuple[str, int, int]]:
    """Of (client, sent, answered) those that got their 202 and of which Kafka has no heartbeat from that time."""
    heard = _times(heartbeats)
    return [each for each in accepted if bisect_right(heard[each[0]], each[2]) <= bisect_left(heard[each[0]], each[1])]


def contradictions(alerts: Iterable[Record]) -> list[tuple[Record, Record]]:
    """Alerts of one id and status that say different things, apart from when they were written."""
    first: dict[tuple[str, str], Record] = {}
    pairs = [(first.setdefault((alert["alert_id"], alert["status"]), alert), alert) for alert in alerts]
    return [(one, other) for one, other in pairs if _told(one) != _told(other)]


def _told(alert: Record) -> dict[str, Any]:
    return {name: value for name, value in alert.items() if name != "emitted_at"}


def unresolved(alerts: Sequence[Record], rule: str) -> set[str]:
    """The clients of whom an alert of the rule fires and was not resolved."""
    resolved = {alert["alert_id"] for alert in alerts if alert["status"] == "resolved"}
    firing = [alert for alert in alerts if (alert["rule"], alert["status"]) == (rule, "firing")]
    return {alert["client_id"] for alert in firing if alert["alert_id"] not in resolved}


def told_of(alerts: Iterable[Record], rule: str) -> set[tuple[str, str]]:
    """The (client, event) pairs that firing alerts of the rule name in their evidence."""
    named = [alert for alert in alerts if (alert["rule"], alert["status"]) == (rule, "firing")]
    return {(alert["client_id"], event) for alert in named for event in json.loads(alert["evidence"]).get("event_ids", [])}
